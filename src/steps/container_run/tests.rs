use super::*;
use crate::diagnosis::{CauseId, causes};
use crate::facts::mounts::Mounts;
use crate::finding::Level;

fn outer(paths: &[(&str, &str)], v2: Option<&str>) -> Cgroups {
    let hierarchy = |(index, (name, path)): (usize, &(&str, &str))| Hierarchy {
        id: u32::try_from(index).unwrap() + 1,
        controllers: name.split(',').map(ToOwned::to_owned).collect(),
        path: path.into(),
    };
    Cgroups {
        mode: crate::facts::cgroup::Mode::V1,
        hierarchies: paths.iter().enumerate().map(hierarchy).collect(),
        v2_path: v2.map(Into::into),
        controllers: Vec::new(),
        mounts: Mounts::default(),
        private_namespace: false,
    }
}

fn ended(code: i64, stdout: &str) -> ContainerRun {
    ContainerRun { end: Ok(code), stdout: stdout.into(), ..ContainerRun::new() }
}

fn expects(exit_code: i64, output: Option<&str>) -> Container {
    let timeout = std::time::Duration::from_secs(1);
    Container { command: Vec::new(), exit_code, output: output.map(Into::into), timeout, third_level: false }
}

#[test]
fn cgroup_outside_of_the_outer_container_is_found() {
    let world = outer(&[("devices", "/docker/o"), ("cpu,cpuacct", "/docker/o"), ("perf_event", "/")], None);
    let below = "3:perf_event:/\n2:cpu,cpuacct:/docker/o/docker/i\n1:devices:/docker/o/docker/i\n";
    let finding = judge_cgroups(below, &world);
    assert_eq!(finding.level, Level::Pass);
    assert_eq!(finding.evidence[0], ("cgroup", "/docker/o/docker/i".into()));
    let beside = "2:cpu,cpuacct:/docker/o/docker/i\n1:devices:/docker/i\n";
    let finding = judge_cgroups(beside, &world);
    assert_eq!(finding.level, Level::Warn);
    assert!(finding.what.contains("in devices:"), "{}", finding.what);
}

#[test]
fn container_beside_a_moved_process_is_below_the_outer_container() {
    let line = "30 1 0:30 /docker/o /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n";
    let mounts = Mounts::parse(line.as_bytes()).unwrap();
    let world = Cgroups { mounts, ..outer(&[("devices", "/docker/o/moved")], None) };
    assert_eq!(judge_cgroups("1:devices:/docker/o/docker/i\n", &world).level, Level::Pass);
    assert_eq!(judge_cgroups("1:devices:/docker/i\n", &world).level, Level::Warn);
}

#[test]
fn cgroup_outside_of_the_v2_namespace_is_found() {
    let world = outer(&[], Some("/"));
    assert_eq!(judge_cgroups("0::/docker/i\n", &world).level, Level::Pass);
    assert_eq!(judge_cgroups("0::/../i\n", &world).level, Level::Warn);
    let host_view = outer(&[], Some("/kubepods/p/c"));
    assert_eq!(judge_cgroups("0::/docker/i\n", &host_view).level, Level::Warn);
}

#[test]
fn container_of_an_evacuated_process_passes() {
    let world = Cgroups { private_namespace: true, ..outer(&[], Some("/init")) };
    assert_eq!(judge_cgroups("0::/docker/i\n", &world).level, Level::Pass);
    assert_eq!(judge_cgroups("0::/../i\n", &world).level, Level::Warn);
}

#[test]
fn cgroup_names_are_compared_by_component() {
    let outer = Path::new("/docker/outer");
    assert!(!is_within("/docker/outer2/x", outer) && !is_within("/docker", outer));
    assert!(is_within("/docker/outer", outer) && is_within("/docker/outer/x", outer));
    assert!(is_within("/x", Path::new("/")) && !is_within("/../x", Path::new("/")));
}

#[test]
fn exit_code_and_output_are_compared() {
    let levels = |wanted: &Container, run: &ContainerRun| {
        judge_end(wanted, run).iter().map(|finding| finding.level).collect::<Vec<_>>()
    };
    assert_eq!(levels(&expects(0, None), &ended(0, "")), [Level::Pass]);
    assert_eq!(levels(&expects(3, None), &ended(3, "")), [Level::Pass]);
    assert_eq!(levels(&expects(0, None), &ended(1, "")), [Level::Fail]);
    assert_eq!(levels(&expects(0, Some("yes")), &ended(0, "oh yes\n")), [Level::Pass]);
    assert_eq!(levels(&expects(0, Some("yes")), &ended(0, "no\n")), [Level::Pass, Level::Fail]);
}

#[test]
fn each_stage_has_its_own_cause() {
    let refused = |message: &str| EngineError::Refused {
        doing: "start the container".into(),
        status: 500,
        message: message.into(),
    };
    let cause = |stage, error| judge_failure(stage, error, b"").unwrap().cause.unwrap().as_str();
    assert_eq!(cause(Stage::Create, refused("x")), "container-create-failed");
    assert_eq!(cause(Stage::Start, refused("x")), "container-start-failed");
    assert_eq!(cause(Stage::Start, refused("exec /x: exec format error")), "image-for-other-architecture");
    let late = EngineError::Deadline { doing: "run".into(), waited: std::time::Duration::from_secs(1) };
    assert_eq!(cause(Stage::Run, late), "container-timeout");
    assert!(judge_failure(Stage::Run, EngineError::Interrupted("SIGINT"), b"").is_err());
}

#[test]
fn failure_without_a_message_has_the_cause_of_the_limit_that_refused_a_process() {
    let failed = |cause| Finding::fail(cause, "ttrpc: closed");
    let cause = |cause: CauseId, refused| beside_limit(failed(cause), refused).cause.unwrap().as_str();
    assert_eq!(cause(causes::CONTAINER_START_FAILED, 0), "container-start-failed");
    assert_eq!(cause(causes::CONTAINER_START_FAILED, 3), "pids-limit-reached");
    assert_eq!(cause(causes::DISK_FULL, 3), "disk-full");
    let host = crate::host::fake::Fake::new().file("/sys/fs/cgroup/pids/pids.events", "max 7\n");
    assert_eq!(refused_forks(&host), 7);
}

#[test]
fn invalid_document_fails() {
    let findings = judge_document(&ended(0, "{\"protocol\":1"), &outer(&[], None));
    assert_eq!(findings[0].level, Level::Fail);
}
