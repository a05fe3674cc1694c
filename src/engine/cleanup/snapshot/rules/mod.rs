//! Which firewall rules does dockerd leave? All of them: it removes none when it stops.
//!
//! `iptables-save` before and after, of the same back end that dockerd uses (the program `iptables` in PATH);
//! what is new, and dockerd's by its looks, goes away again.

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

/// These programs take milliseconds, or wait for a lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rules that were there, for IPv4 and IPv6.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rules(Vec<Family>);

/// The rules of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    /// nft's word for it: `ip`, `ip6`.
    word: String,
    /// The program behind `iptables`, and what its save is called.
    program: PathBuf,
    save: Option<String>,
    restore: Option<String>,
    before: Saved,
}

impl Rules {
    /// Looks.
    pub(super) fn take(host: &dyn SystemReader) -> Self {
        let families = [("ip", "iptables"), ("ip6", "ip6tables")];
        Self(families.into_iter().filter_map(|(word, name)| Family::take(host, word, name)).collect())
    }

    /// Removes the rules that name an interface, and nothing that comes to be meanwhile: one picture is before and after.
    pub(super) fn remove_of(
        name: &str,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        scratch: &Path,
        done: &mut Restored,
    ) {
        for family in Self::take(host).0 {
            let undo = undo(&family.before.without(name), &family.before, false);
            family.remove(machine, &undo, scratch, done);
        }
    }

    /// Removes dockerd's rules that came to be.
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
            tables.extend(undo.tables.iter().map(|table| format!("delete table {} {table};", family.word)));
            family.remove(machine, &undo, scratch, done);
        }
        if let (false, Some(nft)) = (tables.is_empty(), locate(host, "nft")) {
            let ran = machine.execute(&nft, &[&tables.join(" ")], PATIENCE);
            done.note(format!("firewall: {}", tables.join(" ")), succeeded(&nft, ran));
        }
    }
}

impl Family {
    /// Looks at one family. `None` where there is no program for it.
    fn take(host: &dyn SystemReader, word: &str, name: &str) -> Option<Self> {
        let program = real(host, &locate(host, name)?);
        // iptables is mostly a link to one program that does everything by its first argument; its save then
        // is sure to be of the same back end.
        let multi = program.file_name()?.to_string_lossy().ends_with("-multi");
        let named = |what: &str| multi.then(|| format!("{name}-{what}"));
        let beside = |what: &str| program.with_file_name(format!("{name}-{what}"));
        let mut family = Self {
            word: word.to_owned(),
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

    /// The rules as they are.
    fn saved(&self, host: &dyn SystemReader) -> Option<Saved> {
        let args: Vec<&str> = self.save.as_deref().into_iter().collect();
        let ran = host.run(&self.program, &args, PATIENCE).ok()?;
        let rules = ran.whole_stdout(&self.program).ok()?;
        (ran.code == 0).then(|| Saved::parse(rules))
    }

    /// Removes rules, where there are any to remove.
    fn remove(&self, machine: &dyn SystemWriter, undo: &Undo, scratch: &Path, done: &mut Restored) {
        if !undo.script.is_empty() {
            let result = self.apply(machine, undo, scratch);
            done.note(format!("firewall rules of dockerd ({})", self.word), result);
        }
    }

    /// Gives a script to the program.
    fn apply(&self, machine: &dyn SystemWriter, undo: &Undo, scratch: &Path) -> Result<(), HostError> {
        let file = scratch.join(format!("{}.rules", self.word));
        machine.write(&file, undo.script.as_bytes())?;
        let path = file.to_string_lossy();
        let restore = self.program.to_string_lossy().replace("-save", "-restore");
        let program = if self.restore.is_some() { self.program.clone() } else { PathBuf::from(restore) };
        let first: Vec<&str> = self.restore.as_deref().into_iter().collect();
        let args = [first, vec!["--noflush", &path]].concat();
        let ran = machine.execute(&program, &args, PATIENCE);
        let _ = machine.remove_file(&file);
        succeeded(&program, ran)
    }
}

/// A program that complained is an error.
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
    fn the_save_of_the_same_back_end_is_used() {
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
    fn of_an_interface_only_the_rules_that_name_it_are_taken_for_new() {
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
    fn without_the_program_there_is_nothing_to_do() {
        let host = Fake::new().variable("PATH", "/usr/sbin");
        let rules = Rules::take(&host);
        let mut done = Restored::default();
        rules.restore(&host, &host, Path::new("/tmp"), &mut done);
        assert_eq!(done, Restored::default());
    }
}
