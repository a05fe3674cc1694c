//! What does a CI server show that reads JUnit? Every step as a test case of its own.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Report, StepReport};
use crate::finding::{Finding, Level, Outcome};

/// Writes the report as JUnit's XML.
pub fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new("dindcheck");
    suite.set_time(report.duration);
    suite.add_property(("run", report.run.as_str()));
    suite.add_property(("profile", report.profile.as_str()));
    let known = &report.environment;
    for (name, value) in [("kernel", &known.kernel), ("cgroup", &known.cgroup), ("engine", &known.engine)] {
        suite.add_properties(value.as_deref().map(|value| (name, value)));
    }
    suite.add_test_cases(report.steps.iter().map(case));
    if !report.complete {
        suite.add_test_case(unfinished());
    }
    let mut whole = quick_junit::Report::new("dindcheck");
    whole.set_time(report.duration).add_test_suite(suite);
    whole.serialize(out).map_err(io::Error::other)
}

/// A step.
fn case(step: &StepReport) -> TestCase {
    let mut case = TestCase::new(step.step.id, status(step));
    case.set_classname(format!("dindcheck.{}", step.step.phase.name())).set_time(step.duration);
    let said: String = step.findings.iter().map(words).collect();
    if !said.is_empty() {
        case.set_system_out(said);
    }
    case
}

/// How it counts.
fn status(step: &StepReport) -> TestCaseStatus {
    let mut status = match &step.outcome {
        Outcome::Passed | Outcome::Warned | Outcome::Repaired => return TestCaseStatus::success(),
        Outcome::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            return status;
        }
        Outcome::Errored(error) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(format!("could not look: {error:#}"));
            return status;
        }
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if let Some(finding) = step.last_failing() {
        status.set_message(finding.what.as_str());
        status.set_description(words(finding));
        if let Some(cause) = finding.cause {
            status.set_type(cause.as_str());
        }
    }
    status
}

/// A finding with its evidence and what to do.
fn words(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Pass => "",
        Level::Warn => "warning: ",
        Level::Fail => "failure: ",
    };
    let remedy = finding.hint.clone().or_else(|| {
        let cause = finding.cause.filter(|_| finding.level > Level::Pass)?;
        Some(crate::diagnosis::cause(cause).remedy.to_owned())
    });
    let evidence = finding.evidence.iter().map(|(key, value)| format!("  {key}: {value}\n"));
    let mut text = format!("{level}{}\n{}", finding.what, evidence.collect::<String>());
    if let Some(remedy) = remedy {
        text.push_str(&format!("  what to do: {remedy}\n"));
    }
    text
}

/// What stands for the steps that were still to come when this was written.
fn unfinished() -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message("the run did not come to its end");
    TestCase::new("complete", status)
}
