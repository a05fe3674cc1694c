//! The three acts of the demonstration, for each inner engine, and what they must leave behind: nothing.

use serde_json::Value;

use crate::bed::{Outer, SUITES, docker};

/// Empties /sys/fs/cgroup as Docker 1.7 left it.
const NO_CGROUPS: &str = "umount -R /sys/fs/cgroup;";

/// The report's step of that id.
fn step<'r>(report: &'r Value, id: &str) -> &'r Value {
    report["steps"].as_array().unwrap().iter().find(|step| step["id"] == id).unwrap()
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn a_healthy_outer_container_is_sound_with_every_engine() {
    for (suite, engine) in SUITES {
        let played = Outer::new(suite).play("dindcheck verify --format json");
        assert_eq!(played.code, 0, "{suite}: {}", played.said());
        let report = played.json();
        assert_eq!(report["verdict"], "sound");
        assert_eq!(report["first_failure"], Value::Null);
        assert!(
            report["environment"]["engine"].as_str().unwrap().starts_with(engine),
            "{}",
            report["environment"]
        );
        assert_eq!(report["environment"]["storage_driver"], "overlay2", "{suite}");
        assert_eq!(report["leftovers"], serde_json::json!([]), "{suite}");
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn missing_cgroups_are_the_first_failure_when_nothing_may_be_repaired() {
    let played =
        Outer::new("trixie").play(&format!("{NO_CGROUPS} dindcheck verify --repair none --format json"));
    assert_eq!(played.code, 1, "{}", played.said());
    let report = played.json();
    assert_eq!(report["first_failure"]["step"], "cgroup-mounts");
    assert_eq!(report["first_failure"]["cause"], "cgroup-v1-devices-not-mounted");
    assert_eq!(step(&report, "daemon-start")["outcome"], "skipped");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn missing_cgroups_are_repaired_and_the_inner_container_lies_below_the_outer_one() {
    let hierarchies = std::fs::read_to_string("/proc/cgroups").unwrap();
    let name = format!("repaired-{}", std::process::id());
    for (suite, _) in SUITES {
        let outer = Outer::new(suite).args(&["--hostname", &name]);
        let played = outer.play(&format!(
            "{NO_CGROUPS} dindcheck verify --format json; code=$?; cat /proc/self/cgroup >&2; exit $code"
        ));
        assert_eq!(played.code, 0, "{suite}: {}", played.said());
        let report = played.json();
        let mounts = step(&report, "cgroup-mounts");
        assert_eq!(mounts["outcome"], "repaired");
        let changes = mounts["repair"]["changes"].as_array().unwrap();
        assert!(
            changes.len() > 2 && changes.iter().all(|change| !change["undo"].as_str().unwrap().is_empty())
        );
        lies_below(&report, &played.stderr);
    }
    assert_eq!(
        ids(&hierarchies),
        ids(&std::fs::read_to_string("/proc/cgroups").unwrap()),
        "a new hierarchy on the host"
    );
}

/// Controllers with the ids of their hierarchies: what a mount of a new one would change.
fn ids(table: &str) -> Vec<(String, String)> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let mut words = line.split_whitespace().map(ToOwned::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    })
    .collect()
}

/// The probe's own devices cgroup is below the outer container's.
fn lies_below(report: &Value, outer: &str) {
    let of = |text: &str| text.lines().find_map(|line| Some(line.split_once(":devices:")?.1.to_owned()));
    let outer = of(outer).expect("the outer container's own line");
    let findings = step(report, "container-run")["findings"].as_array().unwrap();
    let inner = findings
        .iter()
        .find_map(|f| f["evidence"]["cgroup"].as_str())
        .expect("the probe's cgroup in the report");
    assert!(inner.contains(&format!("{outer}/docker/")), "{inner} is not below {outer}");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn no_cgroup_of_a_repaired_outer_container_outlives_it() {
    let name = format!("outlived-{}", std::process::id());
    let outer = Outer::new("trixie").args(&["--label", &name]);
    let played = outer.play(&format!("{NO_CGROUPS} dindcheck verify --format json >/dev/null; basename $(sed -n s/.*:devices://p /proc/self/cgroup)"));
    let id = played.stdout.trim().to_owned();
    assert_eq!(id.len(), 64, "{}", played.said());
    let left = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &id])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    let containers = docker(&["ps", "-aq", "--filter", &format!("label={name}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&containers.stdout), "");
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn an_outer_container_without_privileges_fails_at_privileges() {
    let played = Outer::with_privileges("trixie", &[]).play("dindcheck verify --format json");
    assert_eq!(played.code, 1, "{}", played.said());
    let report = played.json();
    assert_eq!(report["first_failure"]["step"], "privileges");
    assert_eq!(report["first_failure"]["cause"], "outer-container-not-privileged");
}
