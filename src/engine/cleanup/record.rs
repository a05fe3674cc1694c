//! The record of a run: what the next one must know where this one is killed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::made::Scope;
use super::place::Place;
use super::rundir::RunDir;
use crate::facts::daemon::Layout;
use crate::facts::endpoint::Endpoint;
use crate::facts::process::ProcessId;

/// The format of this version's records. Those of versions before it prove nothing.
pub const FORMAT: u32 = 2;

/// The content of the state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// Where the run was; `None` where that could not be read.
    pub place: Option<Place>,
    /// The dindcheck that wrote it.
    pub owner: Option<ProcessId>,
    /// The daemon, once it is started.
    pub daemon: Option<ProcessId>,
    /// Where it listens and keeps its files.
    pub layout: Layout,
    /// The endpoint of the daemon that the run attached to.
    pub attached: Option<Endpoint>,
    /// Whether the daemon is to run on.
    pub kept: bool,
    /// The entrypoint that took over the daemon, and stops it at its own end.
    pub keeper: Option<ProcessId>,
    /// The ids of the containers that the run made.
    pub containers: BTreeSet<String>,
    /// The pids of its containerds, of which some files have the names.
    #[serde(default)]
    pub containerds: BTreeSet<i32>,
}

/// The part of the record that every version writes.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// [`FORMAT`]; 0 in versions that did not write it.
    #[serde(default)]
    pub format: u32,
    /// The dindcheck that wrote it.
    pub owner: Option<ProcessId>,
}

/// A daemon that a run left running, as requested.
#[derive(Debug)]
pub struct KeptDaemon {
    /// Its process.
    pub pid: i32,
    /// Its log.
    pub log: PathBuf,
    /// Its run, which lives as long as this is held.
    pub run: RunDir,
}

impl Record {
    /// The record of a run before it does anything.
    pub fn new(place: Option<Place>, owner: Option<ProcessId>, layout: Layout) -> Self {
        Self {
            format: FORMAT,
            place,
            owner,
            daemon: None,
            layout,
            attached: None,
            kept: false,
            keeper: None,
            containers: BTreeSet::new(),
            containerds: BTreeSet::new(),
        }
    }

    /// Whose things are looked for.
    pub fn scope<'s>(&'s self, run: &'s str) -> Scope<'s> {
        Scope { layout: &self.layout, run, containers: &self.containers, containerds: &self.containerds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let host = crate::engine::cleanup::place::tests::machine().dir("/run/docker");
        let mut record = Record::new(
            Place::here(&host).ok(),
            Some(ProcessId { pid: 7, start: 5 }),
            Layout::read(&host, &[]),
        );
        record.containers.insert("ab".to_owned());
        record.containerds.insert(8);
        let stored = serde_json::to_vec(&record).unwrap();
        assert_eq!(serde_json::from_slice::<Record>(&stored).unwrap(), record);
        assert_eq!(serde_json::from_slice::<Header>(&stored).unwrap().format, FORMAT);
    }

    #[test]
    fn of_a_record_of_an_older_version_only_the_owner_is_read() {
        let stored = r#"{"owner": {"pid": 7, "start": 500}, "daemon": {"pid": 9, "start": 510},
            "options": {"data_root": "/var/lib/docker"}, "footprint": {"world": "net mnt 1"}, "kept": true}"#;
        let header: Header = serde_json::from_str(stored).unwrap();
        assert_eq!((header.format, header.owner), (0, Some(ProcessId { pid: 7, start: 500 })));
        assert!(serde_json::from_str::<Record>(stored).is_err());
    }
}
