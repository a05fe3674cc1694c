//! The directories of a dockerd that runs under rootlesskit.

use std::path::{Path, PathBuf};

use crate::host::SystemReader;

/// Whether dockerd will run under rootlesskit (pkg/rootless).
pub fn is_rootless(host: &dyn SystemReader) -> bool {
    host.env_os("ROOTLESSKIT_STATE_DIR").is_some_and(|dir| !dir.is_empty())
}

/// The default of a directory option under rootlesskit (daemon/config/config_linux.go, `setPlatformDefaults`).
pub fn directory(host: &dyn SystemReader, key: &str) -> Option<PathBuf> {
    if !is_rootless(host) {
        return None;
    }
    let runtime = || host.env_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match key {
        "data-root" => {
            let home = || host.env_os("HOME").map(|home| Path::new(&home).join(".local/share"));
            Some(host.env_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home)?.join("docker"))
        }
        "exec-root" => Some(runtime()?.join("docker")),
        "pidfile" => Some(runtime()?.join("docker.pid")),
        _ => None,
    }
}

/// Where a daemon under rootlesskit listens by default (opts/hosts.go, `ParseHost` with `defaultToUnixXDG`).
pub fn socket(host: &dyn SystemReader) -> Option<PathBuf> {
    let runtime = host.env_os("XDG_RUNTIME_DIR").filter(|_| is_rootless(host))?;
    Some(Path::new(&runtime).join("docker.sock"))
}

#[cfg(test)]
mod tests {
    use super::super::hosts::Listen;
    use super::super::tests::{daemon, machine};
    use super::*;

    #[test]
    fn paths_under_rootlesskit_are_below_the_directories_of_the_user() {
        let host = machine("28.5.2")
            .variable("ROOTLESSKIT_STATE_DIR", "/run/user/7/rk")
            .variable("XDG_RUNTIME_DIR", "/run/user/7")
            .variable("HOME", "/home/sam");
        let settings = daemon(&host, &[]).settings;
        assert_eq!(settings.data_root, Path::new("/home/sam/.local/share/docker"));
        assert_eq!(settings.hosts, [Listen::Unix("/run/user/7/docker.sock".into())]);
        assert_eq!(settings.pidfile, Path::new("/run/user/7/docker.pid"));
        let named = daemon(&host, &["-H", "unix:///x.sock", "-H", "unix://"]).settings.hosts;
        assert_eq!(named[0], Listen::Unix("/x.sock".into()));
        assert_eq!(named[1], Listen::Unix("/run/user/7/docker.sock".into()));
    }
}
