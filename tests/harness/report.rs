//! Readings of dindcheck's JSON report.

use serde_json::Value;

/// The step of that id.
#[track_caller]
pub(crate) fn step<'r>(report: &'r Value, id: &str) -> &'r Value {
    steps(report).find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id} in {report:#}"))
}

/// All steps; none where there is no report.
pub(crate) fn steps(report: &Value) -> impl Iterator<Item = &Value> {
    report["steps"].as_array().into_iter().flatten()
}

/// All findings of a step.
pub(crate) fn findings(step: &Value) -> impl Iterator<Item = &Value> {
    step["findings"].as_array().into_iter().flatten()
}

/// Step and cause of the first failure; empty where nothing failed.
pub(crate) fn first_failure(report: &Value) -> (&str, &str) {
    let first = &report["first_failure"];
    (text(&first["step"]), text(&first["cause"]))
}

/// Step and cause of every warning.
pub(crate) fn warnings(report: &Value) -> Vec<(&str, &str)> {
    let of = |step| {
        let warned = findings(step).filter(|finding| finding["level"] == "warn");
        warned.map(|finding| (text(&step["id"]), text(&finding["cause"])))
    };
    steps(report).flat_map(of).collect()
}

/// Everything that does not pass: `step level cause`, or `step errored reason`.
pub(crate) fn problems(report: &Value) -> Vec<String> {
    let of = |step: &Value| {
        let id = text(&step["id"]);
        let wrong = findings(step).filter(|finding| finding["level"] != "pass");
        let mut all: Vec<_> =
            wrong.map(|one| format!("{id} {} {}", text(&one["level"]), text(&one["cause"]))).collect();
        let errored = step["reason"].as_str().filter(|_| step["outcome"] == "errored");
        all.extend(errored.map(|why| format!("{id} errored {why}")));
        all
    };
    steps(report).flat_map(of).collect()
}

/// The steps of the environment phase as JSON texts, without every number that is a time.
pub(crate) fn timeless_environment(report: &Value) -> Vec<String> {
    let environment = steps(report).filter(|step| step["phase"] == "environment");
    let timeless = environment.map(|step| {
        let mut fields = step.as_object().cloned().unwrap_or_default();
        fields.retain(|name, _| !name.ends_with("_ms"));
        serde_json::to_string(&fields).expect("JSON")
    });
    timeless.collect()
}

/// A text, or nothing.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
