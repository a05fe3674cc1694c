//! Firewall rules that dockerd leaves: it removes none when it stops.
//!
//! `iptables-save` is run before and after, of the back end that dockerd uses (the program `iptables` in PATH). Rules that
//! are new, and that have the form of dockerd's, are removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Restored, real};
use crate::facts::programs::locate;
use crate::host::{HostError, SystemReader, SystemWriter};

mod diff;
mod saved;

use diff::{Undo, undo};
use saved::Saved;

/// The deadline of a program: it takes milliseconds, or waits for a lock.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The rules before, for IPv4 and IPv6.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rules(Vec<Family>);

/// The rules of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    /// Its name in nft: `ip`, `ip6`.
    #[serde(rename = "word")]
    nft_name: String,
    /// The program behind `iptables`: one for everything, or the one that saves.
    program: PathBuf,
    /// The first argument by which one program for everything saves.
    save: Option<String>,
    /// The same for restoring.
    restore: Option<String>,
    before: Saved,
}

impl Rules {
    /// Takes the snapshot.
    pub(super) fn take(host: &dyn SystemReader) -> Self {
        let families = [("ip", "iptables"), ("ip6", "ip6tables")];
        Self(families.into_iter().filter_map(|(nft_name, name)| Family::take(host, nft_name, name)).collect())
    }

    /// Removes the rules that name an interface. They are listed once, so that nothing newer is removed.
    pub(super) fn remove_of(
        interface: &str,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        scratch: &Path,
        done: &mut Restored,
    ) {
        for family in Self::take(host).0 {
            let undo = undo(&family.before.without(interface), &family.before, false);
            family.remove(machine, &undo, scratch, done);
        }
    }

    /// Removes dockerd's new rules.
    pub(super) fn restore(
        &self,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        scratch: &Path,
        done: &mut Restored,
    ) {
        let mut tables = Vec::new();
        for family in &self.0 {
            let Some(now) = family.saved(host) else { continue };
            let nft = locate(host, "nft").filter(|_| family.is_nft());
            let undo = undo(&family.before, &now, nft.is_some());
            tables
                .extend(undo.tables.iter().map(|table| format!("delete table {} {table};", family.nft_name)));
            family.remove(machine, &undo, scratch, done);
        }
        if let (false, Some(nft)) = (tables.is_empty(), locate(host, "nft")) {
            let ran = machine.execute(&nft, &[&tables.join(" ")], TIMEOUT);
            done.note(format!("firewall: {}", tables.join(" ")), succeeded(&nft, ran));
        }
    }
}

impl Family {
    /// Takes the snapshot of one family. `None` where its program is missing or fails.
    fn take(host: &dyn SystemReader, nft_name: &str, name: &str) -> Option<Self> {
        let program = real(host, &locate(host, name)?);
        // iptables is mostly a link to one program that does everything by its first argument, so that its save is of the
        // same back end.
        let multi = program.file_name()?.to_string_lossy().ends_with("-multi");
        let named = |what: &str| multi.then(|| format!("{name}-{what}"));
        let beside = |what: &str| program.with_file_name(format!("{name}-{what}"));
        let mut family = Self {
            nft_name: nft_name.to_owned(),
            save: named("save"),
            restore: named("restore"),
            program: if multi { program.clone() } else { beside("save") },
            before: Saved::default(),
        };
        family.before = family.saved(host)?;
        Some(family)
    }

    /// Whether the rules are in `nf_tables`.
    fn is_nft(&self) -> bool {
        self.program.to_string_lossy().contains("nft")
    }

    /// The rules as they are; `None` where they cannot be listed.
    fn saved(&self, host: &dyn SystemReader) -> Option<Saved> {
        let args: Vec<&str> = self.save.as_deref().into_iter().collect();
        let ran = host.run(&self.program, &args, TIMEOUT).ok()?;
        let rules = ran.whole_stdout(&self.program).ok()?;
        (ran.code == 0).then(|| Saved::parse(rules))
    }

    /// Runs the script, where there is one.
    fn remove(&self, machine: &dyn SystemWriter, undo: &Undo, scratch: &Path, done: &mut Restored) {
        if !undo.script.is_empty() {
            let result = self.apply(machine, undo, scratch);
            done.note(format!("firewall rules of dockerd ({})", self.nft_name), result);
        }
    }

    /// Writes the script to a file, and has the program read it.
    fn apply(&self, machine: &dyn SystemWriter, undo: &Undo, scratch: &Path) -> Result<(), HostError> {
        let file = scratch.join(format!("{}.rules", self.nft_name));
        machine.write(&file, undo.script.as_bytes())?;
        let path = file.to_string_lossy();
        let restore = self.program.to_string_lossy().replace("-save", "-restore");
        let program = if self.restore.is_some() { self.program.clone() } else { PathBuf::from(restore) };
        let first: Vec<&str> = self.restore.as_deref().into_iter().collect();
        let args = [first, vec!["--noflush", &path]].concat();
        let ran = machine.execute(&program, &args, TIMEOUT);
        let _ = machine.remove_file(&file);
        succeeded(&program, ran)
    }
}

/// An exit code other than 0 is an error, with what the program printed.
fn succeeded(program: &Path, ran: crate::host::HostResult<crate::host::Ran>) -> Result<(), HostError> {
    let ran = ran?;
    if ran.code == 0 {
        return Ok(());
    }
    let op = format!("run ({}) ", ran.stderr.trim().replace('\n', " "));
    Err(HostError::new(op, program, nix::errno::Errno::EPROTO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    const MULTI: &str = "/usr/sbin/xtables-nft-multi";

    #[test]
    fn the_save_program_of_the_same_back_end_is_used() {
        let host = Fake::new()
            .variable("PATH", "/usr/sbin")
            .program(&format!("{MULTI} iptables-save"), 0, "*nat\n:DOCKER - [0:0]\nCOMMIT\n")
            .link("/usr/sbin/iptables", "/etc/alternatives/iptables")
            .link("/etc/alternatives/iptables", MULTI);
        let rules = Rules::take(&host);
        assert_eq!(rules.0.len(), 1);
        assert!(rules.0[0].is_nft());
        assert_eq!(rules.0[0].program, Path::new(MULTI));
    }

    #[test]
    fn only_the_rules_that_name_an_interface_are_removed_with_it() {
        let ours = "br-cafe00000000";
        let rules = &format!(
            "*nat\n-A POSTROUTING ! -o {ours} -j MASQUERADE\n-A POSTROUTING ! -o docker0 -j MASQUERADE\nCOMMIT\n"
        );
        let now = Saved::parse(rules);
        let undo = undo(&now.without(ours), &now, true);
        assert_eq!(undo.script, format!("*nat\n-D POSTROUTING ! -o {ours} -j MASQUERADE\nCOMMIT\n"));
        assert!(undo.tables.is_empty());
    }

    #[test]
    fn without_the_program_nothing_is_done() {
        let host = Fake::new().variable("PATH", "/usr/sbin");
        let rules = Rules::take(&host);
        let mut done = Restored::default();
        rules.restore(&host, &host, Path::new("/tmp"), &mut done);
        assert_eq!(done, Restored::default());
    }
}
