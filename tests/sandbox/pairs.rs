//! Two faults at once: the step that others rest on fails first.

use dindcheck::steps;

use crate::fault::{Fault, Level, Real, Repair};
use crate::world::Suite;

/// A pair for each two environment steps, taken in turn from their tables.
pub(crate) fn all() -> Vec<Fault> {
    let rows = crate::faults::all();
    let of = |step: &str| -> Vec<&Fault> {
        rows.iter()
            .copied()
            .filter(|row| row.step == step && row.level == Level::Fail && row.suites.contains(&Suite::Forky))
            .collect()
    };
    let tables: Vec<_> =
        steps::ALL.iter().map(|step| of(step.id)).filter(|table| !table.is_empty()).collect();
    let mut pairs = Vec::new();
    for (index, earlier) in tables.iter().enumerate() {
        for (turn, later) in tables[index + 1..].iter().enumerate() {
            let candidates = earlier.iter().cycle().skip(turn).take(earlier.len());
            let found = candidates
                .flat_map(|first| {
                    later
                        .iter()
                        .cycle()
                        .skip(index)
                        .take(later.len())
                        .filter_map(|second| both(first, second))
                })
                .next();
            pairs.extend(found);
        }
    }
    pairs
}

/// Words of two rows of which the one cannot be done after the other: a data root in use is not unmounted, and what is
/// read-only takes no maps of a user namespace, in which in turn overlay cannot go on with the data of another.
const APART: &[(&str, &str)] =
    &[("umount /var/lib/docker", "dockerd "), ("ro /proc", "--map-users"), ("dockerd ", "--map-users")];

/// Everything that a row does to its world.
fn words(fault: &Fault) -> String {
    format!("{} {}", fault.breaks, fault.under.join(" "))
}

/// Both faults in one world, where they can be combined. The later step's is made first: it may need what the
/// earlier one's takes away.
fn both(first: &Fault, second: &Fault) -> Option<Fault> {
    let clash = !first.under.is_empty() && !second.under.is_empty()
        || !first.profile.is_empty() && !second.profile.is_empty();
    // A filter is loaded by what the other row may forbid.
    let filtered = !first.refuses.is_empty() || !second.refuses.is_empty();
    let apart = APART.iter().any(|(one, other)| {
        (words(first).contains(one) && words(second).contains(other))
            || (words(second).contains(one) && words(first).contains(other))
    });
    if clash || filtered || apart {
        return None;
    }
    let leak = |text: String| -> &'static str { text.leak() };
    Some(Fault {
        name: leak(format!("{} and {}", first.name, second.name)),
        breaks: leak(format!("{}\n{}", second.breaks, first.breaks)),
        under: if first.under.is_empty() { second.under } else { first.under },
        env: [second.env, first.env].concat().leak(),
        profile: if first.profile.is_empty() { second.profile } else { first.profile },
        dockerd: [second.dockerd, first.dockerd].concat().leak(),
        suites: &[Suite::Forky],
        repair: Repair::None,
        real: Real::NotTried("each of the two was tried by itself"),
        ..*first
    })
}
