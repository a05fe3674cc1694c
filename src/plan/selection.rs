//! Which steps run, by the profile, `--until`, `--only` and what a recording has.
//!
//! A step that is named in `--only` runs whatever the profile says of it, and brings along what it rests on.

use anyhow::{Context, bail, ensure};

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

/// Refuses a plan in which something does not run that was asked for: it would be taken for checked.
///
/// # Errors
///
/// The first step that was asked for, and why it does not run; or that nothing is left to run, or no daemon to keep.
pub(super) fn ensure_asked_for(planned: &[Planned], request: &PlanRequest) -> anyhow::Result<()> {
    // Of the environment phase alone, whoever asks for it decides.
    if request.environment_only {
        return Ok(());
    }
    let skipped = |id: &str| planned.iter().find(|planned| planned.step.id == id)?.skip.as_deref();
    let is_asked =
        |planned: &&Planned| request.only.is_empty() || request.only.iter().any(|id| id == planned.step.id);
    let asked: Vec<_> = planned.iter().filter(is_asked).collect();
    let left_out = asked.iter().find_map(|planned| Some((planned.step.id, planned.skip.as_deref()?)));
    if let Some((id, why)) = left_out {
        ensure!(
            asked.iter().any(|planned| planned.skip.is_none()),
            "no step is left to run: {id} is skipped ({why})"
        );
    }
    // What `--until` leaves out was asked for as well.
    let is_before_end = |id: &str| request.until.as_deref().is_none_or(|until| index(id) <= index(until));
    for id in request.only.iter().filter(|id| is_before_end(id)) {
        if let Some(why) = skipped(id) {
            bail!("--only {id}: it cannot run ({why})");
        }
    }
    if let Some(why) = skipped(steps::DAEMON_START).filter(|_| request.keep_daemon) {
        bail!(
            "a run that keeps a daemon (--keep-daemon, entrypoint) needs {}, which does not run ({why})",
            steps::DAEMON_START
        );
    }
    Ok(())
}

impl Selection<'_> {
    /// How the failure of a step counts. `--only` runs a step that the profile skips, and then requires it.
    fn mode(&self, step: &Step) -> Mode {
        match self.profile.steps.get(step.id).copied().unwrap_or(Mode::Require) {
            Mode::Skip if self.is_named(step) => Mode::Require,
            mode => mode,
        }
    }

    /// Why a step does not run; none if it runs.
    fn skip_reason(&self, index: usize, step: &Step) -> Option<String> {
        if self.mode(step) == Mode::Skip {
            Some(format!("profile {}", self.profile.name))
        } else if !self.is_recorded(step) {
            Some(NOT_RECORDED.to_owned())
        } else if self.request.environment_only && uses_daemon(step) {
            Some("not in a replay".to_owned())
        } else if let Some(base) = self.skipped_base(step) {
            Some(format!("it rests on {}, which profile {} skips", base.id, self.profile.name))
        } else if self.until.is_some_and(|(last, until)| index > last && !goes_with(step, until)) {
            Some("after --until".to_owned())
        } else if !self.is_in_only(step) {
            Some("not in --only".to_owned())
        } else {
            None
        }
    }

    /// Whether `--only` names the step.
    fn is_named(&self, step: &Step) -> bool {
        self.only.iter().any(|named| named.id == step.id)
    }

    /// Whether a replay can run the step.
    fn is_recorded(&self, step: &Step) -> bool {
        let ids = self.request.recorded_steps.as_ref();
        uses_daemon(step) || ids.is_none_or(|ids| ids.iter().any(|id| id == step.id))
    }

    /// The first step that this one rests on and the profile skips.
    fn skipped_base(&self, step: &Step) -> Option<&'static Step> {
        let skipped = |base: &&Step| self.mode(base) == Mode::Skip;
        steps::ALL.iter().filter(|base| rests_on(step, base)).find(skipped)
    }

    /// Whether `--only` is absent, or names the step or one that it goes with.
    fn is_in_only(&self, step: &Step) -> bool {
        let wants = |wanted: &&Step| wanted.id == step.id || goes_with(step, wanted);
        self.only.is_empty() || self.only.iter().any(wants)
    }
}

/// The place of a step in the ladder.
fn index(id: &str) -> Option<usize> {
    steps::ALL.iter().position(|step| step.id == id)
}

/// Whether a step uses the daemon.
fn uses_daemon(step: &Step) -> bool {
    step.phase != Phase::Environment
}

/// Whether a step runs wherever `wanted` does: `wanted` rests on it, or it removes what `wanted` started.
fn goes_with(step: &Step, wanted: &Step) -> bool {
    rests_on(wanted, step) || (uses_daemon(wanted) && step.id == steps::TEARDOWN)
}

