//! Where a dockerd listens and keeps its files: what is needed to connect to it and to clean up after it.
//!
//! Its version is not needed, and asking for it would cost a process: dockerd starts only where its version accepts both
//! the arguments and daemon.json, so they are read as the newest version that accepts them reads them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file::{self, ConfigFile};
use super::flags::{self, Flags};
use super::hosts::{self, Listen};
use super::tls::Tls;
use super::values::Values;
use super::{config_file, options, rootless};
use crate::facts::endpoint::Endpoint;
use crate::facts::version::Version;
use crate::finding::Level;
use crate::host::SystemReader;

/// Addresses and paths of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Where a client on this machine reaches it.
    pub endpoint: Endpoint,
    /// `--data-root`.
    pub data_root: PathBuf,
    /// `--exec-root`: sockets and pid files of helpers.
    pub exec_root: PathBuf,
    /// `--pidfile`; empty where there is none.
    pub pidfile: PathBuf,
    /// `--cgroup-parent`, where one is set.
    pub cgroup_parent: Option<String>,
    /// `--containerd`: the socket of another containerd than its own, where one is set.
    pub containerd: Option<PathBuf>,
    /// `--firewall-backend=nftables`: its rules are in tables of their own.
    #[serde(default)]
    pub nftables: bool,
}

impl Layout {
    /// Reads dockerd's arguments (without its name), its configuration file and its environment. A file that cannot be
    /// read or parsed counts as empty: dockerd reports it itself when it is started.
    pub fn read(host: &dyn SystemReader, args: &[String]) -> Self {
        let (flags, file) = as_accepted(host, args);
        let values = Values::merged(&flags, &file);
        let tls = Tls::read(host, &flags, &values);
        let (listens, _) = hosts::listens(host, &values, tls.on);
        Self::of(host, &values, &listens)
    }

    /// What follows from the options, with dockerd's defaults filled in (`setPlatformDefaults` of moby
    /// `daemon/config/config_linux.go`).
    pub(super) fn of(host: &dyn SystemReader, values: &Values, listens: &[Listen]) -> Self {
        // A relative path is below dockerd's working directory, which is ours.
        let path = |key: &str, default: &str| {
            let usual = || rootless::directory(host, key).unwrap_or_else(|| default.into());
            values.text(key).map_or_else(usual, PathBuf::from)
        };
        let data_root = values.text("graph").map(PathBuf::from);
        let no_pidfile = values.is_emptied("pidfile").then(PathBuf::new);
        Self {
            endpoint: hosts::endpoint(listens).unwrap_or_default(),
            data_root: data_root.unwrap_or_else(|| path("data-root", "/var/lib/docker")),
            exec_root: path("exec-root", "/var/run/docker"),
            pidfile: no_pidfile.unwrap_or_else(|| path("pidfile", "/var/run/docker.pid")),
            cgroup_parent: values.text("cgroup-parent").map(ToOwned::to_owned),
            containerd: containerd(values),
            nftables: values.text("firewall-backend") == Some("nftables"),
        }
    }
}

/// The containerd that the options name; dockerd's own wins over it where it is embedded.
fn containerd(values: &Values) -> Option<PathBuf> {
    let named = values.text("containerd").filter(|_| values.feature("embedded-containerd") != Some(true))?;
    Some(named.trim_start_matches("unix://").into())
}

/// Arguments and file as the newest version reads them that accepts both; else as the newest that accepts the arguments,
/// since the file may be broken for every version.
pub(super) fn as_accepted(host: &dyn SystemReader, args: &[String]) -> (Flags, ConfigFile) {
    let mut best: Option<(Flags, ConfigFile)> = None;
    for version in options::changes() {
        let (flags, file) = as_read_by(host, args, version);
        let flags_accepted = flags.problems.is_empty();
        if flags_accepted && file.problems.iter().all(|problem| problem.level != Level::Fail) {
            return (flags, file);
        }
        if best.as_ref().is_none_or(|(known, _)| flags_accepted && !known.problems.is_empty()) {
            best = Some((flags, file));
        }
    }
    best.unwrap_or_default()
}

