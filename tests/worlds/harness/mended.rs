//! A world with the remedy applied that a report of it prints.

use crate::harness::World;
use crate::harness::verify::Seen;
use crate::shared::notes;
use crate::shared::remedy::Remedy::{
    Argument, Begins, Command, Export, Flag, Install, Key, Member, NotHere, Outer, Setting, Unset,
    WithoutArgument, WithoutKey, WithoutMember,
};

/// Applies the remedy of a row to its world, in which that step has found that cause: the world is sound, and nothing of the
/// finding is left.
#[track_caller]
pub(crate) fn check(name: &str, (step, cause): (&str, &str), world: &World, seen: &Seen) {
    let remedy = crate::remedies::of(name);
    let printed = seen.remedy(step, cause);
    notes::add("worlds", name, cause, remedy, &printed);
    let Some(text) = remedy.text() else { return };
    assert!(printed.contains(text), "{name}: the report does not print `{text}`: {printed}");
    let mended = match remedy {
        Command(text) | Unset(text) => world.clone().broken(text),
        Argument(text) => world.clone().daemon_argument(text),
        WithoutArgument(text) => world.clone().without_daemon_argument(text),
        Key(text) => world.clone().broken_first(&format!(
            "mkdir -p /etc/docker; [ ! -e /etc/docker/daemon.json ]; echo '{{{text}}}' >/etc/docker/daemon.json"
        )),
        Setting(text) => world.clone().profile(text),
        Outer(text) => world.clone().outer_setting(text),
        Flag(text) => world.clone().instead_of_options(text),
        Begins(_) | WithoutKey(_) | Member(..) | WithoutMember(..) | Export(_) | Install(..) | NotHere(_) => {
            panic!("{name}: these worlds do not apply {remedy:?}")
        }
    };
    let after = mended.play();
    after.is_sound();
    let still = crate::harness::report::warnings(&after.report).contains(&(step, cause));
    assert!(!still, "{name}: after `{text}` {cause} is still there");
}
