//! What the results of a scenario come to, in a word or two.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// The word for one file of the results.
pub(crate) fn word(dir: &Path, file: &str) -> String {
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).ok();
    match file {
        "everyone" => match (read("everyone.before"), read("everyone.after")) {
            (Some(before), Some(after)) => moved(&before, &after),
            _ => "nothing known".into(),
        },
        "runs" => read(file).map_or_else(|| "nothing known".into(), |text| races(&text)),
        _ if file.ends_with(".said") => read(file)
            .map_or_else(|| "nothing known".into(), |text| text.lines().collect::<Vec<_>>().join(" ")),
        _ if file.ends_with(".truth") => {
            read(file).map_or_else(|| "nothing known".into(), |text| truth(&text))
        }
        _ => {
            let report = read(file).and_then(|text| serde_json::from_str(&text).ok());
            report.map_or_else(|| "no report".into(), |value| report_word(&value))
        }
    }
}

/// `sound`, with what was repaired for it, the limits that hold and the steps that warned, or the first step that did
/// not pass and its cause.
fn report_word(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let steps = report["steps"].as_array().cloned().unwrap_or_default();
    let with = |outcome: &str| {
        let ids = steps.iter().filter(|step| step["outcome"] == outcome).map(|step| text(&step["id"]));
        ids.collect::<Vec<_>>().join(" ")
    };
    let after = |word: &str, ids: String| if ids.is_empty() { ids } else { format!(" {word} {ids}") };
    match report["verdict"].as_str() {
        Some("sound") => format!(
            "sound{}{}{}",
            after("after", with("repaired")),
            limits(&steps),
            after("warned by", with("warned"))
        ),
        Some("broken") => {
            let first = &report["first_failure"];
            format!("{}: {}", text(&first["step"]), text(&first["cause"]))
        }
        _ => format!("cannot check: {}", with("errored")),
    }
}

/// The controllers whose limits hold in an inner container, where that was tried.
fn limits(steps: &[Value]) -> String {
    let step = steps.iter().find(|step| step["id"] == "container-limits" && step["outcome"] != "skipped");
    let findings = step.and_then(|step| step["findings"].as_array());
    let holds = |finding: &&Value| finding["level"] == "pass";
    let controller = |finding: &Value| finding["evidence"]["controller"].as_str().map(ToOwned::to_owned);
    let held: Vec<_> = findings.into_iter().flatten().filter(holds).filter_map(controller).collect();
    if step.is_none() { String::new() } else { format!(" with {}", held.join(" ")) }
}

/// What docker did with a container: the first line is its exit code, the rest what was said.
fn truth(text: &str) -> String {
    let (code, said) = text.split_once('\n').unwrap_or((text, ""));
    match (code, said.trim()) {
        ("0", "") => "runs".into(),
        ("0", said) => format!("runs: {}", said.lines().last().unwrap_or_default()),
        _ => "does not run".into(),
    }
}

/// Whether a process that lived through it is in another cgroup than before.
fn moved(before: &str, after: &str) -> String {
    let read = |text: &str| -> HashMap<String, String> {
        let pair = |line: &str| line.split_once(' ').map(|(pid, own)| (pid.to_owned(), own.to_owned()));
        text.lines().filter_map(pair).collect()
    };
    let after = read(after);
    let moved: Vec<_> = read(before)
        .into_iter()
        .filter(|(pid, own)| after.get(pid).is_some_and(|now| now != own))
        .map(|(pid, _)| pid)
        .collect();
    if moved.is_empty() { "nothing moved".into() } else { format!("moved: {}", moved.join(" ")) }
}

/// A run is fair where it ends sound with everything enabled, or broken with nothing enabled and a pid named.
fn races(text: &str) -> String {
    let fair = text.lines().filter(|line| {
        let fields: Vec<_> = line.split('|').collect();
        let [code, _, left, enabled, said] = fields[..] else { return false };
        match code {
            "0" => enabled.contains("memory"),
            "1" => enabled.is_empty() && said.contains("error") && !left.is_empty(),
            _ => false,
        }
    });
    format!("{} of {} sound or named", fair.count(), text.lines().count())
}

#[cfg(test)]
mod tests {
    use super::{moved, races, report_word, truth};
    use serde_json::json;

    #[test]
    fn a_report_comes_to_its_verdict_its_repairs_and_its_limits() {
        let finding =
            |level: &str, controller: &str| json!({"level": level, "evidence": {"controller": controller}});
        let report = json!({"verdict": "sound", "steps": [
            {"id": "cgroup-delegation", "outcome": "repaired"},
            {"id": "container-limits", "outcome": "warned", "findings": [finding("warn", "memory"), finding("pass", "pids")]},
        ]});
        assert_eq!(
            report_word(&report),
            "sound after cgroup-delegation with pids warned by container-limits"
        );
        let broken =
            json!({"verdict": "broken", "first_failure": {"step": "image", "cause": "image-load-failed"}});
        assert_eq!(report_word(&broken), "image: image-load-failed");
    }

    #[test]
    fn docker_runs_a_container_or_does_not() {
        assert_eq!(truth("0\n\n"), "runs");
        assert_eq!(truth("0\nWARNING: x\n67108864\n"), "runs: 67108864");
        assert_eq!(truth("125\ndocker: no\n"), "does not run");
    }

    #[test]
    fn only_a_process_that_lived_through_it_can_have_moved() {
        assert_eq!(moved("1 0::/\n2 0::/a\n", "1 0::/\n3 0::/b\n"), "nothing moved");
        assert_eq!(moved("1 0::/\n", "1 0::/init\n"), "moved: 1");
    }

    #[test]
    fn a_race_may_end_sound_or_with_a_name_and_never_between() {
        let text = "0|40||cpu memory |\n1|3100|1 7 ||\"error\": \"7 (true, R)\"\n1|9|1 |cpu|\"error\": \"x\"\n124|30000|1 ||\n";
        assert_eq!(races(text), "2 of 4 sound or named");
    }
}
