//! The programs of iptables for one address family: they list the rules and take the changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::saved::Saved;
use crate::engine::cleanup::paths::real;
use crate::facts::programs::locate;
use crate::host::{HostError, HostResult, Ran, SystemReader, SystemWriter};

/// The deadline of a program: it takes milliseconds, or waits for a lock.
pub(in super::super) const TIMEOUT: Duration = Duration::from_secs(10);

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
}

impl Family {
    /// Its name in nft(8).
    pub const fn nft_name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// Its program.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Ip => "iptables",
            Self::Ip6 => "ip6tables",
        }
    }
}

/// The programs of one family, of the back end that dockerd uses: that of the program `iptables` in PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub family: Family,
    /// One program that does everything by its first argument (`xtables-nft-multi`), or else the one that saves.
    program: PathBuf,
    multi: bool,
}

impl Programs {
    /// Those in PATH; `None` where there are none.
    pub(super) fn find(host: &dyn SystemReader, family: Family) -> HostResult<Option<Self>> {
        let Some(program) = locate(host, family.program())? else { return Ok(None) };
        let program = real(host, &program)?;
        let multi = program.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-multi"));
        let beside = || program.with_file_name(format!("{}-save", family.program()));
        Ok(Some(Self { family, program: if multi { program.clone() } else { beside() }, multi }))
    }

    /// Whether the rules are in `nf_tables`.
    pub(super) fn is_nft(&self) -> bool {
        self.program.to_string_lossy().contains("nft")
    }

    /// The rules as they are. An error where they cannot be listed, or not all of them.
    pub(super) fn saved(&self, host: &dyn SystemReader) -> HostResult<Saved> {
        let save = format!("{}-save", self.family.program());
        let args: &[&str] = if self.multi { &[&save] } else { &[] };
        let ran = host.run(&self.program, args, TIMEOUT)?;
        let rules = ran.whole_stdout(&self.program)?;
        match ran.code {
            0 => Ok(Saved::parse(rules)),
            _ => Err(failed(&self.program, &ran)),
        }
    }

    /// Applies a script, which is written to a file in `scratch` for the program to read.
    pub(super) fn restore(&self, machine: &dyn SystemWriter, script: &str, scratch: &Path) -> HostResult<()> {
        let file = scratch.join(format!("{}.rules", self.family.nft_name()));
        // A run that was killed here may have left one.
        let _ = machine.remove_file(&file);
        machine.write(&file, script.as_bytes())?;
        let restore = format!("{}-restore", self.family.program());
        let beside = self.program.with_file_name(&restore);
        let (program, first) =
            if self.multi { (&self.program, Some(restore.as_str())) } else { (&beside, None) };
        let path = file.to_string_lossy();
        let args: Vec<&str> = first.into_iter().chain(["--noflush", &path]).collect();
        let ran = machine.execute(program, &args, TIMEOUT);
        let _ = machine.remove_file(&file);
        succeeded(program, ran)
    }
}

/// An exit code other than 0 is an error, with what the program printed.
pub(in super::super) fn succeeded(program: &Path, ran: HostResult<Ran>) -> HostResult<()> {
    let ran = ran?;
    if ran.code == 0 { Ok(()) } else { Err(failed(program, &ran)) }
}

fn failed(program: &Path, ran: &Ran) -> HostError {
    let op = format!("run ({}) ", ran.stderr.trim().replace('\n', " "));
    HostError::new(op, program, nix::errno::Errno::EPROTO)
}
