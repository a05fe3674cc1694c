//! The files of deploy/ as they are: their commands are run as their own programs would run them. Kubernetes, Compose and
//! the CI servers themselves are not here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Background, Bookworm, Outer, Played, Trixie, bed, docker_output};
use crate::shared;

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
        // The oldest client runs on most machines.
        let client = Path::new(bed::call("tree.sh", &["bookworm"]).trim()).join("usr/bin/docker");
        for (target, name) in [(client, "docker"), (shared::program(), "dindcheck"), (file(""), "deploy")] {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    /// Runs a command there, with further variables.
    fn run(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Played {
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(program);
        command.args(args).current_dir(self.0.path());
        command.env("PATH", path).env("DOCKER_HOST", format!("unix://{}", bed::socket()));
        let began = Instant::now();
        Played::of(&command.envs(variables.iter().copied()).output().unwrap(), began.elapsed())
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The volume that a daemon and its client share; removed when it goes out of scope, after the containers that use it.
struct Volume(&'static str);

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = bed::docker(&["volume", "rm", self.0]).output();
    }
}

/// Where the daemon of another container is, for its client.
const SOCKET: [&str; 2] = ["-e", "DOCKER_HOST=unix:///run/dind/docker.sock"];

/// The daemon of a manifest, with its socket in that volume.
fn daemon(volume: &Volume, run: &[&str], command: &[&str]) -> Background {
    let socket = format!("{}:/run/dind", volume.0);
    Outer::new(Trixie).args(&["-v", &socket]).args(&SOCKET).args(run).start(command)
}

/// Runs the client of a manifest to its end.
#[track_caller]
fn client(volume: &Volume, command: &[&str]) {
    let socket = format!("{}:/run/dind", volume.0);
    let run = [
        "run",
        "--rm",
        "-v",
        &socket,
        SOCKET[0],
        SOCKET[1],
        "--entrypoint",
        command[0],
        "dindcheck-outer:trixie",
    ];
    docker_output(&[&run, &command[1..]].concat());
}

#[test]
#[ignore = "needs root and the test bed"]
fn shell_script_tells_sound_from_broken_and_leaves_no_container() {
    let machine = Machine::new();
    let label = [("DINDCHECK_RUN", "--label smoke")];
    let sound = machine.run("sh", &["deploy/smoke.sh", "dindcheck-base:trixie"], &label);
    assert_eq!(sound.code, 0, "{}", sound.said());
    let report: Value = serde_json::from_str(&machine.read("dindcheck-report/report.json")).unwrap();
    assert_eq!((&report["verdict"], &report["complete"]), (&"sound".into(), &true.into()));
    assert!(machine.read("dindcheck-report/junit.xml").contains("<testsuite "));
    assert!(machine.read("dindcheck-report/report.html").contains("</html>"));
    let no_dockerd =
        [("DINDCHECK_RUN", "--label smoke -v /dev/null:/usr/sbin/dockerd"), ("DINDCHECK_REPORTS", "other")];
    let smoke = ["deploy/smoke.sh", "dindcheck-base:trixie", "--repair", "none"];
    let broken = machine.run("sh", &smoke, &no_dockerd);
    assert_eq!(broken.code, 1, "{}", broken.said());
    assert!(machine.read("other/summary.md").starts_with("## dindcheck: broken at `binaries`"));
    assert_eq!(docker_output(&["ps", "-aq", "--filter", "label=smoke"]), "");
}

#[test]
#[ignore = "needs root and the test bed"]
fn github_action_annotates_and_summarises() {
    let machine = Machine::new();
    let action = yaml("github/action.yml");
    let step = &action["runs"]["steps"][0];
    let path = file("github");
    let variables = [
        ("IMAGE", "dindcheck-base:trixie"),
        ("OPTIONS", "--repair none"),
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
    let broken = machine.run("bash", &args, &variables);
    assert_eq!(broken.code, 1, "{}", broken.said());
    let annotation = "::error title=Docker-in-Docker fails at binaries%2C ";
    assert!(broken.stdout.starts_with(annotation), "{}", broken.said());
    assert_eq!(machine.read("output"), "verdict=broken\n");
    assert!(machine.read("summary").starts_with("## dindcheck: broken at `binaries`"));
}

#[test]
#[ignore = "needs root and the test bed"]
fn gitlab_and_jenkins_jobs_run() {
    let machine = Machine::new();
    let jobs = yaml("gitlab/dindcheck.gitlab-ci.yml");
    let image = &jobs["dindcheck-image"];
    let script = words(&image["script"]).join("\n");
    let checked = machine.run("sh", &["-ec", &script], &[("DIND_IMAGE", "dindcheck-base:bookworm")]);
    assert_eq!(checked.code, 0, "{}", checked.said());
    machine.read(image["artifacts"]["reports"]["junit"].as_str().unwrap());
    let jenkinsfile = std::fs::read_to_string(file("jenkins/Jenkinsfile")).unwrap();
    let step = jenkinsfile.split("sh '").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(step, script);
}

#[test]
#[ignore = "needs root and the test bed"]
fn gitlab_service_is_waited_for() {
    let jobs = yaml("gitlab/dindcheck.gitlab-ci.yml");
    let wait = words(&jobs["dindcheck-service"]["script"]).join("\n");
    // A daemon at an address, seen from another process.
    let played = Outer::new(Bookworm).play(&format!(
        "dindcheck entrypoint --until daemon-info >/dev/null 2>/root/log -- dockerd --tls=false -H tcp://127.0.0.1:2375 & \
         DOCKER_HOST=tcp://127.0.0.1:2375; export DOCKER_HOST; {wait}"
    ));
    assert_eq!(played.code, 0, "{}", played.said());
}

#[test]
#[ignore = "needs root and the test bed"]
fn pod_daemon_is_probed_and_its_job_waits_for_it() {
    let pod = yaml("kubernetes/pod-with-dind.yaml");
    let (dind, job) = (&pod["spec"]["initContainers"][0], &pod["spec"]["containers"][0]);
    let volume = Volume("pod-socket");
    let daemon = daemon(&volume, &["-e", "DINDCHECK_PROFILE=kubernetes"], &words(&dind["args"]));
    client(&volume, &words(&job["command"]));
    for probe in ["startupProbe", "livenessProbe"] {
        daemon.exec(&words(&dind[probe]["exec"]["command"]));
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn verdict_of_a_node_is_its_termination_message() {
    for (name, containers) in [("check-every-node", "initContainers"), ("check-once", "containers")] {
        let manifest = yaml(&format!("kubernetes/{name}.yaml"));
        let command = words(&manifest["spec"]["template"]["spec"][containers][0]["command"]).join(" ");
        // A file that is a mount of its own, as the kubelet makes it.
        let played = Outer::new(Trixie).play(&format!(
            "echo old >/root/message; touch /dev/termination-log; mount --bind /root/message /dev/termination-log
             umount -R /sys/fs/cgroup; {command} --repair none >/dev/null; code=$?; cat /root/message; exit $code"
        ));
        assert_eq!(played.code, 1, "{}", played.said());
        let verdict = "dindcheck: broken at cgroup-mounts (profile kubernetes";
        assert!(played.stdout.starts_with(verdict), "{}", played.said());
        assert!(played.stdout.len() < 4096 && !played.stdout.contains("old"));
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn composed_client_starts_once_the_health_check_passes() {
    let compose = yaml("compose/compose.yaml");
    let dind = &compose["services"]["dind"];
    let test = words(&dind["healthcheck"]["test"])[1..].join(" ");
    let times = ["--health-interval", "1s", "--health-timeout", "30s", "--health-start-period", "60s"];
    let volume = Volume("composed");
    let run = [&["--health-cmd", &test], &times[..]].concat();
    let daemon = daemon(&volume, &run, &words(&dind["command"]));
    let health = || docker_output(&["inspect", "-f", "{{.State.Health.Status}}", &daemon.0]);
    assert!(bed::until(Duration::from_secs(240), || health() == "healthy"), "{}", daemon.logs());
    client(&volume, &words(&compose["services"]["client"]["command"]));
}
