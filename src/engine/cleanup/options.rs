//! What follows from dockerd's options for whoever starts it: where it listens, and where its files are.
//!
//! dockerd merges its flags with daemon.json (a key in both is its own start-up failure, so the order does
//! not matter here) and fills the rest with defaults (moby `daemon/config/config_linux.go`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::facts::daemon::{self, rootless};
use crate::facts::endpoint::Endpoint;
use crate::host::SystemReader;

/// What follows from flags and daemon.json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Where it is spoken to.
    pub endpoint: Endpoint,
    /// `--data-root`.
    pub data_root: PathBuf,
    /// `--exec-root`: its run-time state.
    pub exec_root: PathBuf,
    /// `--pidfile`.
    pub pidfile: PathBuf,
    /// `--cgroup-parent`, where one is set.
    pub cgroup_parent: Option<String>,
    /// `--containerd`: another containerd than its own, where one is set.
    pub containerd: Option<PathBuf>,
}

/// Reads them. `args` are dockerd's arguments without its name. A daemon.json that cannot be read or parsed
/// counts as empty: dockerd says the same in its own words when it is started.
pub fn read(host: &dyn SystemReader, args: &[String]) -> Options {
    let named = flag(args, &["--config-file"]).map(PathBuf::from);
    let file = host.read(&named.unwrap_or_else(|| daemon::default_config(host))).ok();
    let json = file.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let key = |name: &str| json.as_ref()?.get(name)?.as_str().map(ToOwned::to_owned);
    let pick = |flags: &[&str], name: &str| flag(args, flags).map(ToOwned::to_owned).or_else(|| key(name));
    let path = |flags: &[&str], name: &str, default: &str| {
        let usual = || rootless::directory(host, name).unwrap_or_else(|| default.into());
        pick(flags, name).map_or_else(usual, PathBuf::from)
    };
    Options {
        endpoint: endpoint(host, args, json.as_ref()),
        data_root: path(&["--data-root", "-g", "--graph"], "data-root", "/var/lib/docker"),
        exec_root: path(&["--exec-root"], "exec-root", "/var/run/docker"),
        pidfile: path(&["--pidfile", "-p"], "pidfile", "/var/run/docker.pid"),
        cgroup_parent: pick(&["--cgroup-parent"], "cgroup-parent").filter(|parent| !parent.is_empty()),
        containerd: pick(&["--containerd"], "containerd").filter(|path| !path.is_empty()).map(PathBuf::from),
    }
}

/// Where it listens.
fn endpoint(host: &dyn SystemReader, args: &[String], json: Option<&serde_json::Value>) -> Endpoint {
    let flags = flags(args, &["--host", "-H"]);
    if !flags.is_empty() {
        return Endpoint::of_hosts(flags);
    }
    let hosts = json.and_then(|json| json.get("hosts")).and_then(serde_json::Value::as_array);
    let hosts: Vec<&str> = hosts.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    match rootless::socket(host) {
        Some(socket) if hosts.is_empty() => Endpoint::Unix(socket),
        _ => Endpoint::of_hosts(hosts),
    }
}

/// The last value of a flag, as pflag takes it.
fn flag<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    flags(args, names).pop()
}

/// Every value of a flag: `--name=value`, `--name value`, `-Hvalue`.
fn flags<'a>(args: &'a [String], names: &[&str]) -> Vec<&'a str> {
    let mut values = Vec::new();
    let mut rest = args.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        for name in names {
            if word == *name {
                values.extend(rest.next());
                break;
            }
            if let Some(tail) = word.strip_prefix(name) {
                match tail.strip_prefix('=') {
                    Some(value) => values.push(value),
                    None if !name.starts_with("--") => values.push(tail),
                    None => continue,
                }
                break;
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::fake::Fake;

    const CONFIG_FILE: &str = "/etc/docker/daemon.json";

    #[test]
    fn under_rootlesskit_they_are_the_users_own() {
        let host = Fake::new()
            .variable("ROOTLESSKIT_STATE_DIR", "/run/user/7/rk")
            .variable("XDG_RUNTIME_DIR", "/run/user/7");
        let options = read(&host, &[]);
        assert_eq!(options.endpoint, Endpoint::Unix("/run/user/7/docker.sock".into()));
        assert_eq!(options.exec_root, Path::new("/run/user/7/docker"));
        assert_eq!(read(&host, &words("-H unix:///a")).endpoint, Endpoint::Unix("/a".into()));
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn defaults_are_those_of_dockerd() {
        let options = read(&Fake::new(), &words("--debug"));
        assert_eq!(options.endpoint, Endpoint::default());
        assert_eq!(options.data_root, Path::new("/var/lib/docker"));
        assert_eq!(options.exec_root, Path::new("/var/run/docker"));
        assert_eq!(options.cgroup_parent, None);
    }

    #[test]
    fn flags_come_in_every_spelling() {
        let options = read(
            &Fake::new(),
            &words("-H tcp://0.0.0.0:2375 -Hunix:///a.sock --exec-root=/r --pidfile /p --data-root /d"),
        );
        assert_eq!(options.endpoint, Endpoint::Unix("/a.sock".into()));
        assert_eq!(options.exec_root, Path::new("/r"));
        assert_eq!(options.pidfile, Path::new("/p"));
        assert_eq!(options.data_root, Path::new("/d"));
        let options = read(&Fake::new(), &words("--host=unix:///b --cgroup-parent /x"));
        assert_eq!(options.endpoint, Endpoint::Unix("/b".into()));
        assert_eq!(options.cgroup_parent.as_deref(), Some("/x"));
    }

    #[test]
    fn the_file_fills_what_flags_leave_open() {
        let host = Fake::new().file(CONFIG_FILE, r#"{"hosts":["unix:///c"],"data-root":"/data"}"#);
        let options = read(&host, &[]);
        assert_eq!(options.endpoint, Endpoint::Unix("/c".into()));
        assert_eq!(options.data_root, Path::new("/data"));
        assert_eq!(read(&host, &words("--config-file /none")).data_root, Path::new("/var/lib/docker"));
        let broken = Fake::new().file(CONFIG_FILE, "{");
        assert_eq!(read(&broken, &[]).endpoint, Endpoint::default());
    }
}
