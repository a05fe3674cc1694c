//! What will be done? Everything typed and every profile ends in one [`Plan`], before the machine is touched.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::engine::Endpoint;
use crate::host::Host;
use crate::profile::{self, Format, Grant, Mode, Profile};
use crate::step::{Phase, Step};
use crate::steps;

mod endpoint;

pub use endpoint::endpoint;

/// What was typed, as far as it shapes a plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Wishes {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--repair`.
    pub repair: Option<Grant>,
    /// `--until`: the last step that runs.
    pub until: Option<String>,
    /// `--only`: the steps that run.
    pub only: Vec<String>,
    /// `--keep-going`.
    pub keep_going: bool,
    /// `--keep-daemon`.
    pub keep_daemon: bool,
    /// `--attach`.
    pub attach: Option<String>,
    /// `--image`.
    pub image: Option<String>,
    /// `--format`.
    pub format: Option<Format>,
    /// Steps of the environment phase only (a replay).
    pub environment_only: bool,
    /// Further arguments of dockerd.
    pub daemon_args: Vec<String>,
    /// The daemon is to live long: without `--debug`, whatever the profile says.
    pub quiet_daemon: bool,
}

/// What will be done.
pub struct Plan {
    /// A short id of this run; what dindcheck makes carries it.
    pub run: String,
    /// The profile, with what was typed already in it.
    pub profile: Profile,
    /// Every step, in order, and whether it runs.
    pub steps: Vec<Planned>,
    /// Finish the phase after a failure.
    pub keep_going: bool,
    /// Leave the inner daemon running after success.
    pub keep_daemon: bool,
    /// Use a running daemon instead of starting one.
    pub attach: Option<Endpoint>,
    /// The image to run.
    pub image: ImageChoice,
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

/// Which image is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageChoice {
    /// Made in memory from this binary: needs no registry.
    Builtin,
    /// A reference: present, or to be pulled.
    Reference(String),
}

impl Plan {
    /// Makes the plan. Every mistake in what was typed, or in a profile, is found here.
    pub fn new(host: &dyn Host, wishes: &Wishes) -> anyhow::Result<Self> {
        let mut profile = profile::load(host, wishes.profile.as_deref().unwrap_or("default"))?;
        if let Some(repair) = wishes.repair {
            profile.repair = repair;
        }
        if let Some(format) = wishes.format {
            profile.format = format;
        }
        profile.daemon.debug &= !wishes.quiet_daemon;
        profile.daemon.args.extend(wishes.daemon_args.iter().cloned());
        let image = image_choice(wishes.image.as_deref().unwrap_or(&profile.image.reference))?;
        let attach = wishes.attach.as_deref().map(|url| endpoint(host, url)).transpose()?;
        Ok(Self {
            run: run_id(host.identity().pid),
            steps: planned(&profile, wishes)?,
            profile,
            keep_going: wishes.keep_going,
            keep_daemon: wishes.keep_daemon,
            attach,
            image,
        })
    }

    /// Whether the step of this id runs.
    pub fn runs(&self, id: &str) -> bool {
        self.steps.iter().any(|planned| planned.step.id == id && planned.skip.is_none())
    }

    /// Whether a step of this phase runs at all.
    pub fn reaches(&self, phase: Phase) -> bool {
        self.steps.iter().any(|planned| planned.step.phase == phase && planned.skip.is_none())
    }
}

/// Each step of the ladder with its mode, and the reason where it does not run.
fn planned(profile: &Profile, wishes: &Wishes) -> anyhow::Result<Vec<Planned>> {
    let until = wishes.until.as_deref().map(steps::find).transpose().context("--until")?;
    let only =
        wishes.only.iter().map(|id| steps::find(id)).collect::<Result<Vec<_>, _>>().context("--only")?;
    let last = until.and_then(|last| steps::ALL.iter().position(|step| step.id == last.id));
    let mode = |id: &str| profile.steps.get(id).copied().unwrap_or(Mode::Require);
    let without_daemon = mode(steps::DAEMON_START) == Mode::Skip;
    let reason = |index: usize, step: &Step| match () {
        () if mode(step.id) == Mode::Skip => Some(format!("profile {}", profile.name)),
        () if wishes.environment_only && needs_daemon(step) => Some("not in a replay".to_owned()),
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

    fn plan(wishes: &Wishes) -> anyhow::Result<Plan> {
        Plan::new(&Fake::new(), wishes)
    }

    #[test]
    fn every_step_but_the_build_runs_by_default() {
        let plan = plan(&Wishes::default()).unwrap();
        let skipped: Vec<_> = plan.steps.iter().filter(|planned| planned.skip.is_some()).collect();
        assert_eq!(skipped.iter().map(|planned| planned.step.id).collect::<Vec<_>>(), ["build"]);
        assert_eq!(plan.steps.len(), steps::ALL.len());
    }

    #[test]
    fn until_in_the_daemon_phase_keeps_the_teardown() {
        let plan = plan(&Wishes { until: Some("daemon-start".into()), ..Wishes::default() }).unwrap();
        let runs: Vec<_> = plan.steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs.last(), Some(&"teardown"));
        assert!(!runs.contains(&"image"));
    }

    #[test]
    fn until_in_the_environment_phase_needs_no_teardown() {
        let plan = plan(&Wishes { until: Some("privileges".into()), ..Wishes::default() }).unwrap();
        let runs: Vec<_> = plan.steps.iter().filter(|p| p.skip.is_none()).map(|p| p.step.id).collect();
        assert_eq!(runs, ["privileges"]);
    }

    /// The ids of the steps that run.
    fn running(wishes: &Wishes) -> Vec<&'static str> {
        let plan = plan(wishes).unwrap();
        plan.steps.iter().filter(|planned| planned.skip.is_none()).map(|planned| planned.step.id).collect()
    }

    #[test]
    fn a_step_that_asks_a_daemon_never_goes_without_its_start_and_its_end() {
        let only = |id: &str| running(&Wishes { only: vec![id.into()], ..Wishes::default() });
        assert_eq!(only("container-network"), ["daemon-start", "container-network", "teardown"]);
        assert_eq!(only("daemon-start"), ["daemon-start", "teardown"]);
        assert_eq!(only("storage"), ["storage"]);
    }

    #[test]
    fn without_the_start_of_the_daemon_nobody_asks_it() {
        let host = Fake::new().file("/p.yaml", "extends: default\nsteps: {daemon-start: skip}");
        let only = vec!["image".into(), "kernel".into()];
        let steps = Plan::new(&host, &Wishes { profile: Some("/p.yaml".into()), only, ..Wishes::default() })
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
            Plan::new(&host, &Wishes { profile: Some("/p.yaml".into()), ..Wishes::default() }).err().unwrap();
        assert!(error.to_string().contains("teardown cannot be skipped"), "{error}");
    }

    #[test]
    fn an_unknown_step_is_refused_by_name() {
        let error = plan(&Wishes { only: vec!["cgroups".into()], ..Wishes::default() }).err().unwrap();
        assert!(format!("{error:#}").contains("cgroup-mounts"), "{error:#}");
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
