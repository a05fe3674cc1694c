//! Do the files of deploy/ work as they are? Their commands are run as their own programs would run them; Kubernetes,
//! Compose and the CI servers themselves are not here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::docker;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// A CI machine: a docker client that speaks to the bed's engine, and a directory to work in.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed");
        // The oldest client runs on most machines.
        let tree = Command::new(bed.join("tree.sh")).arg("bookworm").output().unwrap();
        let client = Path::new(String::from_utf8_lossy(&tree.stdout).trim()).join("usr/bin/docker");
        std::os::unix::fs::symlink(client, dir.path().join("docker")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dindcheck"), dir.path().join("dindcheck")).unwrap();
        std::os::unix::fs::symlink(file(""), dir.path().join("deploy")).unwrap();
        Self(dir)
    }

    /// Runs a command there, with further variables.
    fn run(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let status = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed/engine.sh"));
        let status = { status }.arg("status").output().unwrap();
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let socket =
            status.lines().find_map(|line| line.strip_prefix("socket ")).expect("the engine's socket");
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        Command::new(program)
            .args(args)
            .current_dir(self.0.path())
            .env("PATH", path)
            .env("DOCKER_HOST", format!("unix://{socket}"))
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Containers that carry the label are removed.
struct Removed(&'static str);
impl Drop for Removed {
    fn drop(&mut self) {
        let _ = docker(&["rm", "-fv", self.0]).output();
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_plain_shell_script_tells_sound_from_broken_and_leaves_no_container() {
    let machine = Machine::new();
    let count = || said(&docker(&["ps", "-aq", "--filter", "label=smoke"]).output().unwrap()).lines().count();
    let label = [("DINDCHECK_RUN", "--label smoke")];
    let sound = machine.run("sh", &["deploy/smoke.sh", "dindcheck-base:trixie"], &label);
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
    let report: Value = serde_json::from_str(&machine.read("dindcheck-report/report.json")).unwrap();
    assert_eq!((&report["verdict"], &report["complete"]), (&"sound".into(), &true.into()));
    assert!(machine.read("dindcheck-report/junit.xml").contains("<testsuite "));
    assert!(machine.read("dindcheck-report/report.html").contains("</html>"));
    let no_dockerd =
        [("DINDCHECK_RUN", "--label smoke -v /dev/null:/usr/sbin/dockerd"), ("DINDCHECK_REPORTS", "other")];
    let broken =
        machine.run("sh", &["deploy/smoke.sh", "dindcheck-base:trixie", "--repair", "none"], &no_dockerd);
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    assert!(machine.read("other/summary.md").starts_with("## dindcheck: broken at `binaries`"));
    assert_eq!(count(), 0);
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_github_action_annotates_and_summarises() {
    let machine = Machine::new();
    let action = yaml("github/action.yml");
    let step = &action["runs"]["steps"][0];
    let run = |options: &str| {
        let path = file("github");
        let variables = [
            ("IMAGE", "dindcheck-base:trixie"),
            ("OPTIONS", options),
            ("DINDCHECK", ""),
            ("DINDCHECK_RUN", "-v /dev/null:/usr/sbin/dockerd"),
            ("DINDCHECK_FORMAT", step["env"]["DINDCHECK_FORMAT"].as_str().unwrap()),
            ("DINDCHECK_REPORTS", action["inputs"]["reports"]["default"].as_str().unwrap()),
            ("GITHUB_ACTION_PATH", path.to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", "summary"),
            ("GITHUB_OUTPUT", "output"),
        ];
        // As the runner starts `shell: bash`.
        let args = ["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()];
        machine.run("bash", &args, &variables)
    };
    let broken = run("--repair none");
    assert_eq!(broken.status.code(), Some(1), "{}", said(&broken));
    let annotations = String::from_utf8_lossy(&broken.stdout).into_owned();
    assert!(annotations.starts_with("::error title=Docker-in-Docker fails at binaries%2C "), "{annotations}");
    assert_eq!(machine.read("output"), "verdict=broken\n");
    assert!(machine.read("summary").starts_with("## dindcheck: broken at `binaries`"));
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_jobs_of_gitlab_and_jenkins_run() {
    let machine = Machine::new();
    let jobs = yaml("gitlab/dindcheck.gitlab-ci.yml");
    let quick = [("DIND_IMAGE", "dindcheck-base:bookworm")];
    let script = words(&jobs["dindcheck-image"]["script"]).join("\n");
    let checked = machine.run("sh", &["-ec", &script], &quick);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    machine.read(jobs["dindcheck-image"]["artifacts"]["reports"]["junit"].as_str().unwrap());
    let jenkinsfile = std::fs::read_to_string(file("jenkins/Jenkinsfile")).unwrap();
    let step = jenkinsfile.split("sh '").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(step, script);
    // The service: a daemon at an address, seen from another process.
    let service = &jobs["dindcheck-service"];
    let wait = words(&service["script"]).join("\n");
    let played = crate::bed::Outer::new("bookworm").args(&["-v", "/var/lib/docker"]).play(&format!(
        "dindcheck entrypoint --until daemon-info >/dev/null 2>/root/log -- dockerd --tls=false -H tcp://127.0.0.1:2375 & \
         DOCKER_HOST=tcp://127.0.0.1:2375; export DOCKER_HOST; {wait}"
    ));
    assert_eq!(played.code, 0, "{}", played.said());
}

/// Starts a container as a manifest says: image, environment, words; detached.
fn start(name: &'static str, run: &[&str], words: &[&str]) -> Removed {
    let mut all = vec!["run", "-d", "--name", name];
    all.extend(run);
    all.push("dindcheck-outer:trixie");
    all.extend(words);
    let started = docker(&all).output().unwrap();
    assert!(started.status.success(), "{}", said(&started));
    Removed(name)
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_pods_daemon_is_probed_and_its_job_waits_for_it() {
    let pod = yaml("kubernetes/pod-with-dind.yaml");
    let (dind, job) = (&pod["spec"]["initContainers"][0], &pod["spec"]["containers"][0]);
    let run = [
        "--privileged",
        "-v",
        "pod-socket:/run/dind",
        "-v",
        "/var/lib/docker",
        "-e",
        "DINDCHECK_PROFILE=kubernetes",
        "-e",
        "DOCKER_HOST=unix:///run/dind/docker.sock",
    ];
    let dind_container = start("pod-dind", &run, &words(&dind["args"]));
    let command = words(&job["command"]);
    let mut job = vec![
        "run",
        "--rm",
        "-v",
        "pod-socket:/run/dind",
        "-e",
        "DOCKER_HOST=unix:///run/dind/docker.sock",
        "--entrypoint",
        command[0],
        "dindcheck-outer:trixie",
    ];
    job.extend(&command[1..]);
    let done = docker(&job).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    for probe in ["startupProbe", "livenessProbe"] {
        let probe = [&["exec", "pod-dind"], words(&dind[probe]["exec"]["command"]).as_slice()].concat();
        let probed = docker(&probe).output().unwrap();
        assert!(probed.status.success(), "{}", said(&probed));
    }
    drop(dind_container);
    let _ = docker(&["volume", "rm", "pod-socket"]).output();
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_verdict_of_a_node_is_its_termination_message() {
    for (name, containers) in [("check-every-node", "initContainers"), ("check-once", "containers")] {
        let manifest = yaml(&format!("kubernetes/{name}.yaml"));
        let command = words(&manifest["spec"]["template"]["spec"][containers][0]["command"]).join(" ");
        // A file that is a mount of its own, as the kubelet makes it.
        let played = crate::bed::Outer::new("trixie").args(&["-v", "/var/lib/docker"]).play(&format!(
            "echo old >/root/message; touch /dev/termination-log; mount --bind /root/message /dev/termination-log
             umount -R /sys/fs/cgroup; {command} --repair none >/dev/null; code=$?; cat /root/message; exit $code"
        ));
        assert_eq!(played.code, 1, "{}", played.said());
        assert!(
            played.stdout.starts_with("dindcheck: broken at cgroup-mounts (profile kubernetes"),
            "{}",
            played.said()
        );
        assert!(played.stdout.len() < 4096 && !played.stdout.contains("old"));
    }
}

#[test]
#[ignore = "needs root and the bed's engines"]
fn the_composed_client_comes_when_the_health_check_says_so() {
    let compose = yaml("compose/compose.yaml");
    let dind = &compose["services"]["dind"];
    let test = words(&dind["healthcheck"]["test"])[1..].join(" ");
    let run = [
        "--privileged",
        "-v",
        "composed:/run/dind",
        "-v",
        "/var/lib/docker",
        "-e",
        "DOCKER_HOST=unix:///run/dind/docker.sock",
        "--health-cmd",
        &test,
        "--health-interval",
        "1s",
        "--health-timeout",
        "4s",
        "--health-start-period",
        "60s",
    ];
    let dind_container = start("composed-dind", &run, &words(&dind["command"]));
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let health =
            docker(&["inspect", "-f", "{{.State.Health.Status}}", "composed-dind"]).output().unwrap();
        if said(&health).trim() == "healthy" {
            break;
        }
        assert!(Instant::now() < end, "{}", said(&docker(&["logs", "composed-dind"]).output().unwrap()));
        std::thread::sleep(Duration::from_millis(200));
    }
    let client = words(&compose["services"]["client"]["command"]);
    let mut all = vec![
        "run",
        "--rm",
        "-v",
        "composed:/run/dind",
        "-e",
        "DOCKER_HOST=unix:///run/dind/docker.sock",
        "--entrypoint",
        client[0],
        "dindcheck-outer:trixie",
    ];
    all.extend(&client[1..]);
    let done = docker(&all).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    drop(dind_container);
    let _ = docker(&["volume", "rm", "composed"]).output();
}
