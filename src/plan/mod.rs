//! The plan of a run: arguments and profile, checked before anything on the machine is touched.

use crate::options::ImageChoice;
use crate::options::PlanRequest;
use crate::options::RunOptions;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use regex::Regex;

use crate::host::SystemReader;
use crate::profile::{self, Mode, Profile};
use crate::report::formats::{self, Format};
use crate::step::{Phase, Step};
use crate::steps;

mod endpoint;

pub use endpoint::endpoint;

/// Why a replay skips a step that is newer than its recording.
pub const NOT_RECORDED: &str = "not in this recording";

/// What will be done.
pub struct Plan {
    /// What the layers below know of the run.
    pub options: RunOptions,
    /// Every step, in order, and whether it runs.
    pub steps: Vec<Planned>,
    /// Finish the phase after a failure.
    pub keep_going: bool,
    /// The format of the report on stdout.
    pub format: &'static Format,
}

/// One step of the plan.
pub struct Planned {
    /// The step.
    pub step: &'static Step,
    /// How it counts.
    pub mode: Mode,
    /// Why it does not run, if it does not.
    pub skip: Option<String>,
}

impl Plan {
    /// Makes the plan. Every mistake in what was typed, or in a profile, is found here.
    pub fn new(host: &dyn SystemReader, request: &PlanRequest) -> anyhow::Result<Self> {
        let mut profile = load_profile(host, request.profile.as_deref().unwrap_or("default"))?;
        if let Some(repair) = request.repair {
            profile.repair = repair;
        }
        if let Some(format) = &request.format {
            profile.format.clone_from(format);
        }
        let format = formats::find(&profile.format).context("--format")?;
        profile.daemon.debug &= !request.quiet_daemon;
        profile.daemon.args.extend(request.daemon_args.iter().cloned());
        let image = image_choice(request.image.as_deref().unwrap_or(&profile.image.reference))?;
        let attach = request.attach.as_deref().map(|url| endpoint(host, url)).transpose()?;
        let steps = planned(&profile, request)?;
        let runs: Vec<_> =
            steps.iter().filter(|planned| planned.skip.is_none()).map(|planned| planned.step).collect();
        let options = RunOptions {
            run: run_id(host.identity().pid),
            profile,
            attach,
            image,
            keep_daemon: request.keep_daemon,
            runs: runs.iter().map(|step| step.id).collect(),
            needs: runs.iter().flat_map(|step| step.needs).copied().collect(),
        };
        Ok(Self { options, steps, keep_going: request.keep_going, format })
    }

    /// Whether a step of this phase runs at all.
    pub fn reaches(&self, phase: Phase) -> bool {
        self.steps.iter().any(|planned| planned.step.phase == phase && planned.skip.is_none())
    }
}

/// Each step of the ladder with its mode, and the reason where it does not run.
fn planned(profile: &Profile, request: &PlanRequest) -> anyhow::Result<Vec<Planned>> {
    let until = request.until.as_deref().map(steps::find).transpose().context("--until")?;
    let only =
        request.only.iter().map(|id| steps::find(id)).collect::<Result<Vec<_>, _>>().context("--only")?;
    let last = until.and_then(|last| steps::ALL.iter().position(|step| step.id == last.id));
    let mode = |id: &str| profile.steps.get(id).copied().unwrap_or(Mode::Require);
    let without_daemon = mode(steps::DAEMON_START) == Mode::Skip;
    let reason = |index: usize, step: &Step| match () {
        () if mode(step.id) == Mode::Skip => Some(format!("profile {}", profile.name)),
        () if request
            .recorded_steps
            .as_ref()
            .is_some_and(|ids| !needs_daemon(step) && !ids.iter().any(|id| id == step.id)) =>
        {
            Some(NOT_RECORDED.to_owned())
        }
        () if request.environment_only && needs_daemon(step) => Some("not in a replay".to_owned()),
        () if needs_daemon(step) && without_daemon => Some(format!("{} is skipped", steps::DAEMON_START)),
        () if last.is_some_and(|last| index > last && !goes_with(step, &steps::ALL[last])) => {
            Some("after --until".to_owned())
        }
        () if !only.is_empty()
            && !only.iter().any(|wanted| wanted.id == step.id || goes_with(step, wanted)) =>
        {
            Some("not in --only".to_owned())
        }
        () => None,
    };
    let plan = steps::ALL.iter().enumerate().map(|(index, step)| Planned {
        step,
        mode: mode(step.id),
        skip: reason(index, step),
    });
    Ok(plan.collect())
}

