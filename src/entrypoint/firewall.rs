//! Which iptables is dockerd to find? Chosen by trial, as DOCKER_IPTABLES_LEGACY says, or left as it is.
//!
//! docker-library's images keep the legacy programs under the usual names in a directory of their own; Debian under
//! names of their own, for which a directory of links is made.

use crate::host::trial::Firewall;
use crate::host::trial::NetworkRequest;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::facts::programs::locate;
use crate::host::SystemReader;
use crate::host::trial::Trial;

/// Where docker-library has them.
const READY: &str = "/usr/local/sbin/.iptables-legacy";
/// Where links are made: where only root writes, and not below /run, which a trial has of its own.
const MADE: &str = "/usr/local/sbin/.dindcheck-iptables-legacy";
/// The programs that dockerd, or a user, calls.
const PROGRAMS: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];
/// The legacy tables in use in this network namespace.
const TABLES: [&str; 2] = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];

/// Which it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// As PATH has it.
    AsItIs,
    /// The legacy one, and why.
    Legacy(&'static str),
}

/// Chooses. Nothing of this machine is changed by it.
pub fn choose(host: &dyn SystemReader) -> Choice {
    if let Some(said) = host.env("DOCKER_IPTABLES_LEGACY") {
        return if said.is_empty() {
            Choice::AsItIs
        } else {
            Choice::Legacy("DOCKER_IPTABLES_LEGACY is set")
        };
    }
    let (Some(program), Some(legacy)) = (locate(host, "iptables"), legacy(host)) else {
        return Choice::AsItIs;
    };
    let used = |path: &str| host.read(Path::new(path)).is_ok_and(|tables| !tables.is_empty());
    if TABLES.iter().any(|path| used(path)) {
        return Choice::Legacy("its tables are in use here");
    }
    let firewall = Firewall::Iptables { program, six: None, raw: false, others: vec![legacy] };
    let wanted = NetworkRequest { firewall: Some(firewall), br_netfilter: false };
    let Ok(tried) = host.trial(&Trial::Network(wanted)) else {
        return Choice::AsItIs;
    };
    let works = |name| tried.get(name).map(|attempt| attempt.error.is_none());
    match (works("nat"), works("other")) {
        (Some(false), Some(true)) => Choice::Legacy("the other one makes no nat table here"),
        _ => Choice::AsItIs,
    }
}

/// The legacy program.
fn legacy(host: &dyn SystemReader) -> Option<PathBuf> {
    let ready = Path::new(READY).join("iptables");
    let ready = host.stat(&ready).is_ok().then_some(ready);
    ready.or_else(|| locate(host, "iptables-legacy"))
}

/// A PATH in which the legacy programs come first.
#[allow(clippy::disallowed_methods, reason = "links of our own, in a directory of our own")]
pub fn path_with_legacy(host: &dyn SystemReader) -> anyhow::Result<String> {
    let path = host.env("PATH").unwrap_or_default();
    if host.stat(Path::new(READY)).is_ok() {
        return Ok(format!("{READY}:{path}"));
    }
    let dir = Path::new(MADE);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    for program in PROGRAMS {
        let name = program.replacen("tables", "tables-legacy", 1);
        let link = dir.join(program);
        if let (Some(target), Err(_)) = (locate(host, &name), host.lstat(&link)) {
            symlink(target, link)?;
        }
    }
    Ok(format!("{MADE}:{path}"))
}

/// Removes the links, if they were made.
#[allow(clippy::disallowed_methods, reason = "links of our own, in a directory of our own")]
pub fn remove_links() {
    let dir = Path::new(MADE);
    for program in PROGRAMS {
        let _ = std::fs::remove_file(dir.join(program));
    }
    let _ = std::fs::remove_dir(dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn the_user_decides_first_then_what_is_in_use() {
        let host = |value: &str| Fake::new().variable("DOCKER_IPTABLES_LEGACY", value);
        assert_eq!(choose(&host("")), Choice::AsItIs);
        assert!(matches!(choose(&host("1")), Choice::Legacy(_)));
        let programs = || {
            let host = Fake::new().variable("PATH", "/usr/sbin");
            host.program("/usr/sbin/iptables", 0, "").program("/usr/sbin/iptables-legacy", 0, "")
        };
        assert!(matches!(choose(&programs().file("/proc/net/ip_tables_names", "nat\n")), Choice::Legacy(_)));
        assert_eq!(choose(&Fake::new().variable("PATH", "/usr/sbin")), Choice::AsItIs);
    }
}
