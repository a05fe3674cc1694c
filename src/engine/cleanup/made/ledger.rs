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
            self.seen.extend(new(&now, before).cloned());
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
        for kind in KINDS.into_iter().filter(|kind| standing.reaches(*kind)) {
            self.remove_kind(kind, (host, machine), scope, standing, scratch, &mut done);
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
        let before = self.before.get(&kind);
        let is_new = |thing: &Thing| matches!(before, Some(Ok(before)) if is_new(thing, before));
        let other = user(kind, standing.others);
        let is_ours = |thing: &&Thing| {
            let is_named = thing.is_named_by(scope.run, scope.containers);
            is_named || self.seen.contains(*thing) || (standing.own && other.is_none() && is_new(thing))
        };
        let ours: Vec<Thing> = now.iter().filter(is_ours).cloned().collect();
        let known = ours.len();
        if let Some(other) = other {
            return done.leave(&ours, &format!("{other} may use it"));
        }
        match before {
            // What is new, and was not seen while the dockerd ran, may be somebody else's.
            Some(Ok(before)) if standing.is_unchanged(kind) => {
                let unproven: Vec<Thing> =
                    new(&now, before).filter(|thing| !is_ours(thing)).cloned().collect();
                done.leave(&unproven, "it may be somebody else's");
            }
            Some(Err(error)) if now.len() > known => done.unknown(kind, error),
            _ => {}
        }
        let in_etc = |thing: &Thing| matches!(thing, Thing::File(node) if node.path.starts_with("/etc"));
        let (spared, ours): (Vec<Thing>, Vec<Thing>) =
            ours.into_iter().partition(|thing| standing.spare_etc && in_etc(thing));
        done.leave(&spared, "/etc may be the host's");
        let nothing = BTreeSet::new();
        let before = before.and_then(|look| look.as_ref().ok()).unwrap_or(&nothing);
        super::removal::remove(kind, &ours, before, (host, machine), scratch, done);
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
            Kind::Links | Kind::Rules | Kind::Rules6 | Kind::Sysctls => here.has_network_of(then),
        }
    }
}

/// Another daemon that may use things of this kind.
fn user(kind: Kind, others: &Others) -> Option<&String> {
    match kind {
        Kind::Mounts | Kind::Files => others.directories.as_ref(),
        Kind::Links | Kind::Rules | Kind::Rules6 | Kind::Sysctls => others.network.as_ref(),
        Kind::Cgroups => others.any(),
    }
}

/// What did not exist before.
fn new<'n>(now: &'n BTreeSet<Thing>, before: &'n BTreeSet<Thing>) -> impl Iterator<Item = &'n Thing> {
    now.iter().filter(|thing| is_new(thing, before))
}

/// Whether a thing did not exist before. A file, cgroup or interface of the same name counts as the same thing: somebody
/// replaced it, or an overlay file system copied it up, which gives it another inode.
fn is_new(thing: &Thing, before: &BTreeSet<Thing>) -> bool {
    !before.contains(thing) && !before.iter().any(|known| known.has_name_of(thing))
}

