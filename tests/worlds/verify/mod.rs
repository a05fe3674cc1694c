//! The whole ladder in a healthy world, without cgroups, and without privileges; and what a run must leave: nothing.

mod selection;

use serde_json::{Value, json};

use crate::harness::{Forky, Outer, SUITES, Suite, Trixie, docker_output, each_engine, outer, report};
use crate::shared::matrix::Matrix;

/// Empties /sys/fs/cgroup as Docker 1.7 left it.
const NO_CGROUPS: &str = "umount -R /sys/fs/cgroup;";

/// What `make test` samples of this topic.
pub(crate) fn matrices() -> Vec<Matrix> {
    engine_matrices()
}

each_engine! {
    healthy_container_is_sound: Forky, of SUITES;
    missing_cgroups_are_repaired_below_the_outer_container: Trixie, of SUITES;
}

fn healthy_container_is_sound(suite: Suite) {
    let played = Outer::new(suite).play("dindcheck verify --format json");
    assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
    let report = played.json();
    assert_eq!(report["verdict"], "sound");
    assert_eq!(report["first_failure"], Value::Null);
    let environment = &report["environment"];
    assert!(report::text(&environment["engine"]).starts_with(suite.engine()), "{environment}");
    assert_eq!(environment["storage_driver"], "overlay2", "{}", suite.name());
    assert_eq!(report["leftovers"], json!([]), "{}", suite.name());
}

#[test]
#[ignore = "needs root and the test bed"]
fn missing_cgroups_are_the_first_failure_where_nothing_may_be_repaired() {
    let script = format!("{NO_CGROUPS} dindcheck verify --repair none --format json");
    let played = Outer::new(Trixie).play(&script);
    assert_eq!(played.code, 1, "{}", played.said());
    let report = played.json();
    assert_eq!(report::first_failure(&report), ("cgroup-mounts", "cgroup-v1-devices-not-mounted"));
    assert_eq!(report::step(&report, "daemon-start")["outcome"], "skipped");
}

fn missing_cgroups_are_repaired_below_the_outer_container(suite: Suite) {
    let hierarchies = std::fs::read_to_string("/proc/cgroups").unwrap();
    let outer = Outer::new(suite).args(&["--hostname", &outer::unique("repaired")]);
    let played = outer.play(&format!(
        "{NO_CGROUPS} dindcheck verify --format json; code=$?; cat /proc/self/cgroup >&2; exit $code"
    ));
    assert_eq!(played.code, 0, "{}: {}", suite.name(), played.said());
    let report = played.json();
    let mounts = report::step(&report, "cgroup-mounts");
    assert_eq!(mounts["outcome"], "repaired");
    let changes = mounts["repair"]["changes"].as_array().unwrap();
    assert!(changes.len() > 2 && changes.iter().all(|change| !report::text(&change["undo"]).is_empty()));
    lies_below(&report, &played.stderr);
    let now = std::fs::read_to_string("/proc/cgroups").unwrap();
    assert_eq!(ids(&hierarchies), ids(&now), "a new hierarchy on the host");
}

/// Controllers with the ids of their hierarchies: what a mount of a new one would change.
fn ids(table: &str) -> Vec<(&str, &str)> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let id = |line| {
        let mut fields = str::split_whitespace(line);
        (fields.next().unwrap(), fields.next().unwrap())
    };
    rows.map(id).collect()
}

/// The probe's own devices cgroup is below the outer container's.
fn lies_below(report: &Value, outer: &str) {
    let outer = outer.lines().find_map(|line| Some(line.split_once(":devices:")?.1));
    let outer = outer.expect("the outer container's own line");
    let inner = report::findings(report::step(report, "container-run"))
        .find_map(|finding| finding["evidence"]["cgroup"].as_str())
        .expect("the probe's cgroup in the report");
    assert!(inner.contains(&format!("{outer}/docker/")), "{inner} is not below {outer}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn repaired_container_leaves_no_cgroup_when_it_ends() {
    let name = outer::unique("outlived");
    let played = Outer::new(Trixie).args(&["--label", &name]).play(&format!(
        "{NO_CGROUPS} dindcheck verify --format json >/dev/null; basename $(sed -n s/.*:devices://p /proc/self/cgroup)"
    ));
    let id = played.stdout.trim();
    assert_eq!(id.len(), 64, "{}", played.said());
    let find = ["/sys/fs/cgroup", "-type", "d", "-name", id];
    let left = std::process::Command::new("find").args(find).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    assert_eq!(docker_output(&["ps", "-aq", "--filter", &format!("label={name}")]), "");
}

#[test]
#[ignore = "needs root and the test bed"]
fn unprivileged_container_fails_at_privileges() {
    let played = Outer::unprivileged(Trixie).play("dindcheck verify --format json");
    assert_eq!(played.code, 1, "{}", played.said());
    assert_eq!(report::first_failure(&played.json()), ("privileges", "outer-container-not-privileged"));
}
