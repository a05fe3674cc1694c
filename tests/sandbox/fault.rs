//! A row of the matrix: one way to break a healthy world, and what must come of it.

use anyhow::Context;

use crate::seccomp::Refusal;
use crate::world::{Line, Suite, World};

/// One way to break a world.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// Unique, kebab-case.
    pub(crate) name: &'static str,
    /// A shell script that breaks the world, run inside before dindcheck.
    pub(crate) breaks: &'static str,
    /// What dindcheck is started by: a shorter set of capabilities, another user, a namespace.
    pub(crate) under: &'static [&'static str],
    /// System calls that a filter refuses.
    pub(crate) refuses: &'static [Refusal],
    /// Variables that dindcheck is started with.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// Lines of the profile, beside `extends: default`.
    pub(crate) profile: &'static str,
    /// Arguments of dockerd.
    pub(crate) dockerd: &'static [&'static str],
    /// The engines in whose worlds it is tried.
    pub(crate) suites: &'static [Suite],
    /// The first step that must say so.
    pub(crate) step: &'static str,
    /// The cause that it must name.
    pub(crate) cause: &'static str,
    /// How it must count.
    pub(crate) level: Level,
    /// What the repairs of the default profile do to it.
    pub(crate) repair: Repair,
    /// What the engine does with it.
    pub(crate) real: Real,
}

/// How the finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The step fails.
    Fail,
    /// The step warns.
    Warn,
}

/// What the default repair does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    /// The step is repaired, and the world is sound to the end of the ladder.
    Repaired,
    /// The step's repair is applied and the check still fails.
    Helpless,
    /// No repair is applied: there is none, its reach is not granted, or nothing failed.
    None,
}

/// What becomes of a real engine when nobody checks the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Real {
    /// The daemon does not start, or a container fails.
    Breaks,
    /// Everything works all the same.
    Survives,
    /// Not tried, and why.
    NotTried(&'static str),
}

/// A failure that is not repaired, in the world of Docker 28.5.
pub(crate) const FAULT: Fault = Fault {
    name: "",
    breaks: "",
    under: &[],
    refuses: &[],
    env: &[],
    profile: "",
    dockerd: &[],
    suites: &[Suite::Forky],
    step: "",
    cause: "",
    level: Level::Fail,
    repair: Repair::None,
    real: Real::Breaks,
};

/// Something worth knowing that the engine survives.
pub(crate) const WARNING: Fault = Fault { level: Level::Warn, real: Real::Survives, ..FAULT };

/// All engines, where the version matters.
pub(crate) const EVERY_ENGINE: &[Suite] = &[Suite::Bookworm, Suite::Trixie, Suite::Forky];

/// For an engine that waits for what never comes.
pub(crate) const IMPATIENT: &str = "daemon: {start_timeout: 4s, stop_timeout: 1s}\ncontainer: {timeout: 5s}";

/// Where a row's own files are in its world: below none of the places that must not change.
const PROFILE: &str = "/opt/row.yaml";
const SKIPPING: &str = "/opt/row-skipping.yaml";

impl Fault {
    /// A world with this fault.
    pub(crate) fn world(&self, suite: Suite) -> anyhow::Result<World> {
        let world = World::new(suite)?;
        self.equip(&world, &self.start());
        world.sh(self.breaks);
        Ok(world)
    }

    /// Writes the files by which dindcheck is started there.
    pub(crate) fn equip(&self, world: &World, start: &Start) {
        world.write(PROFILE, self.yaml("").as_bytes());
        world.write(SKIPPING, self.yaml(&skip_environment()).as_bytes());
        if !start.refuses.is_empty() {
            world.write(FILTER, &crate::seccomp::filter(start.refuses));
        }
    }

    /// The same for a world that is sound: an impatient row is so because of its fault.
    pub(crate) fn equip_patiently(&self, world: &World, start: &Start) {
        let profile = if self.profile == IMPATIENT { "" } else { self.profile };
        Self { profile, ..*self }.equip(world, start);
    }