fn look(host: &dyn SystemReader, scope: &Scope<'_>, kind: Kind) -> Look {
    let things = kind.look(host, scope).map_err(|error| error.to_string())?;
    Ok(things.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::engine::cleanup::place::tests::machine as place;
    use crate::facts::daemon::Layout;
    use crate::host::fake::Fake;

    const TABLE: &str =
        "20 1 254:0 / / rw - ext4 /dev/vda rw\n21 20 254:0 /v /var/lib/docker rw - ext4 /dev/vda rw\n";

    /// A machine without a daemon, whose data root is a volume.
    fn machine() -> Fake {
        place()
            .variable("PATH", "/usr/sbin")
            .file("/proc/self/mountinfo", TABLE)
            .dir("/sys/class/net/eth0")
            .dir("/run")
            .link("/var/run", "/run")
            .file("/etc/docker/daemon.json", "{}")
    }

    /// What a dockerd makes.
    fn start(host: &Fake) {
        host.set("/run/docker.pid", "7");
        host.set("/run/docker/containerd/containerd.toml", "");
        host.set("/etc/docker/key.json", "");
        host.set(
            "/proc/self/mountinfo",
            &format!("{TABLE}23 20 0:4 net:[1] /run/docker/netns/x rw - nsfs nsfs rw\n"),
        );
    }

    struct Run {
        layout: Layout,
        containers: BTreeSet<String>,
        ledger: Ledger,
        others: Others,
        own: bool,
        spare_etc: bool,
    }

    impl Run {
        fn new(host: &Fake) -> Self {
            let (layout, containers) = (Layout::read(host, &[]), BTreeSet::new());
            let ledger =
                Ledger::open(host, &Scope { layout: &layout, run: "cafe0123", containers: &containers });
            Self { layout, containers, ledger, others: Others::default(), own: false, spare_etc: false }
        }

        fn scope(&self) -> Scope<'_> {
            Scope { layout: &self.layout, run: "cafe0123", containers: &self.containers }
        }

        fn record(mut self, host: &Fake) -> Self {
            let mut ledger = std::mem::take(&mut self.ledger);
            ledger.record(host, &self.scope(), &KINDS, &self.others);
            Self { ledger, ..self }
        }

        fn remove(&self, host: &Fake) -> Removal {
            let here = Place::here(host).ok();
            let standing = Standing {
                then: here.as_ref(),
                here: here.as_ref(),
                others: &self.others,
                own: self.own,
                spare_etc: self.spare_etc,
            };
            self.ledger.remove(host, host, &self.scope(), &standing, Path::new("/run/dindcheck/cafe0123"))
        }
    }

    fn exists(host: &Fake, path: &str) -> bool {
        host.exists(Path::new(path)).unwrap()
    }

    #[test]
    fn what_was_seen_while_the_daemon_ran_is_removed_and_the_users_volume_stays() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let done = run.record(&host).remove(&host);
        assert_eq!(done.left, Vec::<String>::new());
        assert_eq!(
            done.removed,
            ["mount on /run/docker/netns/x", "/etc/docker/key.json", "/run/docker", "/run/docker.pid"]
        );
        assert!(exists(&host, "/etc/docker/daemon.json"));
    }

    #[test]
    fn what_is_new_and_was_not_seen_stays_and_is_listed_with_its_command() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let done = run.remove(&host);
        assert_eq!((done.removed.as_slice(), host.changes().as_slice()), ([].as_slice(), [].as_slice()));
        for command in ["`umount /run/docker/netns/x`", "`rm /run/docker.pid`", "`rm -r /run/docker`"] {
            assert!(done.left.iter().any(|left| left.contains(command)), "{command}: {done:?}");
        }
        assert!(
            Run { own: true, ..run }.remove(&host).left.is_empty(),
            "the run itself knows that its daemon made it"
        );
    }

    #[test]
    fn with_another_daemon_nothing_is_removed() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let other = Some("dockerd, process 9".to_owned());
        let run = Run { others: Others { directories: other.clone(), network: other }, ..run.record(&host) };
        let done = run.remove(&host);
        assert!(host.changes().is_empty() && done.removed.is_empty());
        assert!(done.left.iter().all(|left| left.contains("process 9")) && done.left.len() == 4, "{done:?}");
    }

    #[test]
    fn what_another_daemon_may_have_made_is_not_recorded() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let other = Some("dockerd, process 9".to_owned());
        let run = Run { others: Others { directories: other, network: None }, ..run }.record(&host);
        let done = Run { others: Others::default(), ..run }.remove(&host);
        assert!(done.removed.is_empty() && !done.left.is_empty(), "{done:?}");
    }

    #[test]
    fn a_failed_look_at_the_start_or_now_removes_nothing_of_that_kind() {
        let host = machine().fails("read", "/proc/self/mountinfo", Errno::EIO, Some(2));
        let run = Run { own: true, ..Run::new(&host) };
        start(&host);
        let done = run.record(&host).remove(&host);
        assert!(done.left.iter().any(|left| left.contains("mounts") && left.contains("EIO")), "{done:?}");
        assert!(!host.changes().iter().any(|change| change.starts_with("unmount")));
    }

    #[test]
    fn a_thing_that_was_made_again_is_another_one() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let run = run.record(&host);
        let host = host.stat_of("/run/docker.pid", |stat| stat.ino += 77);
        let done = run.remove(&host);
        assert!(exists(&host, "/run/docker.pid"));
        assert!(done.left.iter().any(|left| left.contains("`rm /run/docker.pid`")), "{done:?}");
    }

    #[test]
    fn a_directory_that_an_overlay_copied_up_is_no_new_one() {
        let host = machine();
        let run = Run { own: true, ..Run::new(&host) };
        start(&host);
        let host = host.stat_of("/etc/docker", |stat| stat.ino += 1);
        let done = run.remove(&host);
        assert!(exists(&host, "/etc/docker") && !exists(&host, "/etc/docker/key.json"), "{done:?}");
        assert_eq!(done.left, Vec::<String>::new());
    }

    #[test]
    fn an_entrypoint_removes_nothing_below_etc() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let done = Run { spare_etc: true, ..run.record(&host) }.remove(&host);
        assert!(exists(&host, "/etc/docker/key.json") && !exists(&host, "/run/docker.pid"));
        assert!(done.left.iter().any(|left| left.contains("`rm /etc/docker/key.json`")), "{done:?}");
    }

    #[test]
    fn after_a_restart_of_the_container_only_files_are_the_same() {
        let host = machine();
        let run = Run::new(&host);
        start(&host);
        let run = run.record(&host);
        let then = Place::here(&host).ok();
        host.set("/proc/1/stat", "1 (init) S 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 99 0 0");
        let here = Place::here(&host).ok();
        let standing = Standing {
            then: then.as_ref(),
            here: here.as_ref(),
            others: &run.others,
            own: false,
            spare_etc: false,
        };
        let done = run.ledger.remove(&host, &host, &run.scope(), &standing, Path::new("/"));
        assert!(!exists(&host, "/run/docker.pid"));
        assert!(!done.removed.iter().any(|what| what.contains("mount")), "{done:?}");
    }
}
