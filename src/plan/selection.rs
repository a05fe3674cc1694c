//! Which steps run, by the profile, `--until`, `--only` and what a recording has.

use anyhow::Context;

use super::Planned;
use crate::options::PlanRequest;
use crate::profile::{Mode, Profile};
use crate::step::{Phase, Step};
use crate::steps;

/// Why a replay skips a step that is newer than its recording.
pub const NOT_RECORDED: &str = "not in this recording";

/// What decides whether a step runs.
struct Selection<'p> {
    profile: &'p Profile,
    request: &'p PlanRequest,
    /// The index and the step of `--until`.
    until: Option<(usize, &'static Step)>,
    /// The steps of `--only`.
    only: Vec<&'static Step>,
}

/// Every step with its mode, and why it does not run.
pub(super) fn planned(profile: &Profile, request: &PlanRequest) -> anyhow::Result<Vec<Planned>> {
    let until = request.until.as_deref().map(steps::find).transpose().context("--until")?;
    let only = request.only.iter().map(|id| steps::find(id)).collect::<Result<_, _>>().context("--only")?;
    let mut all = steps::ALL.iter().enumerate();
    let until = until.and_then(|until| all.find(|(_, step)| step.id == until.id));
    let selection = Selection { profile, request, until, only };
    let planned = |(index, step)| Planned {
        step,
        mode: selection.mode(step),
        skip: selection.skip_reason(index, step),
    };
    Ok(steps::ALL.iter().enumerate().map(planned).collect())
}

/// Refuses a plan in which nothing runs of what was asked for: it would be sound without a check.
///
/// # Errors
///
/// The first step that was asked for, and why it does not run.
pub(super) fn ensure_any(planned: &[Planned], request: &PlanRequest) -> anyhow::Result<()> {
    let is_asked =
        |planned: &&Planned| request.only.is_empty() || request.only.iter().any(|id| id == planned.step.id);
    let asked: Vec<_> = planned.iter().filter(is_asked).collect();
    // Of the environment phase alone, whoever asks for it decides.
    if request.environment_only || asked.iter().any(|planned| planned.skip.is_none()) {
        return Ok(());
    }
    let first = asked.first().context("no step is left to run")?;
    let why = first.skip.as_deref().unwrap_or_default();
    anyhow::bail!("no step is left to run: {} is skipped ({why})", first.step.id)
}

impl Selection<'_> {
    /// How the failure of a step counts.
    fn mode(&self, step: &Step) -> Mode {
        self.profile.steps.get(step.id).copied().unwrap_or(Mode::Require)
    }

    /// Why a step does not run; none if it runs.
    fn skip_reason(&self, index: usize, step: &Step) -> Option<String> {
        if self.mode(step) == Mode::Skip {
            Some(format!("profile {}", self.profile.name))
        } else if !self.is_recorded(step) {
            Some(NOT_RECORDED.to_owned())
        } else if self.request.environment_only && uses_daemon(step) {
            Some("not in a replay".to_owned())
        } else if self.is_without_daemon(step) {
            Some(format!("{} is skipped", steps::DAEMON_START))
        } else if self.until.is_some_and(|(last, until)| index > last && !goes_with(step, until)) {
            Some("after --until".to_owned())
        } else if !self.is_in_only(step) {
            Some("not in --only".to_owned())
        } else {
            None
        }
    }

    /// Whether a replay can run the step.
    fn is_recorded(&self, step: &Step) -> bool {
        let ids = self.request.recorded_steps.as_ref();
        uses_daemon(step) || ids.is_none_or(|ids| ids.iter().any(|id| id == step.id))
    }

    /// Whether the step uses a daemon that the profile does not start.
    fn is_without_daemon(&self, step: &Step) -> bool {
        uses_daemon(step) && self.profile.steps.get(steps::DAEMON_START) == Some(&Mode::Skip)
    }

    /// Whether `--only` is absent, or names the step or one that it goes with.
    fn is_in_only(&self, step: &Step) -> bool {
        let wants = |wanted: &&Step| wanted.id == step.id || goes_with(step, wanted);
        self.only.is_empty() || self.only.iter().any(wants)
    }
}

/// Whether a step uses the daemon.
fn uses_daemon(step: &Step) -> bool {
    step.phase != Phase::Environment
}

