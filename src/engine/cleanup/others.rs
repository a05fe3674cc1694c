//! Other daemons beside the one of a run: what they may use is left alone.

use std::path::{Path, PathBuf};

use super::paths::may_be_same;
use super::processes;
use crate::facts::daemon::Layout;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::{self, Process};
use crate::host::{HostResult, SystemReader};

/// What of a run is still alive, and so may be the one that answers and holds the locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    /// Its dockerd.
    Dockerd,
    /// Only what its dockerd started, such as a containerd, which another dockerd may use by now.
    Remains,
    /// Nothing.
    Nothing,
}

/// The other daemons here; each is described for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// One in this network namespace.
    pub network: Option<String>,
    /// One that uses the same exec root, data root, pid file or socket.
    pub directories: Option<String>,
}

impl Others {
    /// Looks for them. `alive`: what of the run itself may answer and hold locks.
    ///
    /// # Errors
    ///
    /// Where /proc, a socket or a database cannot be looked at.
    pub fn look(host: &dyn SystemReader, layout: &Layout, run: &str, alive: Alive) -> HostResult<Self> {
        let mut others = Self::default();
        for process in process::all(host)?.iter().filter(|process| is_foreign(host, process, run)) {
            let named = || Some(format!("dockerd, process {}", process.id.pid));
            if shares(host, process, "net") {
                others.network = others.network.or_else(named);
            }
            if shares(host, process, "mnt") && uses_directories_of(host, process, layout) {
                others.directories = others.directories.or_else(named);
            }
        }
        if alive != Alive::Dockerd && others.directories.is_none() {
            others.directories = user_of(host, layout, alive)?;
        }
        Ok(others)
    }

    /// Whether there is one at all.
    pub fn any(&self) -> Option<&String> {
        self.network.as_ref().or(self.directories.as_ref())
    }
}

/// Whether a process is a dockerd of another run, or of nobody.
fn is_foreign(host: &dyn SystemReader, process: &Process, run: &str) -> bool {
    let is_dockerd = process.is_program("dockerd") || process.is_program("docker-dind");
    is_dockerd && !process.zombie && !processes::is_labelled(host, process, run)
}

/// Whether a process shares a namespace with us. One whose namespace cannot be read may share it.
fn shares(host: &dyn SystemReader, process: &Process, namespace: &str) -> bool {
    let of = |who: &str| host.read_link(Path::new(&format!("/proc/{who}/ns/{namespace}"))).ok();
    let theirs = of(&process.id.pid.to_string());
    theirs.is_none() || theirs == of("self")
}

/// Whether the command line of a dockerd leads to a directory, pid file or socket of this layout.
fn uses_directories_of(host: &dyn SystemReader, process: &Process, layout: &Layout) -> bool {
    let args: Vec<String> = process.command.split(' ').skip(1).map(ToOwned::to_owned).collect();
    let theirs = Layout::read(host, &args);
    let same = |a: &PathBuf, b: &PathBuf| !a.as_os_str().is_empty() && may_be_same(host, a, b);
    same(&theirs.exec_root, &layout.exec_root)
        || same(&theirs.data_root, &layout.data_root)
        || same(&theirs.pidfile, &layout.pidfile)
        || theirs.endpoint == layout.endpoint
}

/// Who uses the directories from elsewhere, such as from another process namespace: something answers at a socket, or
/// holds the lock of a database.
fn user_of(host: &dyn SystemReader, layout: &Layout, alive: Alive) -> HostResult<Option<String>> {
    let containerd = layout.exec_root.join("containerd/containerd.sock");
    let mut sockets = Vec::new();
    if let Endpoint::Unix(socket) = &layout.endpoint {
        sockets.push(socket.clone());
    }
    if alive == Alive::Nothing {
        sockets.push(containerd);
    }
    if let Some(socket) = sockets.iter().find(|socket| host.connect(socket).is_ok()) {
        return Ok(Some(format!("something that answers at {}", socket.display())));
    }
    let database = layout.data_root.join("volumes/metadata.db");
    match host.is_locked(&database) {
        Ok(locked) => Ok(locked.then(|| format!("a daemon that holds the lock of {}", database.display()))),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn dockerd(host: Fake, pid: i32, args: &str, network: &str, mounts: &str) -> Fake {
        let stat = format!("{pid} (dockerd) S 1 {pid} 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 {pid}0 0");
        host.file(&format!("/proc/{pid}/stat"), &stat)
            .file(&format!("/proc/{pid}/cmdline"), &format!("/usr/bin/dockerd {args}").replace(' ', "\0"))
            .file(&format!("/proc/{pid}/environ"), "PATH=/\0")
            .link(&format!("/proc/{pid}/ns/net"), network)
            .link(&format!("/proc/{pid}/ns/mnt"), mounts)
    }

    fn machine() -> Fake {
        Fake::new()
            .dir("/proc")
            .link("/proc/self/ns/net", "net:[1]")
            .link("/proc/self/ns/mnt", "mnt:[1]")
            .dir("/run")
            .link("/var/run", "/run")
    }

    fn look(host: &Fake) -> Others {
        Others::look(host, &Layout::read(host, &[]), "cafe0123", Alive::Nothing).unwrap()
    }

    #[test]
    fn a_daemon_in_the_same_network_uses_the_network_and_one_with_the_same_directories_those() {
        assert_eq!(look(&machine()), Others::default());
        let elsewhere = look(&dockerd(machine(), 7, "", "net:[2]", "mnt:[2]"));
        assert_eq!(elsewhere, Others::default());
        let beside = "--exec-root=/a --data-root=/b -p /c -H unix:///d";
        let beside = look(&dockerd(machine(), 7, beside, "net:[1]", "mnt:[1]"));
        assert!(beside.network.is_some() && beside.directories.is_none(), "{beside:?}");
        let same = look(&dockerd(
            machine(),
            7,
            "--exec-root /run/docker --data-root=/b -p /c -H unix:///d",
            "net:[2]",
            "mnt:[1]",
        ));
        assert!(same.network.is_none() && same.directories.is_some(), "{same:?}");
    }

    #[test]
    fn the_dockerd_of_the_run_is_no_other() {
        let host = dockerd(machine(), 7, "", "net:[1]", "mnt:[1]");
        host.set("/proc/7/environ", "DINDCHECK_RUN=cafe0123\0");
        assert_eq!(look(&host), Others::default());
    }

    #[test]
    fn a_daemon_of_another_process_namespace_is_known_by_its_socket() {
        let host = machine().file("/run/docker.sock", "");
        assert!(look(&host).directories.unwrap().contains("/var/run/docker.sock"));
    }

    #[test]
    fn the_containerd_of_a_dead_run_is_no_other_daemon_as_long_as_it_lives() {
        let host = machine().file("/run/docker/containerd/containerd.sock", "");
        assert!(look(&host).directories.unwrap().contains("containerd.sock"));
        let layout = Layout::read(&host, &[]);
        let beside = Others::look(&host, &layout, "cafe0123", Alive::Remains).unwrap();
        assert_eq!(beside, Others::default());
        host.set("/run/docker.sock", "");
        assert!(Others::look(&host, &layout, "cafe0123", Alive::Remains).unwrap().directories.is_some());
    }

    #[test]
    fn a_failed_look_is_an_error_and_not_an_absence() {
        let host = machine().fails("list", "/proc", nix::errno::Errno::EIO, None);
        assert!(Others::look(&host, &Layout::read(&host, &[]), "cafe0123", Alive::Nothing).is_err());
    }
}
