//! Whether what is there after a command shows harm to somebody else, or something of ours that nobody names.

use std::path::Path;

use super::census::{Census, Thing};

/// Somebody else's things, beside what a killed run of ours left.
pub(super) struct Judge {
    /// What the killed run left.
    residue: Census,
    /// What is there with the foreign daemon, and was not there before.
    theirs: Census,
}

impl Judge {
    pub(super) fn new(before: &Census, killed: &Census, foreign: &Census) -> Self {
        let residue = killed.without(before);
        let theirs = foreign.without(&residue);
        Self { residue, theirs }
    }

    /// What a command took away or changed and may not: everything but what is the killed run's alone.
    pub(super) fn harm(&self, before: &Census, after: &Census) -> Vec<String> {
        let gone = before.without(after);
        gone.only(|thing| !self.is_ours(thing)).listed("takes away")
    }

    /// What a command took away of the killed run.
    pub(super) fn recovered(&self, before: &Census, after: &Census) -> Vec<String> {
        before.without(after).only(|thing| self.is_ours(thing)).listed("recovers")
    }

    /// What a command itself leaves and does not name. A daemon keeps files of its own.
    pub(super) fn added(before: &Census, after: &Census, leftovers: &[String]) -> Vec<String> {
        let added = after.without(before);
        added.only(|thing| !is_of_a_daemon(thing) && !is_named(thing, leftovers)).listed("leaves")
    }

    /// What is still there of the killed run and is not named. What is in the data root belongs to objects of the daemon that
    /// serves there now.
    ///
    /// Where everything is killed at once, nobody records what was made last: in the directories of a daemon that is
    /// somebody else's now, it cannot be told from what that one made.
    pub(super) fn unnamed(&self, after: &Census, leftovers: &[String], recorded: bool) -> Vec<String> {
        let left = after.also_in(&self.residue).only(|thing| {
            let told = recorded || !is_of_a_daemon(thing) && !thing.name.starts_with("/tmp/runc-process");
            told && self.is_ours(thing)
                && !thing.name.starts_with("/var/lib/docker")
                && !is_named(thing, leftovers)
        });
        left.listed("does not name")
    }

    /// The same where nobody else runs a daemon: then what every dockerd makes is ours as well.
    pub(super) fn unnamed_of_any_kind(&self, after: &Census, leftovers: &[String]) -> Vec<String> {
        let left = after.also_in(&self.residue);
        let left =
            left.only(|thing| !thing.name.starts_with("/var/lib/docker") && !is_named(thing, leftovers));
        left.listed("does not name")
    }

    /// What somebody else made, as far as a later daemon of ours on the same paths does not make it its own: the daemon that
    /// ended had put it there.
    pub(super) fn made_by_hand(&self, census: &Census) -> Census {
        census.also_in(&self.theirs).only(|thing| match thing.kind.as_str() {
            "rule" => ["MINE", "192.0.2."].iter().any(|mark| thing.name.contains(mark)),
            "link" => thing.name.starts_with("theirs"),
            "route" | "sysctl" => false,
            "cgroup" => thing.name.contains("default"),
            "file" | "content" => {
                ["/etc/docker", "theirs", "/run/containerd/"].iter().any(|mark| thing.name.contains(mark))
            }
            _ => true,
        })
    }

    /// Whether it is the killed run's alone: left by it, and of no use to a daemon on the same paths.
    fn is_ours(&self, thing: &Thing) -> bool {
        let of_its_network = matches!(thing.kind.as_str(), "rule" | "route") && thing.name.contains("br-");
        // The witness of a killed run may still write there.
        let of_a_run = ["/run/dindcheck", "/tmp/dindcheck"].iter().any(|home| thing.name.starts_with(home));
        of_its_network || of_a_run || self.residue.0.contains(thing) && is_of_no_use(thing)
    }
}

/// Whether a daemon on the same paths has no use for this: it is not what every dockerd makes and finds there.
fn is_of_no_use(thing: &Thing) -> bool {
    match thing.kind.as_str() {
        "rule" | "route" | "sysctl" => false,
        "link" => thing.name != "docker0",
        "cgroup" => has_id(&thing.name),
        "file" | "content" => has_id(&thing.name) || !is_of_a_daemon(thing),
        _ => true,
    }
}

/// Whether it is a file in the directories of a daemon, and does not carry our name.
fn is_of_a_daemon(thing: &Thing) -> bool {
    let roots = ["/run/docker", "/run/containerd", "/var/lib/docker", "/opt/containerd", "/etc/docker"];
    let is_file = matches!(thing.kind.as_str(), "file" | "content");
    is_file && !thing.name.contains("dindcheck") && roots.iter().any(|root| thing.name.starts_with(root))
}

/// Whether the text has the identifier of an object: at least twelve hexadecimal digits in a row.
fn has_id(text: &str) -> bool {
    text.split(|digit: char| !digit.is_ascii_hexdigit()).any(|word| word.len() >= 12)
}

/// Whether one of the leftovers names this thing, or a directory that it is in.
fn is_named(thing: &Thing, leftovers: &[String]) -> bool {
    let is_separator = |one: char| one.is_whitespace() || "`'\",;()=".contains(one);
    let mut words = leftovers
        .iter()
        .flat_map(|one| one.split(is_separator))
        .map(|word| word.trim_end_matches([':', '.']));
    match thing.kind.as_str() {
        "file" | "content" | "cgroup" | "mount" => words.any(|word| {
            word.starts_with('/') && word.matches('/').count() > 1 && Path::new(&thing.name).starts_with(word)
        }),
        "rule" => {
            let rule = thing.name.split_once(" -A ").map_or(thing.name.as_str(), |(_, rule)| rule);
            leftovers.iter().any(|one| one.contains(rule))
        }
        // A route goes with its interface.
        "route" => {
            words.any(|word| word.starts_with("br-") && thing.name.split(' ').any(|field| field == word))
        }
        _ => words.any(|word| word == thing.name),
    }
}
