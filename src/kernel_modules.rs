//! Kernel modules that an inner engine needs, and loading them from inside a container.
//!
//! A module changes the host's kernel, so loading one needs the reach `host`. A container usually has no /lib/modules, but
//! the kernel can run the host's modprobe: a request for a missing network interface makes it load a module of that name
//! (net/core/dev_ioctl.c, `dev_load`; it takes `CAP_SYS_MODULE`). dockerd does the same since 27.5.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use crate::diagnosis::{CauseId, causes};
use crate::facts::programs::{Place, find, path_dirs};
use crate::finding::{Reach, Undo};
use crate::host::SystemReader;
use crate::repair_log::RepairLog;
use crate::step::Cx;

/// The deadline of modprobe.
const WITHIN: Duration = Duration::from_secs(10);

/// The modules that a cause says are missing, in the order in which they are loaded.
const BEHIND: &[(CauseId, &[&str])] = &[
    (causes::KERNEL_LACKS_OVERLAYFS, &["overlay"]),
    (causes::KERNEL_LACKS_BRIDGE, &["bridge"]),
    (causes::KERNEL_LACKS_VETH, &["veth"]),
    (causes::BR_NETFILTER_UNAVAILABLE, &["br_netfilter"]),
    (causes::KERNEL_LACKS_LEGACY_IPTABLES_NAT, &["ip_tables", "iptable_filter", "iptable_nat"]),
    (causes::KERNEL_LACKS_NF_TABLES, &["nf_tables", "nft_compat", "nft_chain_nat"]),
    (causes::KERNEL_LACKS_IPTABLES_RAW, &["iptable_raw"]),
    (causes::KERNEL_LACKS_IP6TABLES_NAT, &["ip6_tables", "ip6table_nat"]),
];

/// The modules of a cause; empty if it is not about modules.
pub fn behind(cause: CauseId) -> &'static [&'static str] {
    BEHIND.iter().find(|(id, _)| *id == cause).map_or(&[], |(_, modules)| modules)
}

/// The text of a hint: the command for the host.
pub fn hint(cause: CauseId) -> String {
    format!("on the host: `modprobe -a {}` (or --repair host)", behind(cause).join(" "))
}

/// Whether a module is loaded; built-in ones without parameters are not visible.
fn is_seen(host: &dyn SystemReader, name: &str) -> bool {
    host.exists(&Path::new("/sys/module").join(name)).unwrap_or(false)
}

/// Loads modules into the host's kernel if the reach `host` is granted. Each module that appears is recorded as a change.
pub fn load(cx: &Cx<'_>, log: &mut RepairLog<'_>, modules: &[&str]) -> anyhow::Result<()> {
    if modules.is_empty() || !cx.options.profile.repair.allows(Reach::Host) {
        return Ok(());
    }
    let modprobe = match find(cx.host, "modprobe", &path_dirs(cx.host))? {
        Place::At(path) => Some(path),
        Place::NotExecutable(_) | Place::Nowhere => None,
    };
    log.reaches(Reach::Host);
    let missing: Vec<&str> = modules.iter().copied().filter(|name| !is_seen(cx.host, name)).collect();
    let mut said = String::new();
    for name in &missing {
        log.request_module(name)?;
        if let (false, Some(modprobe)) = (is_seen(cx.host, name), &modprobe) {
            said = log.execute(modprobe, &[name], WITHIN)?.stderr;
        }
        if is_seen(cx.host, name) {
            log.note(
                format!("loaded the module {name} into the host's kernel"),
                Undo::Manual(format!("modprobe -r {name} # on the host")),
            );
        }
    }
    if missing.iter().all(|name| !is_seen(cx.host, name)) {
        bail!("none of {} could be loaded from here: {}", missing.join(", "), said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_modules() {
        for (cause, modules) in BEHIND {
            assert!(!modules.is_empty(), "{cause}");
        }
    }
}
