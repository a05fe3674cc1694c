//! The daemon behind an endpoint, if it is a process that is visible here: its command line and its environment.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::hosts::{self, Listen};
use super::tls::Tls;
use super::values::Values;
use super::{Invocation, file, flags, layout};
use crate::facts::endpoint::Endpoint;
use crate::facts::filesystem;
use crate::facts::process::{self, Process};
use crate::host::SystemReader;

/// Ticks of the clock of `proc_pid_stat(5)` in a second (`USER_HZ`, 100 on every architecture that Docker runs on).
const TICKS: i64 = 100;

/// The daemon behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// A process that sees the same files as we do.
    Here(Command),
    /// Why its configuration cannot be judged from here.
    Elsewhere(String),
}

/// How a running daemon was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its process.
    pub pid: i32,
    /// Its program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// When it was started, in seconds since 1970, if that is known.
    pub started: Option<i64>,
}

impl Command {
    /// The same as the options of a run describe a daemon that is to be started.
    pub fn invocation(&self) -> Invocation<'_> {
        Invocation { command: &self.program, args: &self.args, data_root: None, debug: false }
    }

    /// Whether a file was changed after the daemon was started, so that it may not have read it.
    pub fn is_older_than(&self, host: &dyn SystemReader, path: &Path) -> bool {
        let changed = host.stat(path).ok().map(|stat| stat.mtime / 1_000_000_000);
        self.started.zip(changed).is_some_and(|(started, changed)| changed > started + 1)
    }
}

impl Running {
    /// Looks for the process.
    pub fn find(host: &dyn SystemReader, endpoint: &Endpoint) -> Self {
        let processes = match process::all(host) {
            Ok(processes) => processes,
            Err(error) => return Self::Elsewhere(format!("its process cannot be looked for ({error})")),
        };
        let mut hidden = None;
        for process in processes.iter().filter(|process| process.is_program("dockerd") && !process.zombie) {
            if shares(host, process, "mnt") {
                let command = command(host, process);
                if listens(host, &command, endpoint, process) {
                    return Self::Here(command);
                }
            } else {
                hidden = Some(process.id.pid);
            }
        }
        Self::Elsewhere(match hidden {
            Some(pid) => format!("dockerd, process {pid}, is in another mount namespace"),
            None => "no dockerd that is visible here listens there".to_owned(),
        })
    }
}

/// Whether a process is in the same namespace as we are.
fn shares(host: &dyn SystemReader, process: &Process, namespace: &str) -> bool {
    let of = |who: &str| host.read_link(Path::new(&format!("/proc/{who}/ns/{namespace}"))).ok();
    of("self").is_some_and(|own| of(&process.id.pid.to_string()) == Some(own))
}

