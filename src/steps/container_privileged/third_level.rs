//! Does a dockerd run in an inner privileged container, and a container under that one? This program, verifying in there,
//! tells: what failed first there is what is told here.

use serde_json::Value;

use super::FAILED;
use crate::diagnosis::{self, causes};
use crate::engine::ContainerRun;
use crate::finding::{Finding, Level};
use crate::step::Cx;
use crate::workload;

/// Most characters of what is no report.
const WORDS: usize = 400;

/// Adds what the third level shows to what the second did. Where that one does not even start, there is none.
pub(super) fn add(cx: &Cx<'_>, mut findings: Vec<Finding>) -> anyhow::Result<Vec<Finding>> {
    let runs = findings.iter().all(|finding| finding.level == Level::Pass);
    if !runs {
        return Ok(findings.into_iter().map(in_the_way).collect());
    }
    (cx.progress)("a dockerd in an inner privileged container");
    findings.push(judge(&cx.workload.third_level())?);
    Ok(findings)
}

/// What an engine works without on two levels is a failure for a third.
fn in_the_way(mut finding: Finding) -> Finding {
    if finding.level == Level::Warn {
        finding.level = Level::Fail;
        finding.what = format!("there can be no third level: {}", finding.what);
    }
    finding
}

/// What the program in there said.
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
            let what = "a dockerd runs in an inner privileged container, and a container under it";
            Ok(told(Finding::pass(what), &report))
        }
        Some("broken") => {
            let (step, what) = (text(&first["step"]), text(&first["what"]));
            let cause = first["cause"].as_str().and_then(diagnosis::find).map_or(FAILED, |cause| cause.id);
            let finding = Finding::fail(cause, format!("the third level fails at {step}: {what}"));
            let finding = finding.with("third_level_step", step).hint(text(&first["remedy"]));
            Ok(told(finding, &report))
        }
        _ => anyhow::bail!("the third level could not tell: {}", text(&first["what"])),
    }
}

/// How the third level is, as evidence.
fn told(finding: Finding, report: &Value) -> Finding {
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

/// It ended, and said something else.
fn no_report(run: &ContainerRun) -> Finding {
    let code = run.end.clone().unwrap_or(-1);
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().chars().take(WORDS).collect::<String>();
    let cause = if code == 137 { causes::OOM_KILLED } else { FAILED };
    Finding::fail(cause, format!("dindcheck ended with {code} on the third level, and gave no report"))
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
    fn a_sound_third_level_is_told_with_its_engine() {
        let finding = judge(&said(&report("sound", &Value::Null))).unwrap();
        assert_eq!(finding.level, Level::Pass);
        assert!(finding.evidence.contains(&("third_level_engine", "28.5.2".to_owned())));
        assert!(finding.evidence.contains(&("third_level_warned", "privileges".to_owned())));
    }

    #[test]
    fn the_first_failure_of_the_third_level_is_named() {
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
    fn what_could_not_tell_or_said_nothing_is_no_pass() {
        assert!(judge(&said(&report("unknown", &json!({ "what": "no eyes" })))).is_err());
        let silent = ContainerRun { end: Ok(127), ..ContainerRun::new() };
        let finding = judge(&silent).unwrap();
        assert_eq!((finding.level, finding.cause), (Level::Fail, Some(FAILED)));
    }

    #[test]
    fn the_profile_nested_asks_for_it_and_default_does_not() {
        let wanted = |name| {
            let profile = crate::profile::load(&crate::host::fake::Fake::new(), name).unwrap();
            profile.container.third_level
        };
        assert!(wanted("nested") && !wanted("default"));
    }

    #[test]
    fn a_warning_of_the_second_level_is_a_failure_for_the_third() {
        let warned = Finding::warn(causes::CAPABILITY_MISSING_FOR_CONTAINER, "it lacks x");
        let finding = in_the_way(warned);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.what.contains("no third level: it lacks x"));
    }
}
