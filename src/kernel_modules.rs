//! Which kernel modules does an inner engine need, and how is one brought in from inside a container?
//!
//! A module belongs to the host's kernel and is felt by all, so loading one needs the reach `host`. A container
//! has no /lib/modules as a rule. The kernel can still be asked to run the host's own modprobe: whoever asks for an
//! interface of a name that is not there makes it look for a module of that name (net/core/dev_ioctl.c, `dev_load`;
//! it takes `CAP_SYS_MODULE`). dockerd itself does so since 27.5.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use crate::diagnosis::{CauseId, causes};
use crate::facts::programs::{Place, find, path_dirs};
use crate::finding::{Reach, Undo};
use crate::host::SystemReader;
use crate::repair_log::RepairLog;
use crate::step::Cx;

/// For modprobe.
const WITHIN: Duration = Duration::from_secs(10);

/// The modules whose lack a cause is, in the order in which they are loaded.
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

/// The modules behind a cause; none where it is not about modules.
pub fn behind(cause: CauseId) -> &'static [&'static str] {
    BEHIND.iter().find(|(id, _)| *id == cause).map_or(&[], |(_, modules)| modules)
}

/// The words for a hint: the command for the host.
pub fn hint(cause: CauseId) -> String {
    format!("on the host: modprobe -a {} (or --repair host)", behind(cause).join(" "))
}

/// Whether a module is in the kernel; built-in ones without parameters cannot be seen.
fn is_seen(host: &dyn SystemReader, name: &str) -> bool {
    host.exists(&Path::new("/sys/module").join(name)).unwrap_or(false)
}

/// Loads modules into the host's kernel, where there are any and the reach `host` is granted. Each that appears is a
/// change.
pub fn load(cx: &Cx<'_>, hands: &mut RepairLog<'_>, modules: &[&str]) -> anyhow::Result<()> {
    if modules.is_empty() || !cx.options.profile.repair.allows(Reach::Host) {
        return Ok(());
    }
    let modprobe = match find(cx.host, "modprobe", &path_dirs(cx.host))? {
        Place::At(path) => Some(path),
        Place::NotExecutable(_) | Place::Nowhere => None,
    };
    hands.reaches(Reach::Host);
    let missing: Vec<&str> = modules.iter().copied().filter(|name| !is_seen(cx.host, name)).collect();
    let mut said = String::new();
    for name in &missing {
        hands.request_module(name)?;
        if let (false, Some(modprobe)) = (is_seen(cx.host, name), &modprobe) {
            said = hands.execute(modprobe, &[name], WITHIN)?.stderr;
        }
        if is_seen(cx.host, name) {
            hands.note(
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