/// Its command line, argument by argument. The name of the program is the path of the file, where that still exists.
fn command(host: &dyn SystemReader, process: &Process) -> Command {
    let pid = process.id.pid;
    let bytes = host.read(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    let mut words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let named = words.next().unwrap_or_default();
    let file = host.read_link(Path::new(&format!("/proc/{pid}/exe"))).ok();
    let file = file.filter(|file| !file.as_os_str().as_bytes().ends_with(b" (deleted)"));
    let program = file.and_then(|file| file.to_str().map(ToOwned::to_owned)).unwrap_or(named);
    let ticks = i64::try_from(process.id.start).ok();
    let started = crate::facts::pidfile::boot(host).zip(ticks).map(|(boot, ticks)| boot + ticks / TICKS);
    Command { pid, program, args: words.collect(), started }
}

/// Whether a daemon with this command line listens at an endpoint.
fn listens(host: &dyn SystemReader, command: &Command, endpoint: &Endpoint, process: &Process) -> bool {
    let host = &crate::host::environ::WithEnviron::of(host, command.pid);
    let addresses = addresses(host, &command.args);
    match endpoint {
        Endpoint::Unix(path) => {
            let real = |path: &Path| filesystem::nearest(host, path).ok().map(|(real, _)| real);
            let same = |other: &PathBuf| other == path || real(other).is_some() && real(other) == real(path);
            addresses.iter().any(|address| matches!(address, Listen::Unix(other) if same(other)))
        }
        Endpoint::Tcp(_) | Endpoint::Tls(_) => {
            let address = tcp_address(endpoint);
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            shares(host, process, "net")
                && addresses
                    .iter()
                    .any(|address| matches!(address, Listen::Tcp(_, own) if Some(*own) == port))
        }
    }
}

/// `host:port` of an endpoint that is no socket.
fn tcp_address(endpoint: &Endpoint) -> &str {
    match endpoint {
        Endpoint::Unix(_) => "",
        Endpoint::Tcp(address) => address,
        Endpoint::Tls(tls) => &tls.address,
    }
}

/// The addresses on which a daemon with these arguments listens.
fn addresses(host: &dyn SystemReader, args: &[String]) -> Vec<Listen> {
    let (flags, file): (flags::Flags, file::ConfigFile) = layout::as_accepted(host, args);
    let values = Values::merged(&flags, &file);
    let tls = Tls::read(host, &flags, &values);
    hosts::listens(host, &values, tls.on).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    /// A machine with a dockerd of these arguments as process 7, in this mount namespace.
    pub(crate) fn with_dockerd(args: &str, namespace: &str) -> Fake {
        let line = format!(
            "/usr/bin/dockerd\0{}",
            args.split_whitespace().map(|word| format!("{word}\0")).collect::<String>()
        );
        Fake::new()
            .file("/proc/7/stat", "7 (dockerd) S 1 7 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 9 0 10000 0 0\n")
            .file("/proc/7/cmdline", &line)
            .file("/proc/7/environ", "PATH=/usr/bin\0")
            .file("/proc/stat", "btime 1000\n")
            .link("/proc/7/exe", "/usr/bin/dockerd")
            .link("/proc/self/ns/mnt", "mnt:[1]")
            .link("/proc/7/ns/mnt", namespace)
            .node("/run/docker.sock", crate::host::FileKind::Socket)
            .link("/var/run", "/run")
    }

    fn found(host: &Fake, socket: &str) -> Running {
        Running::find(host, &Endpoint::Unix(socket.into()))
    }

    #[test]
    fn daemon_of_this_mount_namespace_is_found_by_its_socket() {
        let host = with_dockerd("--label a b", "mnt:[1]");
        for socket in ["/var/run/docker.sock", "/run/docker.sock"] {
            let Running::Here(command) = found(&host, socket) else { panic!("{socket}") };
            assert_eq!(
                (command.pid, command.program.as_str(), command.started),
                (7, "/usr/bin/dockerd", Some(1100))
            );
            assert_eq!(command.args, ["--label", "a", "b"]);
        }
        assert!(matches!(found(&host, "/other.sock"), Running::Elsewhere(_)));
        let other = with_dockerd("-H unix:///other.sock", "mnt:[1]");
        assert!(matches!(found(&other, "/other.sock"), Running::Here(_)));
        assert!(matches!(found(&other, "/run/docker.sock"), Running::Elsewhere(_)));
    }

    #[test]
    fn daemon_of_another_mount_namespace_is_not_judged() {
        let Running::Elsewhere(why) = found(&with_dockerd("", "mnt:[2]"), "/run/docker.sock") else {
            panic!()
        };
        assert_eq!(why, "dockerd, process 7, is in another mount namespace");
    }

    #[test]
    fn file_that_was_changed_after_the_start_is_newer() {
        let host = with_dockerd("", "mnt:[1]").file("/a", "").file("/b", "");
        let host = host
            .stat_of("/a", |stat| stat.mtime = 1_050_000_000_000)
            .stat_of("/b", |stat| stat.mtime = 2_000_000_000_000);
        let Running::Here(command) = found(&host, "/run/docker.sock") else { panic!() };
        assert!(
            !command.is_older_than(&host, Path::new("/a")) && command.is_older_than(&host, Path::new("/b"))
        );
    }
}
