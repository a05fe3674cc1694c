//! Removes things, and reports what was removed and what was left with the command that removes it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Family, Kind, Thing, cgroups, files, links, mounts, rules, sysctls, tables};
use crate::finding::quoted;
use crate::host::{HostResult, SystemReader, SystemWriter};

/// The result of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// What was removed, for people.
    pub removed: Vec<String>,
    /// What was left, with the reason and the command that removes it.
    pub left: Vec<String>,
}

/// Removes things of one kind that are ours. `before`: what existed of the kind before the run.
pub(super) fn remove(
    kind: Kind,
    ours: &[Thing],
    before: &BTreeSet<Thing>,
    (host, machine): (&dyn SystemReader, &dyn SystemWriter),
    scratch: &Path,
    done: &mut Removal,
) {
    match kind {
        Kind::Mounts => mounts::remove(ours, host, machine, done),
        Kind::Cgroups => cgroups::remove(ours, machine, done),
        Kind::Links => links::remove(ours, machine, done),
        Kind::Rules => rules::remove(Family::Ip, ours, before, (host, machine), scratch, done),
        Kind::Rules6 => rules::remove(Family::Ip6, ours, before, (host, machine), scratch, done),
        Kind::Tables => tables::remove(ours, host, machine, done),
        Kind::Sysctls => sysctls::remove(ours, before, machine, done),
        Kind::Files => files::remove(ours, host, machine, done),
    }
}

impl Removal {
    /// Records the result of one removal; what is missing counts as removed.
    pub(super) fn note(&mut self, what: impl Into<String>, command: &str, result: HostResult<()>) {
        match result {
            Err(error) if !error.is_absent() => {
                self.left.push(format!("{}: {error}; `{command}` removes it", what.into()));
            }
            _ => self.removed.push(what.into()),
        }
    }

    /// Lists things that are left alone. Many of one kind become one line.
    pub(super) fn leave(&mut self, things: &[Thing], reason: &str) {
        let listed = outermost(things);
        for (heading, of_family) in by_family(&listed) {
            let commands: Vec<String> = of_family.iter().filter_map(|thing| thing.command()).collect();
            match heading {
                Some(heading) => {
                    let number = of_family.len();
                    self.left.push(format!(
                        "{heading}, {number} in all, left since {reason}: `{}`",
                        commands.join("; ")
                    ));
                }
                None => self.left.extend(of_family.iter().map(|thing| {
                    let removes =
                        thing.command().map_or(String::new(), |command| format!("; `{command}` removes it"));
                    format!("{thing}, left since {reason}{removes}")
                })),
            }
        }
    }

    /// Lists things that the run's daemon or another one made: no command, since that one may use them.
    pub(super) fn share(&mut self, kind: Kind, things: &[Thing], other: &str) {
        let names: Vec<String> = outermost(things).iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            let (kind, names) = (kind.name(), names.join(", "));
            self.left.push(format!("{kind} that were made by this run's dockerd or by {other}: {names}"));
        }
    }

    /// Records that a kind could not be looked at.
    pub(super) fn unknown(&mut self, kind: Kind, error: &str) {
        self.left.push(format!("{} of dockerd, perhaps: {error}", kind.name()));
    }

    /// Adds another result.
    pub fn extend(&mut self, other: Self) {
        self.removed.extend(other.removed);
        self.left.extend(other.left);
    }
}

/// The things without those that lie in another one of them.
fn outermost(things: &[Thing]) -> Vec<&Thing> {
    let mut listed: Vec<&Thing> = Vec::new();
    for thing in things {
        let is_inside = |above: &&Thing| matches!((above.path(), thing.path()), (Some(above), Some(path)) if path.starts_with(above));
        if !listed.iter().any(is_inside) {
            listed.push(thing);
        }
    }
    listed
}

/// Firewall rules and chains by their family, under one heading each; everything else by itself.
fn by_family<'t>(things: &[&'t Thing]) -> Vec<(Option<String>, Vec<&'t Thing>)> {
    let mut groups: Vec<(Option<String>, Vec<&Thing>)> = Vec::new();
    for thing in things {
        let heading =
            thing.family().map(|family| format!("firewall rules of dockerd ({})", family.nft_name()));
        match groups.iter_mut().find(|(known, _)| heading.is_some() && *known == heading) {
            Some((_, group)) => group.push(thing),
            None => groups.push((heading, vec![thing])),
        }
    }
    groups
}

impl Thing {
    /// The path of a file, cgroup or mount.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Cgroup(node) | Self::File(node) => Some(&node.path),
            _ => None,
        }
    }

    /// The family of a firewall rule, chain, policy or table.
    fn family(&self) -> Option<Family> {
        match self {
            Self::Rule(rule) => Some(rule.family),
            Self::Chain(chain) => Some(chain.family),
            Self::Policy(policy) => Some(policy.family),
            Self::Table(table) => Some(table.family),
            _ => None,
        }
    }

    /// The command that removes it, for a shell.
    fn command(&self) -> Option<String> {
        Some(match self {
            Self::Mount(mount) => format!("umount {}", quoted(&mount.target)),
            Self::Cgroup(node) => format!("find {} -depth -type d -exec rmdir {{}} +", quoted(&node.path)),
            Self::Controller(controller) => {
                format!(
                    "echo -{} > {}",
                    controller.name,
                    quoted(&controller.root.join("cgroup.subtree_control"))
                )
            }
            Self::Link(link) => format!("ip link delete {}", link.name),
            Self::Rule(rule) => rule.command(),
            Self::Chain(chain) => chain.command(),
            Self::Policy(policy) => policy.command()?,
            Self::Table(table) => table.command(),
            Self::BridgeTable(table) => table.command(),
            // What it was before is in the account, and not in the thing.
            Self::Sysctl(_) => return None,
            Self::File(node) if node.dir => format!("rm -r {}", quoted(&node.path)),
            Self::File(node) => format!("rm {}", quoted(&node.path)),
        })
    }
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "mount on {}", mount.target.display()),
            Self::Cgroup(node) => write!(f, "cgroup {}", node.path.display()),
            Self::Controller(controller) => {
                write!(f, "{} in {}/cgroup.subtree_control", controller.name, controller.root.display())
            }
            Self::Link(link) => write!(f, "interface {}", link.name),
            Self::Rule(rule) => f.write_str(&rule.text),
            Self::Chain(chain) => write!(f, "chain {} of table {}", chain.name, chain.table),
            Self::Policy(policy) => write!(f, "policy {} of {}", policy.verdict, policy.chain),
            Self::Table(table) => write!(f, "table {} {}", table.family.nft_name(), table.name),
            Self::BridgeTable(table) => write!(f, "nftables {table}"),
            Self::Sysctl(sysctl) => write!(f, "{} is {}", sysctl.file.display(), sysctl.value),
            Self::File(node) => write!(f, "{}", node.path.display()),
        }
    }
}
