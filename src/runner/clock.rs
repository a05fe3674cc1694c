//! A clock that is set while a step runs: certificates, tokens and time stamps of files are wrong before or after it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::diagnosis::causes;
use crate::finding::{Finding, Level, Outcome};
use crate::profile::Profile;
use crate::report::StepReport;

/// A difference of this much is no adjustment of the rate, which is at most 500 microseconds a second (adjtimex(2)).
const JUMP: Duration = Duration::from_secs(1);

/// The clock of the machine, and one that nobody can set and that also counts while the machine sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    wall: Duration,
    boot: Duration,
}

impl Clocks {
    /// Both as they are now.
    pub(super) fn read() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
        Self { wall, boot }
    }

    /// By how many seconds the clock was set between two readings; `None` where it was not.
    fn set_until(self, later: Self) -> Option<f64> {
        let by = (later.wall.as_secs_f64() - self.wall.as_secs_f64())
            - (later.boot.as_secs_f64() - self.boot.as_secs_f64());
        (by.abs() >= JUMP.as_secs_f64()).then_some(by)
    }

    /// Adds a warning to the step that has just run, where the clock was set meanwhile.
    pub(super) fn judge(self, later: Self, profile: &Profile, step: &mut StepReport) {
        let Some(by) = self.set_until(later) else { return };
        let direction = if by > 0.0 { "forward" } else { "back" };
        let what =
            format!("the clock of this machine was set {direction} by {:.1} s while this step ran", by.abs());
        let mut finding =
            Finding::warn(causes::SYSTEM_CLOCK_JUMPS, what).with("seconds", format!("{by:+.1}"));
        let weight = profile.causes.get(causes::SYSTEM_CLOCK_JUMPS.as_str());
        finding.level = weight.map_or(finding.level, |weight| (*weight).into());
        match (finding.level, &step.outcome) {
            (Level::Fail, Outcome::Passed | Outcome::Warned | Outcome::Repaired) => {
                step.outcome = Outcome::Failed
            }
            (Level::Warn, Outcome::Passed) => step.outcome = Outcome::Warned,
            _ => {}
        }
        step.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: f64, boot: f64) -> Clocks {
        Clocks { wall: Duration::from_secs_f64(wall), boot: Duration::from_secs_f64(boot) }
    }

    #[test]
    fn clock_that_runs_or_is_adjusted_was_not_set() {
        assert_eq!(at(1000.0, 10.0).set_until(at(1060.0, 70.0)), None);
        assert_eq!(at(1000.0, 10.0).set_until(at(1060.5, 70.0)), None);
        let now = Clocks::read();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(now.set_until(Clocks::read()), None);
    }

    #[test]
    fn clock_that_was_set_is_named_with_direction_and_seconds() {
        let profile = crate::profile::load(&crate::host::fake::Fake::new(), "default".as_ref()).unwrap();
        for (later, what, evidence) in [
            (at(4602.0, 12.0), "set forward by 3600.0 s", "+3600.0"),
            (at(972.0, 12.0), "set back by 30.0 s", "-30.0"),
        ] {
            let mut step = step();
            at(1000.0, 10.0).judge(later, &profile, &mut step);
            assert!(step.findings[0].what.contains(what), "{:?}", step.findings);
            assert_eq!(step.findings[0].evidence, [("seconds", evidence.to_owned())]);
            assert_eq!(step.outcome.name(), "warned");
        }
    }

    /// A step that passed without findings.
    fn step() -> StepReport {
        let step = &crate::steps::ALL[0];
        let planned = crate::plan::Planned { step, mode: crate::profile::Mode::Require, skip: None };
        super::super::conclude::without_findings(&planned, Outcome::Passed)
    }
}
