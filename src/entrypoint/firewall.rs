//! Which iptables dockerd finds in PATH: chosen by trial or by DOCKER_IPTABLES_LEGACY, else left as it is.
//!
//! docker-library's images have the legacy programs under the usual names in a directory of their own; Debian has them
//! under names of their own, for which a directory of links is created.

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use crate::facts::programs::locate;
use crate::host::SystemReader;
use crate::host::trial::{Firewall, NetworkRequest, Trial};

/// The directory of the legacy programs in docker-library's images.
const DOCKER_LIBRARY_DIR: &str = "/usr/local/sbin/.iptables-legacy";
/// The directory of our links: only root can write there, and it is not below /run, of which a trial has its own.
const LINKS_DIR: &str = "/usr/local/sbin/.dindcheck-iptables-legacy";
/// The programs that dockerd and users call.
const PROGRAMS: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];
/// The legacy tables in use in this network namespace.
const TABLES: [&str; 2] = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one in PATH.
    Unchanged,
    /// The legacy one, and the reason.
    Legacy(&'static str),
}

/// Chooses, without a change to this machine: the one in PATH where the programs cannot be looked for.
pub fn choose(host: &dyn SystemReader) -> Choice {
    if let Some(value) = host.env("DOCKER_IPTABLES_LEGACY") {
        return if value.is_empty() {
            Choice::Unchanged
        } else {
            Choice::Legacy("DOCKER_IPTABLES_LEGACY is set")
        };
    }
    let (Some(program), Some(legacy)) = (locate(host, "iptables").ok().flatten(), legacy(host)) else {
        return Choice::Unchanged;
    };
    let is_used = |path: &str| host.read(Path::new(path)).is_ok_and(|tables| !tables.is_empty());
    if TABLES.iter().any(|path| is_used(path)) {
        return Choice::Legacy("its tables are in use here");
    }
    let firewall = Firewall::Iptables { program, six: None, raw: false, others: vec![legacy] };
    let request = NetworkRequest { firewall: Some(firewall), br_netfilter: false };
    let Ok(attempts) = host.trial(&Trial::Network(request)) else {
        return Choice::Unchanged;
    };
    let works = |name| attempts.get(name).map(|attempt| attempt.error.is_none());
    match (works("nat"), works("other")) {
        (Some(false), Some(true)) => Choice::Legacy("the other one cannot create a nat table here"),
        _ => Choice::Unchanged,
    }
}

/// The legacy program.
fn legacy(host: &dyn SystemReader) -> Option<PathBuf> {
    let program = Path::new(DOCKER_LIBRARY_DIR).join("iptables");
    let program = host.stat(&program).is_ok().then_some(program);
    program.or_else(|| locate(host, "iptables-legacy").ok().flatten())
}

/// A PATH in which the legacy programs come first.
///
/// # Errors
///
/// Where the links cannot be created.
pub fn path_with_legacy(host: &dyn SystemReader) -> anyhow::Result<OsString> {
    let path = host.env_os("PATH").unwrap_or_default();
    let before = |dir: &str| {
        let mut longer = OsString::from(format!("{dir}:"));
        longer.push(&path);
        longer
    };
    if host.stat(Path::new(DOCKER_LIBRARY_DIR)).is_ok() {
        return Ok(before(DOCKER_LIBRARY_DIR));
    }
    let dir = Path::new(LINKS_DIR);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    for program in PROGRAMS {
        let name = program.replacen("tables", "tables-legacy", 1);
        let link = dir.join(program);
        if let (Some(target), Err(_)) = (locate(host, &name)?, host.lstat(&link)) {
            symlink(target, link)?;
        }
    }
    Ok(before(LINKS_DIR))
}

/// Removes the links, if there are any.
#[expect(clippy::disallowed_methods, reason = "links of our own, in a directory of our own")]
pub fn remove_links() {
    let dir = Path::new(LINKS_DIR);
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
    fn the_variable_decides_then_the_tables_in_use() {
        let host = |value: &str| Fake::new().variable("DOCKER_IPTABLES_LEGACY", value);
        assert_eq!(choose(&host("")), Choice::Unchanged);
        assert!(matches!(choose(&host("1")), Choice::Legacy(_)));
        let programs = || {
            let host = Fake::new().variable("PATH", "/usr/sbin");
            host.program("/usr/sbin/iptables", 0, "").program("/usr/sbin/iptables-legacy", 0, "")
        };
        assert!(matches!(choose(&programs().file("/proc/net/ip_tables_names", "nat\n")), Choice::Legacy(_)));
        assert_eq!(choose(&Fake::new().variable("PATH", "/usr/sbin")), Choice::Unchanged);
    }
}