/// Whether a step runs wherever `wanted` does: a step that uses the daemon needs it started (or attached to), and what was
/// started is stopped.
fn goes_with(step: &Step, wanted: &Step) -> bool {
    uses_daemon(wanted) && [steps::DAEMON_START, steps::TEARDOWN].contains(&step.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;
    use crate::plan::Plan;

    fn plan(request: &PlanRequest) -> anyhow::Result<Plan> {
        Plan::new(&Fake::new(), request)
    }

    #[test]
    fn every_step_but_build_runs_by_default() {
        let plan = plan(&PlanRequest::default()).unwrap();
        let skipped: Vec<_> = plan.steps.iter().filter(|planned| planned.skip.is_some()).collect();
        assert_eq!(skipped.iter().map(|planned| planned.step.id).collect::<Vec<_>>(), ["build"]);
        assert_eq!(plan.steps.len(), steps::ALL.len());
    }

    #[test]
    fn until_in_the_daemon_phase_keeps_teardown() {
        let plan =
            plan(&PlanRequest { until: Some("daemon-start".into()), ..PlanRequest::default() }).unwrap();
        let runs: Vec<_> = plan.steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs.last(), Some(&"teardown"));
        assert!(!runs.contains(&"image"));
    }

    #[test]
    fn until_in_the_environment_phase_leaves_teardown_out() {
        let plan = plan(&PlanRequest { until: Some("privileges".into()), ..PlanRequest::default() }).unwrap();
        let runs: Vec<_> = plan.steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs, ["privileges"]);
    }

    /// The ids of the steps that run.
    fn running(request: &PlanRequest) -> Vec<&'static str> {
        let plan = plan(request).unwrap();
        plan.steps.iter().filter(|planned| planned.skip.is_none()).map(|planned| planned.step.id).collect()
    }

    #[test]
    fn only_a_step_that_uses_the_daemon_adds_daemon_start_and_teardown() {
        let only = |id: &str| running(&PlanRequest { only: vec![id.into()], ..PlanRequest::default() });
        assert_eq!(only("container-network"), ["daemon-start", "container-network", "teardown"]);
        assert_eq!(only("daemon-start"), ["daemon-start", "teardown"]);
        assert_eq!(only("storage"), ["storage"]);
    }

    #[test]
    fn skipped_daemon_start_skips_the_steps_that_use_the_daemon() {
        let host = Fake::new().file("/p.yaml", "extends: default\nsteps: {daemon-start: skip}");
        let only = vec!["image".into(), "kernel".into()];
        let steps = Plan::new(
            &host,
            &PlanRequest { profile: Some("/p.yaml".into()), only, ..PlanRequest::default() },
        )
        .unwrap()
        .steps;
        let runs: Vec<_> = steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs, ["kernel"]);
        let image = steps.iter().find(|planned| planned.step.id == "image").unwrap();
        assert_eq!(image.skip.as_deref(), Some("daemon-start is skipped"));
    }

    #[test]
    fn plan_in_which_nothing_runs_of_what_was_asked_for_is_refused() {
        let until_only = |until: &str, only: &str| {
            plan(&PlanRequest {
                until: Some(until.into()),
                only: vec![only.into()],
                ..PlanRequest::default()
            })
        };
        for (until, only) in [("kernel", "storage"), ("daemon-start", "image")] {
            let error = until_only(until, only).err().unwrap().to_string();
            assert_eq!(error, format!("no step is left to run: {only} is skipped (after --until)"));
        }
        assert!(until_only("storage", "kernel").is_ok());
        let build = PlanRequest { only: vec!["build".into()], ..PlanRequest::default() };
        assert!(plan(&build).err().unwrap().to_string().contains("build is skipped (profile default)"));
    }

    #[test]
    fn unknown_step_is_refused_with_the_valid_names() {
        let error =
            plan(&PlanRequest { only: vec!["cgroups".into()], ..PlanRequest::default() }).err().unwrap();
        assert!(format!("{error:#}").contains("cgroup-mounts"), "{error:#}");
    }

    #[test]
    fn replay_skips_a_step_that_its_recording_does_not_have() {
        let recorded = Some(vec!["privileges".to_owned(), "mounts".to_owned()]);
        let request =
            PlanRequest { environment_only: true, recorded_steps: recorded, ..PlanRequest::default() };
        assert_eq!(running(&request), ["privileges", "mounts"]);
        let plan = plan(&request).unwrap();
        assert_eq!(plan.steps[1].skip.as_deref(), Some(NOT_RECORDED));
    }
}
