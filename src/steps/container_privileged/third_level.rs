//! Runs dindcheck in an inner privileged container, with a dockerd and a container of its own there, and reports the first
//! failure of that run.

use serde_json::Value;

use super::FAILED;
use crate::diagnosis::{self, causes};
use crate::engine::ContainerRun;
use crate::finding::{Finding, Level};
use crate::step::Cx;
use crate::workload;

/// The most characters that are kept of an output that is not a report.
const WORDS: usize = 400;

/// Adds the finding of the third level to those of the second, if an inner privileged container starts.
pub(super) fn add(cx: &Cx<'_>, mut findings: Vec<Finding>) -> anyhow::Result<Vec<Finding>> {
    let runs = findings.iter().all(|finding| finding.level == Level::Pass);
    if !runs {
        return Ok(findings.into_iter().map(prevents).collect());
    }
    (cx.progress)("starting a dockerd in an inner privileged container");
    findings.push(judge(&cx.workload.third_level())?);
    Ok(findings)
}

/// What two levels work without can be a failure for a third.
fn prevents(mut finding: Finding) -> Finding {
    if finding.level == Level::Warn {
        finding.level = Level::Fail;
        finding.what = format!("a third level is impossible: {}", finding.what);
    }
    finding
}

/// The finding of its report.
fn judge(run: &ContainerRun) -> anyhow::Result<Finding> {
    if let Err(error) = &run.end {
        return workload::failure(run.stage, error.clone(), FAILED);
    }
    let Ok(report) = serde_json::from_slice::<Value>(&run.stdout) else {
        return Ok(no_report(run));
    };
    let first = &report["first_failure"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match report["verdict"].as_str() {
        Some("sound") => {
            let what = "a dockerd and a container of its own run in an inner privileged container";
            Ok(with_report(Finding::pass(what), &report))
        }
        Some("broken") => {
            let (step, what) = (text(&first["step"]), text(&first["what"]));
            let cause = first["cause"].as_str().and_then(diagnosis::find).map_or(FAILED, |cause| cause.id);
            let finding = Finding::fail(cause, format!("the third level fails at {step}: {what}"));
            let finding = finding.with("third_level_step", step).hint(text(&first["remedy"]));
            Ok(with_report(finding, &report))
        }
        _ => anyhow::bail!("the third level has no verdict: {}", text(&first["what"])),
    }
}

/// The report of the third level as evidence.
fn with_report(finding: Finding, report: &Value) -> Finding {
    let text = |key: &str| report["environment"][key].as_str().unwrap_or_default().to_owned();
    let of = |outcome: &str| {
        let steps = report["steps"].as_array().into_iter().flatten();
        let ids: Vec<_> =
            steps.filter(|step| step["outcome"] == outcome).filter_map(|step| step["id"].as_str()).collect();
        ids.join(", ")
    };
    let mut finding = finding
        .with("third_level_engine", text("engine"))
        .with("third_level_storage_driver", text("storage_driver"))
        .with("third_level_ms", report["duration_ms"].as_f64().unwrap_or_default().round());
    for (key, outcome) in [("third_level_warned", "warned"), ("third_level_repaired", "repaired")] {
        let ids = of(outcome);
        if !ids.is_empty() {
            finding = finding.with(key, ids);
        }
    }
    finding
}

/// The output is not a report.
fn no_report(run: &ContainerRun) -> Finding {
    let code = run.end.clone().unwrap_or(-1);
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().chars().take(WORDS).collect::<String>();
    let cause = if code == 137 { causes::OOM_KILLED } else { FAILED };
    Finding::fail(cause, format!("dindcheck ended with {code} on the third level without a report"))
        .with("stdout", words(&run.stdout))
        .with("stderr", words(&run.stderr))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(report: &Value) -> ContainerRun {
        ContainerRun { stdout: report.to_string().into_bytes(), ..ContainerRun::new() }
    }

    fn report(verdict: &str, first: &Value) -> Value {
        json!({
            "verdict": verdict, "first_failure": first, "duration_ms": 12.3,
            "environment": { "engine": "28.5.2", "storage_driver": "overlay2" },
            "steps": [{ "id": "privileges", "outcome": "warned" }, { "id": "image", "outcome": "passed" }],
        })
    }

    #[test]
    fn sound_third_level_passes_with_its_engine() {
        let finding = judge(&said(&report("sound", &Value::Null))).unwrap();
        assert_eq!(finding.level, Level::Pass);
        assert!(finding.evidence.contains(&("third_level_engine", "28.5.2".to_owned())));
        assert!(finding.evidence.contains(&("third_level_warned", "privileges".to_owned())));
    }

    #[test]
    fn first_failure_of_the_third_level_fails() {
        let first =
            json!({ "step": "storage", "cause": "disk-full", "what": "no room", "remedy": "make room" });
        let finding = judge(&said(&report("broken", &first))).unwrap();
        assert_eq!((finding.level, finding.cause), (Level::Fail, Some(causes::DISK_FULL)));
        assert_eq!(finding.what, "the third level fails at storage: no room");
        assert_eq!(finding.hint.as_deref(), Some("make room"));
        let foreign = json!({ "step": "x", "cause": "no-such-cause", "what": "y" });
        assert_eq!(judge(&said(&report("broken", &foreign))).unwrap().cause, Some(FAILED));
    }

    #[test]
    fn third_level_without_a_verdict_or_a_report_does_not_pass() {
        assert!(judge(&said(&report("unknown", &json!({ "what": "no eyes" })))).is_err());
        let silent = ContainerRun { end: Ok(127), ..ContainerRun::new() };
        let finding = judge(&silent).unwrap();
        assert_eq!((finding.level, finding.cause), (Level::Fail, Some(FAILED)));
    }

    #[test]
    fn profile_nested_asks_for_it_and_default_does_not() {
        let wanted = |name| {
            let profile =
                crate::profile::load(&crate::host::fake::Fake::new(), std::path::Path::new(name)).unwrap();
            profile.container.third_level
        };
        assert!(wanted("nested") && !wanted("default"));
    }

    #[test]
    fn warning_of_the_second_level_fails_the_third() {
        let warned = Finding::warn(causes::CAPABILITY_MISSING_FOR_CONTAINER, "it lacks x");
        let finding = prevents(warned);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.what.contains("third level is impossible: it lacks x"));
    }
}
