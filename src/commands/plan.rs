//! `plan`: shows what `verify` would do and repair here.
//!
//! The checks of the environment run, so that the plan can name the repairs that would be applied. Checks leave the machine
//! as it was, and no repair is granted, so nothing is changed.

use anyhow::ensure;

use crate::engine::NoEngine;
use crate::facts::daemon::command_line;
use crate::finding::Outcome;
use crate::host::live::Live;
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::options::{ImageChoice, PlanRequest};
use crate::plan::{Plan, Planned};
use crate::profile::Grant;
use crate::report::{Report, StepReport};
use crate::runner::{self, Doors};
use crate::step::Phase;
use crate::text::shown::one_line;
use crate::{cli, exit, redact, talk};

use super::recording;
use super::verify::request;

/// Prints the plan.
pub fn plan(host: &Live, args: &cli::Verify) -> anyhow::Result<u8> {
    match &args.replay {
        None => print(host, host, &request(args), None),
        Some(file) => {
            let replay = recording::load(file)?;
            let request = recording::request(&replay, args.format)?;
            print(&replay, &replay, &request, Some(&replay.recording().run))
        }
    }
}

/// Checks the environment through these doors, and prints. `run` is the run id of a recording, which its questions carry.
fn print(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    request: &PlanRequest,
    run: Option<&str>,
) -> anyhow::Result<u8> {
    let plan = Plan::new(host, request)?;
    ensure!(
        ["human", "json"].contains(&plan.format.name),
        "a plan is not a report: use `--format human` or `--format json`"
    );
    let checked = check_environment(host, machine, request, run)?;
    let rows: Vec<_> = plan.steps.iter().map(|planned| Row::new(&plan, planned, &checked)).collect();
    match plan.format.name {
        "json" => talk::print_json(&document(host, &plan, &rows))?,
        _ => talk::print(&for_people(host, &plan, &rows))?,
    }
    Ok(exit::SOUND)
}

/// The report of every check of the environment phase that the plan runs, without repairs.
fn check_environment(
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    request: &PlanRequest,
    run: Option<&str>,
) -> anyhow::Result<Report> {
    let request = PlanRequest {
        repair: Some(Grant::None),
        keep_going: true,
        environment_only: true,
        ..request.clone()
    };
    let mut plan = Plan::new(host, &request)?;
    plan.options.run = run.map_or(plan.options.run, ToOwned::to_owned);
    let doors = Doors { host, machine, engine: &NoEngine, interrupt: &Interrupt::default() };
    Ok(runner::run(&plan, &doors, &mut |_| {}))
}

/// A step of the plan, and how its check ended.
struct Row<'p> {
    planned: &'p Planned,
    checked: Option<&'p StepReport>,
    /// Whether the profile grants the step's repair.
    granted: bool,
}

impl<'p> Row<'p> {
    fn new(plan: &Plan, planned: &'p Planned, report: &'p Report) -> Self {
        let ran = |step: &&StepReport| !matches!(step.outcome, Outcome::Skipped(_));
        let checked = report.steps.iter().filter(ran).find(|step| step.step.id == planned.step.id);
        let repair = planned.step.repair.as_ref();
        let granted = repair.is_some_and(|repair| plan.options.profile.repair.allows(repair.reach));
        Self { planned, checked, granted }
    }

    /// Whether the check failed.
    fn fails(&self) -> bool {
        self.checked.is_some_and(|step| matches!(step.outcome, Outcome::Failed))
    }

    /// What would become of the step, for people.
    fn prospect(&self) -> String {
        let Some(step) = self.checked else {
            return self
                .planned
                .skip
                .as_ref()
                .map_or("would run".to_owned(), |why| format!("skipped: {why}"));
        };
        match step.outcome {
            Outcome::Errored(_) => step.error().unwrap_or_default(),
            Outcome::Failed => self.failure(step.last_failing().map_or("", |finding| &finding.what)),
            _ => "passes".to_owned(),
        }
    }

    /// What would become of a step that fails like this.
    fn failure(&self, what: &str) -> String {
        match &self.planned.step.repair {
            Some(repair) if self.granted => format!("would be repaired: {} ({what})", repair.title),
            Some(repair) => {
                format!("would fail: {what}; not granted (reach {}): {}", repair.reach.name(), repair.title)
            }
            None => format!("would fail: {what}"),
        }
    }

    /// The row as JSON.
    fn document(&self) -> serde_json::Value {
        let repair = self.planned.step.repair.as_ref().map(|repair| {
            let applied = self.granted && self.fails();
            serde_json::json!({"title": repair.title, "reach": repair.reach, "granted": self.granted, "would_be_applied": applied})
        });
        serde_json::json!({
            "id": self.planned.step.id,
            "mode": self.planned.mode,
            "skip": self.planned.skip,
            "seen": self.checked.map(|step| step.outcome.name()),
            "repair": repair,
        })
    }
}

/// The plan in lines.
fn for_people(host: &dyn SystemReader, plan: &Plan, rows: &[Row<'_>]) -> String {
    let profile = &plan.options.profile;
    let mut lines = vec![format!("profile {}: {}", profile.name, profile.description)];
    if plan.reaches(Phase::Daemon) {
        lines.push(format!("daemon  {}", daemon(host, plan)));
        lines.push(format!("image   {}", image(plan)));
    }
    lines.extend(rows.iter().map(|row| {
        let mode = format!("{:?}", row.planned.mode).to_lowercase();
        format!("  {mode:<8} {:<20} {}", row.planned.step.id, row.prospect())
    }));
    lines.iter().map(|line| format!("{}\n", one_line(line))).collect()
}

/// The plan as JSON.
fn document(host: &dyn SystemReader, plan: &Plan, rows: &[Row<'_>]) -> serde_json::Value {
    serde_json::json!({
        "schema_version": 1,
        "profile": plan.options.profile,
        "daemon": daemon(host, plan),
        "image": image(plan),
        "steps": rows.iter().map(Row::document).collect::<Vec<_>>(),
    })
}

/// The command line of the daemon, or the address of one that runs.
fn daemon(host: &dyn SystemReader, plan: &Plan) -> String {
    match &plan.options.attach {
        Some(endpoint) => format!("attach to {endpoint}"),
        None => redact::command(&command_line(host, &plan.options.daemon())),
    }
}

/// The image that runs.
fn image(plan: &Plan) -> String {
    match &plan.options.image {
        ImageChoice::Builtin => "builtin (made in memory, no registry)".to_owned(),
        ImageChoice::Reference(reference) => reference.clone(),
    }
}