/// The profile of that name or file; its steps and its format exist.
pub fn load_profile(host: &dyn SystemReader, name: &str) -> anyhow::Result<Profile> {
    let profile = profile::load(host, name)?;
    let name = &profile.name;
    for id in profile.steps.keys() {
        steps::find(id).with_context(|| format!("profile {name}: steps"))?;
    }
    formats::find(&profile.format).with_context(|| format!("profile {name}: format"))?;
    ensure!(
        profile.steps.get(steps::TEARDOWN) != Some(&Mode::Skip),
        "profile {name}: steps: {} cannot be skipped, a run takes away what it made (--keep-daemon keeps the daemon)",
        steps::TEARDOWN
    );
    Ok(profile)
}

/// Whether a step asks a daemon.
fn needs_daemon(step: &Step) -> bool {
    step.phase != Phase::Environment
}

/// Whether a step runs wherever that one does: no step may ask a daemon that was not started, or attached to, for it, and
/// what was started is ended.
fn goes_with(step: &Step, wanted: &Step) -> bool {
    needs_daemon(wanted) && [steps::DAEMON_START, steps::TEARDOWN].contains(&step.id)
}

/// `builtin`, or a reference that follows the grammar of distribution's reference package.
fn image_choice(text: &str) -> anyhow::Result<ImageChoice> {
    static REFERENCE: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
        let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
        Regex::new(&format!(
            "^(?:(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?/)?{part}(?:/{part})*\
             (?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[a-z0-9]+:[a-fA-F0-9]{{32,}})?$"
        ))
    });
    if text == "builtin" {
        return Ok(ImageChoice::Builtin);
    }
    let grammar = REFERENCE.as_ref().map_err(Clone::clone)?;
    ensure!(
        text.len() <= 512 && grammar.is_match(text),
        "`{text}` is no image reference: [HOST[:PORT]/]NAME[:TAG][@DIGEST] in lower case, or `builtin`"
    );
    Ok(ImageChoice::Reference(text.to_owned()))
}

/// Eight hex digits that differ from run to run on a machine.
fn run_id(pid: i32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mixed = now.as_nanos() ^ (u128::from(pid.unsigned_abs()) << 20);
    format!("{:08x}", u32::try_from((mixed ^ (mixed >> 32)) & 0xffff_ffff).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn plan(request: &PlanRequest) -> anyhow::Result<Plan> {
        Plan::new(&Fake::new(), request)
    }

    #[test]
    fn every_step_but_the_build_runs_by_default() {
        let plan = plan(&PlanRequest::default()).unwrap();
        let skipped: Vec<_> = plan.steps.iter().filter(|planned| planned.skip.is_some()).collect();
        assert_eq!(skipped.iter().map(|planned| planned.step.id).collect::<Vec<_>>(), ["build"]);
        assert_eq!(plan.steps.len(), steps::ALL.len());
    }

    #[test]
    fn until_in_the_daemon_phase_keeps_the_teardown() {
        let plan =
            plan(&PlanRequest { until: Some("daemon-start".into()), ..PlanRequest::default() }).unwrap();
        let runs: Vec<_> = plan.steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs.last(), Some(&"teardown"));
        assert!(!runs.contains(&"image"));
    }

    #[test]
    fn until_in_the_environment_phase_needs_no_teardown() {
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
    fn a_step_that_asks_a_daemon_never_goes_without_its_start_and_its_end() {
        let only = |id: &str| running(&PlanRequest { only: vec![id.into()], ..PlanRequest::default() });
        assert_eq!(only("container-network"), ["daemon-start", "container-network", "teardown"]);
        assert_eq!(only("daemon-start"), ["daemon-start", "teardown"]);
        assert_eq!(only("storage"), ["storage"]);
    }

    #[test]
    fn without_the_start_of_the_daemon_nobody_asks_it() {
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
    fn a_profile_may_not_leave_out_the_clean_up() {
        let host = Fake::new().file("/p.yaml", "extends: default\nsteps: {teardown: skip}");
        let error =
            Plan::new(&host, &PlanRequest { profile: Some("/p.yaml".into()), ..PlanRequest::default() })
                .err()
                .unwrap();
        assert!(error.to_string().contains("teardown cannot be skipped"), "{error}");
    }

    #[test]
    fn an_unknown_step_is_refused_by_name() {
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

    #[test]
    fn references_are_checked() {
        for good in ["centos:7", "a.b:5000/x/y_z:Tag", "localhost/x@sha256:0123456789abcdef0123456789abcdef"]
        {
            assert_eq!(image_choice(good).unwrap(), ImageChoice::Reference(good.into()));
        }
        for bad in ["", "Upper/Case", "a b", "x:", "x@sha256:1", "-x", "http://x/y"] {
            assert!(image_choice(bad).is_err(), "{bad}");
        }
    }
}