    /// How this row starts dindcheck.
    pub(crate) fn start(&self) -> Start {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Start {
            under: self.under,
            refuses: self.refuses,
            flags: "",
            env: self.env.iter().map(owned).collect(),
            dockerd: self.dockerd.iter().map(|arg| (*arg).to_owned()).collect(),
        }
    }

    /// `dindcheck ARGS` with this row's profile, as this row starts it.
    pub(crate) fn line(&self, args: &[&str]) -> Line {
        self.start().line(args)
    }

    /// The same with nothing of the environment checked.
    pub(crate) fn line_without_environment(&self, args: &[&str]) -> Line {
        self.start().started(SKIPPING, args)
    }

    fn yaml(&self, more: &str) -> String {
        format!("extends: default\nformat: json\n{}\n{more}", self.profile)
    }
}

/// How dindcheck is started in a world.
pub(crate) struct Start {
    pub(crate) under: &'static [&'static str],
    pub(crate) refuses: &'static [Refusal],
    /// Further options of dindcheck.
    pub(crate) flags: &'static str,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dockerd: Vec<String>,
}

impl Start {
    /// `dindcheck ARGS` with the row's profile.
    pub(crate) fn line(&self, args: &[&str]) -> Line {
        self.started(PROFILE, args)
    }

    /// Further options of dindcheck.
    pub(crate) fn flags(&self) -> &[&str] {
        if self.flags.is_empty() { &[] } else { std::slice::from_ref(&self.flags) }
    }

    /// Gives dockerd arguments, in place of those of the same names.
    pub(crate) fn argument(&mut self, text: &str) {
        for argument in text.split(' ').filter(|word| word.starts_with("--")) {
            let name = argument.split('=').next().unwrap_or(argument);
            let is_same = |one: &String| one == name || one.starts_with(&format!("{name}="));
            self.dockerd.retain(|one| !is_same(one));
        }
        self.dockerd.extend(text.split(' ').map(ToOwned::to_owned));
    }

    /// Sets a variable, `export NAME=$NAME:MORE`.
    pub(crate) fn export(&mut self, text: &str) -> anyhow::Result<()> {
        let (name, more) =
            text.strip_prefix("export ").and_then(|text| text.split_once("=$")).context("export")?;
        let (of, more) = more.split_once(':').context("a list")?;
        anyhow::ensure!(of == name, "{text} does not extend {name}");
        let own = self.env.iter_mut().find(|(variable, _)| variable == name);
        let (_, value) = own.with_context(|| format!("{name} is not set"))?;
        value.push_str(&format!(":{more}"));
        Ok(())
    }

    /// Leaves an argument of dockerd out, with its value.
    pub(crate) fn without_argument(&mut self, argument: &str) -> anyhow::Result<()> {
        let before = self.dockerd.len();
        self.dockerd.retain(|one| one != argument && !one.starts_with(&format!("{argument}=")));
        anyhow::ensure!(self.dockerd.len() < before, "dockerd is not started with {argument}");
        Ok(())
    }

    fn started(&self, profile: &str, args: &[&str]) -> Line {
        let filter: &[&str] =
            if self.refuses.is_empty() { &[] } else { &["setpriv", "--seccomp-filter", FILTER] };
        let mut words = [self.under, filter, &["dindcheck"], args, &["--profile", profile]].concat();
        if !self.dockerd.is_empty() {
            words.push("--");
            words.extend(self.dockerd.iter().map(String::as_str));
        }
        Line::new(words).env(&self.env)
    }
}

/// The filter of a row that refuses system calls.
const FILTER: &str = "/opt/row.filter";

/// The part of a profile that skips every environment step.
pub(crate) fn skip_environment() -> String {
    let steps = dindcheck::steps::ALL.iter().filter(|step| step.phase == dindcheck::step::Phase::Environment);
    let lines: Vec<_> = steps.map(|step| format!("  {}: skip", step.id)).collect();
    format!("steps:\n{}\n", lines.join("\n"))
}
