//! How does a test get a real outer container? Through the scripts of tests/bed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The engines of the bed: Debian's suites, by the inner engine that they hold.
pub(crate) const SUITES: [(&str, &str); 3] = [("bookworm", "20.10"), ("trixie", "26.1"), ("forky", "28.5")];

/// No world takes longer.
const DEADLINE: Duration = Duration::from_secs(300);

/// What came of a script in an outer container.
pub(crate) struct Played {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Played {
    /// stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}):\n{}\n{}", self.stdout, self.stderr))
    }

    /// Both streams, for the message of a failed assertion.
    pub(crate) fn said(&self) -> String {
        format!("exit code {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// An outer container to be.
pub(crate) struct Outer {
    image: String,
    args: Vec<String>,
}

impl Outer {
    /// A privileged one with that suite's inner engine.
    pub(crate) fn new(suite: &str) -> Self {
        Self { image: format!("dindcheck-outer:{suite}"), args: vec!["--privileged".into()] }
    }

    /// One with other privileges.
    pub(crate) fn with_privileges(suite: &str, args: &[&str]) -> Self {
        Self {
            image: format!("dindcheck-outer:{suite}"),
            args: args.iter().map(ToString::to_string).collect(),
        }
    }

    /// Further arguments of `docker run`.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// Runs a shell script in it to its end.
    pub(crate) fn play(&self, script: &str) -> Played {
        let name = container_name();
        let mut run = vec!["run", "--rm", "--name", &name, "--entrypoint", "/bin/bash"];
        run.extend(self.args.iter().map(String::as_str));
        run.extend([self.image.as_str(), "-c", script]);
        let played = within(docker(&run), DEADLINE);
        if played.is_none() {
            let _ = docker(&["rm", "-f", &name]).output();
        }
        let output =
            played.unwrap_or_else(|| panic!("the outer container did not end in {DEADLINE:?}: {script}"));
        Played {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `docker ARGS` of the outer engine.
pub(crate) fn docker(args: &[&str]) -> Command {
    let mut command = Command::new(bed().join("engine.sh"));
    command.arg("docker").args(args);
    command
}

/// `docker build -t TAG` of a folder with a Dockerfile.
pub(crate) fn build(tag: &str, dir: &Path) -> Output {
    let mut tar =
        Command::new("tar").arg("-C").arg(dir).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let built = docker(&["build", "-q", "-t", tag, "-"]).stdin(tar.stdout.take().unwrap()).output().unwrap();
    assert!(tar.wait().unwrap().success());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    built
}

/// The scripts' folder.
fn bed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bed")
}

/// A name that no other test of this run has.
fn container_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("world-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The command's output, or `None` after the deadline.
fn within(mut command: Command, deadline: Duration) -> Option<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the bed's script starts");
    let id = child.id().to_string();
    let waiter = std::thread::spawn(move || child.wait_with_output());
    let end = Instant::now() + deadline;
    while !waiter.is_finished() {
        if Instant::now() > end {
            let _ = Command::new("kill").arg(&id).status();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    waiter.join().expect("the waiter ends").ok()
}
