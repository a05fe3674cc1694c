//! The account of a run: what existed before its dockerd was started, and what was seen while it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{KINDS, Kind, Removal, Scope, Thing};
use crate::engine::cleanup::others::Others;
use crate::engine::cleanup::place::Place;
use crate::host::{SystemReader, SystemWriter};

/// What was seen of one kind, or why it could not be looked at.
type Look = Result<BTreeSet<Thing>, String>;

/// The account, stored with the run's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    before: BTreeMap<Kind, Look>,
    seen: BTreeSet<Thing>,
}

/// Where a removal takes place.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'s> {
    /// Where the run was.
    pub then: Option<&'s Place>,
    /// Where we are.
    pub here: Option<&'s Place>,
    /// Other daemons here.
    pub others: &'s Others,
    /// The run's own dindcheck removes: its dockerd has just ended, so that what is new is what that made.
    pub own: bool,
    /// Nothing below /etc is removed.
    pub spare_etc: bool,
}

impl Ledger {
    /// Opens it before the dockerd is started.
    pub fn open(host: &dyn SystemReader, scope: &Scope<'_>) -> Self {
        let before = KINDS.into_iter().map(|kind| (kind, look(host, scope, kind)));
        Self { before: before.collect(), seen: BTreeSet::new() }
    }

    /// Records what is new of these kinds. The run's dockerd runs, or has just ended: with the names that dockerd gives,
    /// in the places that it owns, and without another daemon there, it is what made them.
    pub fn record(&mut self, host: &dyn SystemReader, scope: &Scope<'_>, kinds: &[Kind], others: &Others) {
        for kind in kinds {
            if user(*kind, others).is_some() {
                continue;
            }
            let (Some(Ok(before)), Ok(now)) = (self.before.get(kind), look(host, scope, *kind)) else {
                continue;
            };
            self.seen.extend(now.into_iter().filter(|thing| is_new(thing, before)));
        }
    }

    /// Removes what is provably the run's; everything else stays, and what may be the run's is listed. The daemon and
    /// everything that ran under it must have ended. `scratch` is a directory of ours for a file that a program reads.
    pub fn remove(
        &self,
        host: &dyn SystemReader,
        machine: &dyn SystemWriter,
        scope: &Scope<'_>,
        standing: &Standing<'_>,
        scratch: &Path,
    ) -> Removal {
        let mut done = Removal::default();
        for kind in KINDS {
            if standing.reaches(kind) {
                self.remove_kind(kind, (host, machine), scope, standing, scratch, &mut done);
            } else if standing.then.is_none() || standing.here.is_none() {
                done.unknown(kind, "the namespaces of that run, or ours, could not be read");
            }
        }
        done
    }

    fn remove_kind(
        &self,
        kind: Kind,
        (host, machine): (&dyn SystemReader, &dyn SystemWriter),
        scope: &Scope<'_>,
        standing: &Standing<'_>,
        scratch: &Path,
        done: &mut Removal,
    ) {
        let now = match look(host, scope, kind) {
            Ok(now) => now,
            Err(error) => return done.unknown(kind, &error),
        };
        let other = user(kind, standing.others);
        let (ours, unproven) = self.sorted(kind, &now, scope, standing);
        match (other, self.before.get(&kind)) {
            (Some(other), _) => {
                done.leave(&ours, &format!("{other} may use it"));
                return done.share(kind, &unproven, other);
            }
            (None, Some(Err(error))) if now.len() > ours.len() => done.unknown(kind, error),
            // What is new, and was not seen while the dockerd ran, may be somebody else's.
            (None, _) => done.leave(&unproven, "it may be somebody else's"),
        }
        let in_etc = |thing: &Thing| matches!(thing, Thing::File(node) if node.path.starts_with("/etc"));
        let (spared, ours): (Vec<Thing>, Vec<Thing>) =
            ours.into_iter().partition(|thing| standing.spare_etc && in_etc(thing));
        done.leave(&spared, "/etc may be the host's");
        let nothing = BTreeSet::new();
        let before = self.before.get(&kind).and_then(|look| look.as_ref().ok()).unwrap_or(&nothing);
        super::removal::remove(kind, &ours, before, (host, machine), scratch, done);
    }

    /// Whether a mount of the run was on this file: while it was, the file itself could not be seen.
    fn has_seen_mount_on(&self, thing: &Thing) -> bool {
        let Thing::File(node) = thing else { return false };
        self.seen.iter().any(|seen| matches!(seen, Thing::Mount(mount) if mount.target == node.path))
    }

    /// What is provably the run's, and what is new and may be.
    fn sorted(
        &self,
        kind: Kind,
        now: &BTreeSet<Thing>,
        scope: &Scope<'_>,
        standing: &Standing<'_>,
    ) -> (Vec<Thing>, Vec<Thing>) {
        let before = self.before.get(&kind).and_then(|look| look.as_ref().ok());
        let is_new = |thing: &Thing| before.is_some_and(|before| is_new(thing, before));
        let alone = standing.own && user(kind, standing.others).is_none();
        let is_ours = |thing: &Thing| {
            if let Some(is_written_by_ours) = thing.is_written_by(scope.containerds) {
                return is_written_by_ours && is_new(thing);
            }
            let is_named = thing.is_named_by(scope.run, scope.containers);
            let is_carrier = self.has_seen_mount_on(thing);
            is_named || self.seen.contains(thing) || ((alone || is_carrier) && is_new(thing))
        };
        let (ours, rest): (Vec<Thing>, Vec<Thing>) = now.iter().cloned().partition(|thing| is_ours(thing));
        // A run that ends in order knows the containerds that it had.
        let is_others = |thing: &Thing| standing.own && thing.is_written_by(scope.containerds).is_some();
        let unproven = rest
            .into_iter()
            .filter(|thing| is_new(thing) && standing.is_unchanged(kind) && !is_others(thing));
        (ours, unproven.collect())
    }
}

impl Standing<'_> {
    /// Whether things of this kind are still where the run saw them. Inodes are the same for every namespace.
    fn reaches(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Files) || self.is_unchanged(kind)
    }

    /// Whether we see what the run saw of this kind.
    fn is_unchanged(&self, kind: Kind) -> bool {
        let (Some(then), Some(here)) = (self.then, self.here) else { return self.own };
        match kind {
            Kind::Mounts | Kind::Cgroups | Kind::Files => here.has_mounts_of(then),
            Kind::Links | Kind::Rules | Kind::Rules6 | Kind::Tables | Kind::Sysctls => {
                here.has_network_of(then)
            }
        }
    }
}

/// Another daemon that may use things of this kind.
fn user(kind: Kind, others: &Others) -> Option<&String> {
    match kind {
        Kind::Mounts | Kind::Files => others.directories.as_ref(),
        // A daemon that is only seen by its socket or its locks may be in this network as well.
        Kind::Links | Kind::Rules | Kind::Rules6 | Kind::Tables | Kind::Sysctls | Kind::Cgroups => {
            others.any()
        }
    }
}

/// Whether a thing did not exist before. A file, cgroup, interface or table of the same name counts as the same thing: somebody
/// replaced it, or an overlay file system copied it up, which gives it another inode.
fn is_new(thing: &Thing, before: &BTreeSet<Thing>) -> bool {
    !before.contains(thing) && !before.iter().any(|known| known.has_name_of(thing))
}

fn look(host: &dyn SystemReader, scope: &Scope<'_>, kind: Kind) -> Look {
    let things = kind.look(host, scope).map_err(|error| error.to_string())?;
    Ok(things.into_iter().collect())
}

#[cfg(test)]
mod failures;
#[cfg(test)]
mod tests;