/// Whether a step rests on another, directly or by what lies between them.
fn rests_on(step: &Step, base: &Step) -> bool {
    let between = |id: &&str| steps::find(id).is_ok_and(|between| rests_on(between, base));
    step.rests_on.contains(&base.id) || step.rests_on.iter().any(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;
    use crate::plan::Plan;

    const KEEPS: &str =
        "a run that keeps a daemon (--keep-daemon, entrypoint) needs daemon-start, which does not run (WHY)";

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
    fn only_brings_along_what_the_step_rests_on_and_teardown() {
        let only = |id: &str| running(&PlanRequest { only: vec![id.into()], ..PlanRequest::default() });
        assert_eq!(only("container-network"), ["daemon-start", "image", "container-network", "teardown"]);
        assert_eq!(
            only("container-privileged"),
            ["daemon-start", "daemon-info", "image", "container-privileged", "teardown"]
        );
        assert_eq!(only("teardown"), ["daemon-start", "teardown"]);
        assert_eq!(only("daemon-start"), ["daemon-start", "teardown"]);
        assert_eq!(only("storage"), ["storage"]);
    }

    #[test]
    fn only_a_step_that_the_profile_skips_runs_it() {
        let build = PlanRequest { only: vec!["build".into()], ..PlanRequest::default() };
        assert_eq!(running(&build), ["daemon-start", "image", "build", "teardown"]);
        let planned = plan(&build).unwrap().steps;
        assert_eq!(planned.iter().find(|planned| planned.step.id == "build").unwrap().mode, Mode::Require);
    }

    #[test]
    fn every_step_runs_alone() {
        for step in steps::ALL {
            for attach in [None, Some("unix:///x".to_owned())] {
                let request = PlanRequest { only: vec![step.id.into()], attach, ..PlanRequest::default() };
                assert!(running(&request).contains(&step.id));
            }
        }
    }

    /// The plan with a profile of these keys.
    fn with_profile(steps: &str, request: PlanRequest) -> anyhow::Result<Plan> {
        let host = Fake::new().file("/p.yaml", &format!("extends: default\nsteps: {{{steps}}}"));
        Plan::new(&host, &PlanRequest { profile: Some("/p.yaml".into()), ..request })
    }

    #[test]
    fn step_that_rests_on_a_skipped_one_is_skipped() {
        for (skipped, follower) in [("daemon-start", "image"), ("image", "container-run"), ("image", "build")]
        {
            let plan =
                with_profile(&format!("{skipped}: skip, build: require"), PlanRequest::default()).unwrap();
            let reason = |id: &str| plan.steps.iter().find(|p| p.step.id == id).unwrap().skip.clone();
            assert_eq!(
                reason(follower),
                Some(format!("it rests on {skipped}, which profile /p.yaml skips")),
                "{skipped}"
            );
            assert_eq!(reason("kernel"), None);
        }
    }

    #[test]
    fn what_was_asked_for_and_cannot_run_is_refused() {
        let only = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let request = |until: Option<&str>, ids: &[&str]| PlanRequest {
            until: until.map(Into::into),
            only: only(ids),
            ..PlanRequest::default()
        };
        for (steps, asked, said) in [
            ("", request(Some("kernel"), &["storage"]), "no step is left to run: storage is skipped (after --until)".to_owned()),
            (
                "",
                request(Some("daemon-start"), &["image", "container-run"]),
                "no step is left to run: image is skipped (after --until)".to_owned(),
            ),
            (
                "",
                request(Some("daemon-start"), &["image"]),
                "no step is left to run: image is skipped (after --until)".to_owned(),
            ),
            (
                "image: skip",
                request(None, &["container-run"]),
                "no step is left to run: container-run is skipped (it rests on image, which profile /p.yaml skips)"
                    .to_owned(),
            ),
            (
                "daemon-start: skip",
                request(None, &["image", "kernel"]),
                "--only image: it cannot run (it rests on daemon-start, which profile /p.yaml skips)".to_owned(),
            ),
            (
                "privileges: skip",
                request(Some("privileges"), &[]),
                "no step is left to run: privileges is skipped (profile /p.yaml)".to_owned(),
            ),
            (
                "",
                PlanRequest { keep_daemon: true, ..request(Some("storage"), &[]) },
                KEEPS.replace("WHY", "after --until"),
            ),
            (
                "daemon-start: skip",
                PlanRequest { keep_daemon: true, ..PlanRequest::default() },
                KEEPS.replace("WHY", "profile /p.yaml"),
            ),
        ] {
            assert_eq!(with_profile(steps, asked).err().unwrap().to_string(), said);
        }
        assert!(with_profile("", request(Some("storage"), &["kernel"])).is_ok());
        assert!(with_profile("", request(Some("kernel"), &["kernel", "storage"])).is_ok());
        assert!(with_profile("image: skip", request(None, &["image", "container-run"])).is_ok());
    }

    #[test]
    fn no_step_rests_on_a_later_one() {
        for (index, step) in steps::ALL.iter().enumerate() {
            for base in step.rests_on {
                let before = steps::ALL[..index].iter().any(|earlier| earlier.id == *base);
                assert!(before, "{} rests on {base}", step.id);
            }
            assert_eq!(uses_daemon(step), !step.rests_on.is_empty() || step.id == steps::DAEMON_START);
        }
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
