//! The plan of a run: arguments and profile, checked before anything on the machine is changed.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use crate::host::SystemReader;
use crate::options::{PlanRequest, RunOptions};
use crate::profile::{self, Mode, Profile};
use crate::report::formats::{self, Format};
use crate::step::{Phase, Step};
use crate::steps;

mod endpoint;
mod image;
mod selection;

pub use endpoint::endpoint;
pub use selection::NOT_RECORDED;

/// The plan of a run.
pub struct Plan {
    /// What the layers below may know of the run.
    pub options: RunOptions,
    /// Every step, in order.
    pub steps: Vec<Planned>,
    /// Whether a failure stops the run only at the end of its phase.
    pub keep_going: bool,
    /// The format of the report on stdout.
    pub format: &'static Format,
}

/// One step of the plan.
pub struct Planned {
    /// The step.
    pub step: &'static Step,
    /// How its failure counts.
    pub mode: Mode,
    /// Why it does not run; none if it runs.
    pub skip: Option<String>,
}

impl Plan {
    /// Makes the plan.
    ///
    /// # Errors
    ///
    /// Every invalid argument and every invalid value of a profile.
    pub fn new(host: &dyn SystemReader, request: &PlanRequest) -> anyhow::Result<Self> {
        let mut profile = load_profile(host, request.profile.as_deref().unwrap_or(Path::new("default")))?;
        if let Some(repair) = request.repair {
            profile.repair = repair;
        }
        if let Some(format) = &request.format {
            profile.format.clone_from(format);
        }
        let format = formats::find(&profile.format).context("--format")?;
        profile.daemon.debug &= !request.quiet_daemon;
        profile.daemon.args.extend(request.daemon_args.iter().cloned());
        let image = image::choice(request.image.as_deref().unwrap_or(&profile.image.reference))?;
        let attach = request.attach.as_deref().map(|url| endpoint(host, "--attach", url)).transpose()?;
        let steps = selection::planned(&profile, request)?;
        selection::ensure_asked_for(&steps, request)?;
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

    /// Whether any step of this phase runs.
    pub fn reaches(&self, phase: Phase) -> bool {
        self.steps.iter().any(|planned| planned.step.phase == phase && planned.skip.is_none())
    }
}

/// The profile of that name or file; its steps and its format exist.
pub fn load_profile(host: &dyn SystemReader, name: &Path) -> anyhow::Result<Profile> {
    let profile = profile::load(host, name)?;
    let name = &profile.name;
    for id in profile.steps.keys() {
        steps::find(id).with_context(|| format!("profile {name}: steps"))?;
    }
    formats::find(&profile.format).with_context(|| format!("profile {name}: format"))?;
    ensure!(
        profile.steps.get(steps::TEARDOWN) != Some(&Mode::Skip),
        "profile {name}: steps: {} cannot be skipped: a run removes what it created (--keep-daemon keeps the daemon)",
        steps::TEARDOWN
    );
    Ok(profile)
}

/// Eight hex digits that differ from run to run on one machine.
fn run_id(pid: i32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mixed = now.as_nanos() ^ (u128::from(pid.unsigned_abs()) << 20);
    format!("{:08x}", u32::try_from((mixed ^ (mixed >> 32)) & 0xffff_ffff).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn profile_that_skips_teardown_is_refused() {
        let host = Fake::new().file("/p.yaml", "extends: default\nsteps: {teardown: skip}");
        let error =
            Plan::new(&host, &PlanRequest { profile: Some("/p.yaml".into()), ..PlanRequest::default() })
                .err()
                .unwrap();
        assert!(error.to_string().contains("teardown cannot be skipped"), "{error}");
    }
}
