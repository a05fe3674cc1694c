//! The privileges of this process, from /proc/self/status (proc_pid_status(5)).

use std::path::Path;

use anyhow::Context;

use super::caps::CapSet;
use crate::host::SystemReader;

/// The status file of this process.
const STATUS: &str = "/proc/self/status";

/// The system-call filter of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// None, or a kernel without seccomp, which has no such field.
    Off,
    /// Strict mode: read, write and exit only.
    Strict,
    /// A filter.
    Filter,
}

/// The fields that decide about privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The effective set.
    pub effective: CapSet,
    /// The bounding set, which no program that is started from here can exceed.
    pub bounding: CapSet,
    /// `NoNewPrivs`: set-user-ID programs and file capabilities have no effect. False on kernels before 4.10, which do not
    /// show it.
    pub no_new_privs: bool,
    /// The seccomp mode.
    pub seccomp: Seccomp,
}

impl Status {
    /// Reads /proc/self/status. An error where it cannot be read or a set is missing.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        Self::parse(&host.read_text(Path::new(STATUS))?)
            .with_context(|| format!("{STATUS} is not as expected"))
    }

    /// Parses the text of a status file. A missing set is an error, never an empty set.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let field = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        let set = |key: &str| {
            let hex = field(key).with_context(|| format!("no {key} in it"))?;
            CapSet::parse(hex).with_context(|| format!("{key} is `{hex}`"))
        };
        Ok(Self {
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            no_new_privs: field("NoNewPrivs") == Some("1"),
            seccomp: match field("Seccomp") {
                None | Some("0") => Seccomp::Off,
                Some("1") => Seccomp::Strict,
                Some(_) => Seccomp::Filter,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_file_is_parsed() {
        let text = "Name:\tsh\nCapInh:\t0\nCapEff:\t00000000a80425fb\nCapBnd:\t000001fffeffffff\n\
                    NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let status = Status::parse(text).unwrap();
        assert_eq!(status.effective, CapSet(0xa804_25fb));
        assert!(status.no_new_privs);
        assert_eq!(status.seccomp, Seccomp::Filter);
    }

    #[test]
    fn missing_fields_of_an_old_kernel_are_off() {
        let status = Status::parse("CapEff:\t0000003fffffffff\nCapBnd:\t0000003fffffffff\n").unwrap();
        assert!(!status.no_new_privs);
        assert_eq!(status.seccomp, Seccomp::Off);
    }

    #[test]
    fn missing_set_is_an_error() {
        for text in ["", "CapEff:\t\nCapBnd:\t0\n", "CapEff:\tzz\nCapBnd:\t0\n", "CapBnd:\t0\n"] {
            assert!(Status::parse(text).is_err(), "{text:?}");
        }
    }
}