/// Arguments and file as this version reads them.
fn as_read_by(host: &dyn SystemReader, args: &[String], version: Version) -> (Flags, ConfigFile) {
    let flags = flags::parse(args, version);
    let (config, _) = config_file(host, &flags);
    let file = host.read(&config).map(|bytes| file::parse(&config, &bytes, version));
    (flags, file.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::fake::Fake;

    const CONFIG_FILE: &str = "/etc/docker/daemon.json";

    /// The layout with these arguments, separated by spaces.
    fn layout(host: &Fake, line: &str) -> Layout {
        let args: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        Layout::read(host, &args)
    }

    #[test]
    fn under_rootlesskit_the_paths_are_below_the_users_directories() {
        let host = Fake::new()
            .variable("ROOTLESSKIT_STATE_DIR", "/run/user/7/rk")
            .variable("XDG_RUNTIME_DIR", "/run/user/7");
        let default = layout(&host, "");
        assert_eq!(default.endpoint, Endpoint::Unix("/run/user/7/docker.sock".into()));
        assert_eq!(default.exec_root, Path::new("/run/user/7/docker"));
        assert_eq!(layout(&host, "-H unix:///a").endpoint, Endpoint::Unix("/a".into()));
    }

    #[test]
    fn without_options_dockerds_defaults_hold() {
        let default = layout(&Fake::new(), "--debug");
        assert_eq!(default.endpoint, Endpoint::default());
        assert_eq!(default.data_root, Path::new("/var/lib/docker"));
        assert_eq!(default.exec_root, Path::new("/var/run/docker"));
        assert_eq!(default.pidfile, Path::new("/var/run/docker.pid"));
        assert_eq!((default.cgroup_parent, default.containerd), (None, None));
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        let line = "-H tcp://0.0.0.0:2375 -Hunix:///a.sock --exec-root=/r --pidfile /p --data-root /d";
        let named = layout(&Fake::new(), line);
        assert_eq!(named.endpoint, Endpoint::Unix("/a.sock".into()));
        assert_eq!(named.exec_root, Path::new("/r"));
        assert_eq!(named.pidfile, Path::new("/p"));
        assert_eq!(named.data_root, Path::new("/d"));
        let named = layout(&Fake::new(), "-DH unix:///b --cgroup-parent /x --containerd unix:///c.sock");
        assert_eq!(named.endpoint, Endpoint::Unix("/b".into()));
        assert_eq!(named.cgroup_parent.as_deref(), Some("/x"));
        assert_eq!(named.containerd.as_deref(), Some(Path::new("/c.sock")));
        assert_eq!(layout(&Fake::new(), "--pidfile=").pidfile, Path::new(""));
    }

    #[test]
    fn a_value_that_looks_like_a_flag_is_a_value() {
        let host = Fake::new();
        assert_eq!(layout(&host, "--label --data-root=/x").data_root, Path::new("/var/lib/docker"));
        assert_eq!(layout(&host, "--debug -- --data-root=/x").data_root, Path::new("/var/lib/docker"));
    }

    #[test]
    fn the_file_fills_what_flags_leave_open() {
        let host = Fake::new().file(CONFIG_FILE, r#"{"hosts":["unix:///c"],"data-root":"/data"}"#);
        let filled = layout(&host, "");
        assert_eq!(filled.endpoint, Endpoint::Unix("/c".into()));
        assert_eq!(filled.data_root, Path::new("/data"));
        assert_eq!(layout(&host, "--config-file /none").data_root, Path::new("/var/lib/docker"));
        let grouped = Fake::new().file(CONFIG_FILE, r#"{"paths":{"data-root":"/data"}}"#);
        assert_eq!(layout(&grouped, "").data_root, Path::new("/data"));
    }

    #[test]
    fn a_file_that_cannot_be_read_or_parsed_counts_as_empty() {
        let broken = Fake::new().file(CONFIG_FILE, "{");
        assert_eq!(layout(&broken, "").endpoint, Endpoint::default());
        assert_eq!(layout(&broken, "-H unix:///a").endpoint, Endpoint::Unix("/a".into()));
        let locked = Fake::new().fails("read", CONFIG_FILE, nix::errno::Errno::EACCES, None);
        assert_eq!(layout(&locked, "").endpoint, Endpoint::default());
    }

    #[test]
    fn options_of_one_version_only_are_read_as_that_version_reads_them() {
        // -g until 23, --oom-score-adjust until 25 and --log-format since 25, --feature since 27.3.
        for (line, root) in [
            ("-g /old", "/old"),
            ("--oom-score-adjust=-5 --log-format=json --data-root=/d", "/d"),
            ("--feature=cdi=true --data-root=/d", "/d"),
        ] {
            assert_eq!(layout(&Fake::new(), line).data_root, Path::new(root), "{line}");
        }
        let host = Fake::new().file(CONFIG_FILE, r#"{"data-root":"/d"} what 20.10 never read"#);
        assert_eq!(layout(&host, "").data_root, Path::new("/d"));
    }
}
