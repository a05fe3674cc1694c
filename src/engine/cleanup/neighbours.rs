//! Other dindchecks that live: which of them runs a daemon in the same directories.

use std::path::Path;

use super::paths::{may_be_same, real};
use super::place::Place;
use super::record::Record;
use super::rundir::{HOMES, STATE};
use crate::facts::daemon::Layout;
use crate::host::{HostResult, SystemReader};

/// Another run that starts or runs a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its id.
    pub run: String,
    /// The path that both daemons would use.
    pub path: String,
}

/// The living run whose daemon uses a directory, pid file or socket of this layout.
///
/// # Errors
///
/// Where the runs cannot be listed, or a lock cannot be looked at.
pub fn with_daemon_in(host: &dyn SystemReader, layout: &Layout, own: &str) -> HostResult<Option<Neighbour>> {
    let here = Place::here(host).ok();
    for home in HOMES.iter().map(Path::new) {
        let runs = match host.list(home) {
            Err(error) if error.is_absent() => continue,
            runs => runs?,
        };
        for run in runs.into_iter().filter(|run| run != own) {
            let dir = home.join(&run);
            if !is_locked(host, &dir)? {
                continue;
            }
            let Some(record) = read(host, &dir) else { continue };
            let shares_mounts =
                matches!((&record.place, &here), (Some(then), Some(here)) if here.has_mounts_of(then));
            if let Some(path) = shared(host, &record, layout, shares_mounts) {
                return Ok(Some(Neighbour { run: run.to_string_lossy().into_owned(), path }));
            }
        }
    }
    Ok(None)
}

/// Whether the lock of a run is held. A run that is gone holds none.
fn is_locked(host: &dyn SystemReader, dir: &Path) -> HostResult<bool> {
    match host.is_locked(dir) {
        Err(error) if error.is_absent() => Ok(false),
        locked => locked,
    }
}

/// The record of a run that starts a daemon.
fn read(host: &dyn SystemReader, dir: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&host.read(&dir.join(STATE)).ok()?).ok()?;
    Some(record).filter(|record| record.attached.is_none())
}

/// The first path that both use. A data root of another container is another directory even where it has the same path;
/// what lies in /run does not, since the record itself was found there.
fn shared(host: &dyn SystemReader, record: &Record, layout: &Layout, mounts: bool) -> Option<String> {
    let theirs = &record.layout;
    let same = |a: &Path, b: &Path| !a.as_os_str().is_empty() && may_be_same(host, a, b);
    let in_run = |path: &Path| mounts || real(host, path).is_ok_and(|path| path.starts_with("/run"));
    let pairs = [
        (&theirs.pidfile, &layout.pidfile),
        (&theirs.exec_root, &layout.exec_root),
        (&theirs.data_root, &layout.data_root),
    ];
    let shared = pairs.into_iter().find(|(a, b)| same(a, b) && in_run(a));
    let path = shared.map(|(path, _)| path.display().to_string());
    path.or_else(|| (theirs.endpoint == layout.endpoint).then(|| layout.endpoint.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cleanup::place::tests::machine;
    use crate::host::fake::Fake;

    fn with_run(record: &Record) -> Fake {
        let record = serde_json::to_string(record).unwrap();
        machine().dir("/run").link("/var/run", "/run").file("/run/dindcheck/beef/state.json", &record)
    }

    fn record(args: &[&str]) -> Record {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let host = machine();
        Record::new(Place::here(&host).ok(), None, Layout::read(&host, &args))
    }

    fn found(host: &Fake) -> Option<String> {
        with_daemon_in(host, &Layout::read(host, &[]), "cafe").unwrap().map(|other| other.path)
    }

    #[test]
    fn only_a_living_run_with_the_same_directories_is_a_neighbour() {
        let same = record(&[]);
        assert_eq!(found(&with_run(&same)), None, "its lock is free");
        assert_eq!(
            found(&with_run(&same).locked("/run/dindcheck/beef")).as_deref(),
            Some("/var/run/docker.pid")
        );
        let elsewhere = record(&["--exec-root=/a", "--data-root=/b", "-p=/c", "-H=unix:///d"]);
        assert_eq!(found(&with_run(&elsewhere).locked("/run/dindcheck/beef")), None);
    }

    #[test]
    fn the_data_root_of_another_container_is_another_directory() {
        let mut other = record(&["--exec-root=/a", "-p=/c", "-H=unix:///d"]);
        assert!(found(&with_run(&other).locked("/run/dindcheck/beef")).is_some());
        other.place = None;
        assert_eq!(found(&with_run(&other).locked("/run/dindcheck/beef")), None);
    }

    #[test]
    fn runs_that_cannot_be_listed_are_an_error() {
        let host = with_run(&record(&[])).fails("list", "/run/dindcheck", nix::errno::Errno::EACCES, None);
        assert!(with_daemon_in(&host, &Layout::read(&host, &[]), "cafe").is_err());
    }
}
