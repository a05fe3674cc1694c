//! The format `junit`: JUnit's XML with a test case for each step.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Escaping, Format};
use crate::finding::{Finding, Level, Outcome};
use crate::report::coverage::plain;
use crate::report::{Report, StepReport};

/// The format.
pub static FORMAT: Format = Format {
    name: "junit",
    about: "JUnit's XML, with a test case for each step",
    readers: "GitLab, Jenkins and others that show test results",
    for_people: false,
    escaping: Escaping::Page,
    render,
    render_images: None,
};

fn render(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new("dindcheck");
    suite.set_time(report.duration);
    suite.add_property(("run", report.run.as_str()));
    suite.add_property(("profile", report.profile.as_str()));
    suite.add_property(("result", report.headline(&plain).as_str()));
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

/// A step as a test case.
fn case(step: &StepReport) -> TestCase {
    let mut case = TestCase::new(step.step.id, status(step));
    case.set_classname(format!("dindcheck.{}", step.step.phase.name())).set_time(step.duration);
    let output: String = step.findings.iter().map(text_of).collect();
    if !output.is_empty() {
        case.set_system_out(output);
    }
    case
}

/// How a step counts.
fn status(step: &StepReport) -> TestCaseStatus {
    let mut status = match &step.outcome {
        Outcome::Passed | Outcome::Warned | Outcome::Repaired => return TestCaseStatus::success(),
        Outcome::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.as_str());
            return status;
        }
        Outcome::Errored(_) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(step.error().unwrap_or_default());
            return status;
        }
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if let Some(finding) = step.last_failing() {
        status.set_message(finding.what.as_str());
        status.set_description(text_of(finding));
        if let Some(cause) = finding.cause {
            status.set_type(cause.as_str());
        }
    }
    status
}

/// A finding with its evidence and what to do.
fn text_of(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Pass => "",
        Level::Warn => "warning: ",
        Level::Fail => "failure: ",
    };
    let remedy = match finding.level {
        Level::Pass => finding.hint.as_deref(),
        Level::Warn | Level::Fail => finding.remedy(),
    };
    let evidence = finding.evidence.iter().map(|(key, value)| format!("  {key}: {value}\n"));
    let mut text = format!("{level}{}\n{}", finding.what, evidence.collect::<String>());
    if let Some(remedy) = remedy {
        text.push_str(&format!("  what to do: {remedy}\n"));
    }
    text
}

/// Stands for the steps that follow, in a report of a run that has not ended.
fn unfinished() -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message("the run did not come to its end");
    TestCase::new("complete", status)
}
