//! `plan`: what would be done here, without doing it.
//!
//! The environment is looked at, so that the plan can name the repairs that this world would get. Checks leave
//! the world as it was, and nothing is granted, so nothing is touched.

use crate::engine::NoEngine;
use crate::facts::daemon::command_line;
use crate::finding::Outcome;
use crate::host::live::Live;
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::options::{ImageChoice, PlanRequest};
use crate::plan::{Plan, Planned};
use crate::profile::{Format, Grant};
use crate::report::{Report, StepReport};
use crate::runner::{self, Doors};
use crate::step::Phase;
use crate::{cli, exit};

use super::recording;
use super::verify::wishes;

/// Prints the plan.
pub fn plan(host: &Live, args: &cli::Verify) -> anyhow::Result<u8> {
    match &args.replay {
        None => tell(host, host, &wishes(args), None),
        Some(file) => {
            let replay = recording::load(file)?;
            let request = recording::request(&replay, args.format)?;
            tell(&replay, &replay, &request, Some(&replay.recording().run))
        }
    }
}

/// Looks through these doors, and tells. `run` is the id that the questions of a recording carry.
fn tell(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    wishes: &PlanRequest,
    run: Option<&str>,
) -> anyhow::Result<u8> {
    let plan = Plan::new(host, wishes)?;
    let seen = look(host, machine, wishes, run)?;
    match plan.options.profile.format {
        Format::Human => human(host, &plan, &seen),
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(&json(host, &plan, &seen))?),
        _ => anyhow::bail!("a plan is no report: `--format human` or `--format json`"),
    }
    Ok(exit::SOUND)
}

/// Every check of the environment phase that the plan runs, with nothing granted.
fn look(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    wishes: &PlanRequest,
    run: Option<&str>,
) -> anyhow::Result<Report> {
    let mut wishes = wishes.clone();
    wishes.repair = Some(Grant::None);
    wishes.keep_going = true;
    wishes.environment_only = true;
    let mut plan = Plan::new(host, &wishes)?;
    plan.options.run = run.map_or(plan.options.run, ToOwned::to_owned);
    let doors = Doors { host, machine, engine: &NoEngine, interrupt: &Interrupt::default() };
    Ok(runner::run(&plan, &doors, &mut |_| {}))
}

/// What the plan means for one step, in this world.
struct Row<'p> {
    planned: &'p Planned,
    seen: Option<&'p StepReport>,
    granted: bool,
}

impl<'p> Row<'p> {
    fn new(plan: &Plan, planned: &'p Planned, seen: &'p Report) -> Self {
        let seen = seen
            .steps
            .iter()
            .find(|s| s.step.id == planned.step.id && !matches!(s.outcome, Outcome::Skipped(_)));
        let granted = planned
            .step
            .repair
            .as_ref()
            .is_some_and(|repair| plan.options.profile.repair.allows(repair.reach));
        Self { planned, seen, granted }
    }

    /// Whether the step fails as the world is.
    fn fails(&self) -> bool {
        self.seen.is_some_and(|seen| matches!(seen.outcome, Outcome::Failed))
    }

    /// For people.
    fn said(&self) -> String {
        let broken = self
            .seen
            .and_then(StepReport::last_failing)
            .map(|finding| finding.what.as_str())
            .unwrap_or_default();
        match (&self.planned.skip, &self.planned.step.repair, self.seen.map(|seen| &seen.outcome)) {
            (Some(reason), ..) => format!("skipped: {reason}"),
            (None, Some(repair), _) if self.fails() && self.granted => {
                format!("would be repaired: {} ({broken})", repair.title)
            }
            (None, Some(repair), _) if self.fails() => {
                format!("would fail: {broken}; not granted (reach {}): {}", repair.reach.name(), repair.title)
            }
            (None, None, _) if self.fails() => format!("would fail: {broken}"),
            (None, _, Some(Outcome::Errored(error))) => format!("could not look: {error:#}"),
            (None, _, Some(_)) => "holds".to_owned(),
            (None, ..) => "would run".to_owned(),
        }
    }

    /// For programs.
    fn json(&self) -> serde_json::Value {
        let repair = self.planned.step.repair.as_ref().map(|repair| {
            let applied = self.granted && self.fails();
            serde_json::json!({"title": repair.title, "reach": repair.reach, "granted": self.granted, "would_be_applied": applied})
        });
        serde_json::json!({
            "id": self.planned.step.id,
            "mode": self.planned.mode,
            "skip": self.planned.skip,
            "seen": self.seen.map(|seen| seen.outcome.name()),
            "repair": repair,
        })
    }
}

/// For people.
fn human(host: &dyn SystemReader, plan: &Plan, seen: &Report) {
    anstream::println!("profile {}: {}", plan.options.profile.name, plan.options.profile.description);
    if plan.reaches(Phase::Daemon) {
        anstream::println!("daemon  {}", daemon(host, plan));
        anstream::println!("image   {}", image(plan));
    }
    for planned in &plan.steps {
        let mode = format!("{:?}", planned.mode).to_lowercase();
        anstream::println!("  {mode:<8} {:<20} {}", planned.step.id, Row::new(plan, planned, seen).said());
    }
}

/// For programs.
fn json(host: &dyn SystemReader, plan: &Plan, seen: &Report) -> serde_json::Value {
    let steps = plan.steps.iter().map(|planned| Row::new(plan, planned, seen).json());
    serde_json::json!({
        "schema_version": 1,
        "profile": plan.options.profile,
        "daemon": daemon(host, plan),
        "image": image(plan),
        "steps": steps.collect::<Vec<_>>(),
    })
}

/// How the daemon comes to be.
fn daemon(host: &dyn SystemReader, plan: &Plan) -> String {
    match &plan.options.attach {
        Some(endpoint) => format!("attach to {endpoint}"),
        None => command_line(host, &plan.options.daemon()).join(" "),
    }
}

/// Which image is run.
fn image(plan: &Plan) -> String {
    match &plan.options.image {
        ImageChoice::Builtin => "builtin (made in memory, no registry)".to_owned(),
        ImageChoice::Reference(reference) => reference.clone(),
    }
}
