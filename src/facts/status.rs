//! What may this process do? /proc/self/status, parsed (see proc_pid_status(5)).

use std::path::Path;

use anyhow::Context;

use super::caps::CapSet;
use crate::host::SystemReader;

/// Where the kernel tells it.
const STATUS: &str = "/proc/self/status";

/// The system-call filter of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// None; also where the kernel has no seccomp and says nothing.
    Off,
    /// Only read, write and exit.
    Strict,
    /// A filter program.
    Filter,
}

/// The part of it that decides about privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What counts now.
    pub effective: CapSet,
    /// What no program started from here can exceed.
    pub bounding: CapSet,
    /// Set-user-id programs and file capabilities give nothing. Kernels before 4.10 do not tell: false.
    pub no_new_privs: bool,
    /// The filter.
    pub seccomp: Seccomp,
}

impl Status {
    /// Reads it.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        Self::parse(&host.read_text(Path::new(STATUS))?)
            .with_context(|| format!("{STATUS} is not as expected"))
    }

    /// Parses the text of a status file. Sets that are missing are an error, never an empty set.
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
    fn reads_a_status_file() {
        let text = "Name:\tsh\nCapInh:\t0\nCapEff:\t00000000a80425fb\nCapBnd:\t000001fffeffffff\n\
                    NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let status = Status::parse(text).unwrap();
        assert_eq!(status.effective, CapSet(0xa804_25fb));
        assert!(status.no_new_privs);
        assert_eq!(status.seccomp, Seccomp::Filter);
    }

    #[test]
    fn an_old_kernel_says_less() {
        let status = Status::parse("CapEff:\t0000003fffffffff\nCapBnd:\t0000003fffffffff\n").unwrap();
        assert!(!status.no_new_privs);
        assert_eq!(status.seccomp, Seccomp::Off);
    }

    #[test]
    fn sets_that_are_missing_are_no_empty_sets() {
        for text in ["", "CapEff:\t\nCapBnd:\t0\n", "CapEff:\tzz\nCapBnd:\t0\n", "CapBnd:\t0\n"] {
            assert!(Status::parse(text).is_err(), "{text:?}");
        }
    }
}
