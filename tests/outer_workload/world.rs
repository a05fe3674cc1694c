//! How does a test get a privileged outer container in which something is broken?

use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) use crate::bed::SUITES;
use crate::bed::{bed, share};

/// A table of faults, each row a test: in which worlds, what is done to them, and which step must tell which cause, as a
/// failure or as a warning. What else must be seen may follow.
macro_rules! faults {
    ($($name:ident: $suites:expr, $world:expr => $level:ident $step:literal $cause:literal $(, $check:expr)?;)*) => {
        /// The rows of this table.
        pub(crate) const FAULTS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            #[ignore = "needs root and the test bed"]
            fn $name() {
                let world: fn($crate::world::World) -> $crate::world::World = $world;
                for suite in $suites {
                    let played = world($crate::world::World::new(suite)).play();
                    played.within($crate::world::DEADLINE).$level($step, $cause);
                    $({ let check: fn(&$crate::world::Played) = $check; check(&played); })?
                }
            }
        )*
    };
}
pub(crate) use faults;

/// The oldest engine and the newest: enough where their words differ and nothing else does.
pub(crate) const ENDS: [&str; 2] = ["bookworm", "forky"];

/// Seconds that a world may take: what dindcheck is given, with the outer container's own start and end.
pub(crate) const DEADLINE: u64 = 180;

/// The steps that these worlds run; a fault of the environment is not to be seen before the workload meets it.
const STEPS: &str = "daemon-start,daemon-info,image,container-run,container-limits,container-storage,\
    container-network,container-privileged,teardown";

/// Waits until dockerd serves; one that ends is not waited for.
pub(crate) const SERVES: &str =
    "for _ in {1..600}; do docker version >/dev/null 2>&1 && break; sleep 0.05; done";

/// What is still there of a run: processes, and what a daemon keeps.
const LEFT: &str = "\
    [ -n \"$ATTACHED\" ] || pidof dockerd containerd; \
    pidof containerd-shim-runc-v2 runc; \
    ls -A /run/dindcheck; ls -A /var/lib/docker/containers; \
    ls /var/lib/docker/volumes | grep dindcheck; \
    grep -l dindcheck- /var/lib/docker/image/*/repositories.json; \
    ip -o link | grep -oE 'br-[0-9a-f]+'; true";

/// An outer container to be.
pub(crate) struct World {
    suite: &'static str,
    docker: Vec<String>,
    before: String,
    attached: bool,
    profile: String,
    options: String,
    also: String,
    leaves: bool,
}

impl World {
    /// A privileged one, with a volume for the data root.
    pub(crate) fn new(suite: &'static str) -> Self {
        let docker = vec!["-v".to_owned(), "/var/lib/docker".to_owned()];
        let none = String::new;
        Self {
            suite,
            docker,
            before: none(),
            attached: false,
            profile: none(),
            options: none(),
            also: "true".into(),
            leaves: false,
        }
    }

    /// With other arguments of `docker run` in place of that volume.
    pub(crate) fn docker(mut self, args: &[&str]) -> Self {
        self.docker = args.iter().map(ToString::to_string).collect();
        self
    }

    /// What is done to it first.
    pub(crate) fn broken(mut self, script: &str) -> Self {
        self.before.push_str(&format!("{script}\n"));
        self
    }

    /// What is done to it after dockerd serves; dindcheck is attached then.
    pub(crate) fn broken_later(mut self, script: &str) -> Self {
        self.attached = true;
        self.before.push_str("ATTACHED=yes; dockerd >/tmp/dockerd.log 2>&1 &\n");
        self.before.push_str(&format!("{SERVES}\n"));
        self.broken(script)
    }

    /// With keys of a profile.
    pub(crate) fn profile(mut self, yaml: &str) -> Self {
        self.profile = yaml.to_owned();
        self
    }

    /// With further options of `verify`.
    pub(crate) fn options(mut self, options: &str) -> Self {
        self.options = options.to_owned();
        self
    }

    /// Its daemon cannot be asked any more, so that something stays in its data root.
    pub(crate) fn leaves_something(mut self) -> Self {
        self.leaves = true;
        self
    }

    /// A question that is asked at the end.
    pub(crate) fn also(mut self, script: &str) -> Self {
        self.also = script.to_owned();
        self
    }

    /// Plays it; nothing may be left of the run.
    #[track_caller]
    pub(crate) fn play(&self) -> Played {
        share();
        let attach = if self.attached { "--attach" } else { "" };
        let script = format!(
            "{{ true; {before} }} >&2\ncat >/tmp/p.yaml <<'END'\nextends: default\n{profile}\nEND\n\
             export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
             timeout 90 /share/dindcheck verify {attach} --profile /tmp/p.yaml --only {STEPS} --format json {options} \
             >/tmp/report.json 2>/tmp/err; code=$?\n\
             cat /tmp/report.json; echo; echo $code; {{ {also}; }} | tr '\\n' ' '; echo; \
             {{ {LEFT}; }} 2>/dev/null | tr '\\n' ' '; printf .; cat /tmp/err >&2",
            before = self.before,
            profile = self.profile,
            options = self.options,
            also = self.also,
        );
        let image = format!("dindcheck-base:{}", self.suite);
        let mut args = vec!["docker", "run", "--rm", "--privileged", "-v", "/share:/share:ro"];
        args.extend(self.docker.iter().map(String::as_str));
        args.extend([&image, "bash", "-c", &script]);
        let start = Instant::now();
        let out = bed("engine.sh", &args);
        let mut lines = out.trim_end_matches('.').rsplitn(4, '\n');
        let left = lines.next().expect("what is left").trim().to_owned();
        let said = lines.next().expect("an answer").trim().to_owned();
        let code = lines.next().expect("an exit code").to_owned();
        let text = lines.next().expect("a report");
        let report = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {out}"));
        let played = Played { suite: self.suite, report, code, said, took: start.elapsed() };
        if !self.leaves {
            assert_eq!(left, "", "{}: left behind; {:#}", self.suite, played.short());
            assert_eq!(played.report["leftovers"], serde_json::json!([]), "{}", self.suite);
        }
        played
    }
}

/// What dindcheck said of a world.
pub(crate) struct Played {
    suite: &'static str,
    pub(crate) report: Value,
    pub(crate) code: String,
    pub(crate) said: String,
    pub(crate) took: Duration,
}

impl Played {
    /// A step of the report.
    #[track_caller]
    pub(crate) fn step(&self, id: &str) -> &Value {
        let steps = self.report["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["id"] == id).expect("the step")
    }

    /// The first failure is of that step and that cause.
    #[track_caller]
    pub(crate) fn fails(&self, step: &str, cause: &str) {
        let first = &self.report["first_failure"];
        let right = first["step"] == step && first["cause"] == cause && self.code == "1";
        assert!(right, "{}: expected {step} {cause}, saw code {} {:#}", self.suite, self.code, self.short());
    }

    /// It is sound, and that step warns of that cause.
    #[track_caller]
    pub(crate) fn warns(&self, step: &str, cause: &str) {
        let findings = self.step(step)["findings"].as_array().expect("findings");
        let warned = findings.iter().any(|f| f["level"] == "warn" && f["cause"] == cause);
        assert!(
            warned && self.code == "0",
            "{}: expected {step} {cause}, saw {:#}",
            self.suite,
            self.short()
        );
    }

    /// It is sound.
    #[track_caller]
    pub(crate) fn holds(&self) {
        assert_eq!(self.code, "0", "{}: {:#}", self.suite, self.short());
        assert_eq!(self.report["first_failure"], Value::Null, "{}", self.suite);
    }

    /// It took no longer than so many seconds, with the outer container's own start and end.
    #[track_caller]
    pub(crate) fn within(&self, seconds: u64) -> &Self {
        assert!(self.took < Duration::from_secs(seconds), "{}: took {:?}", self.suite, self.took);
        self
    }

    /// Everything that did not pass.
    fn short(&self) -> Value {
        let steps = self.report["steps"].as_array().expect("steps").iter();
        steps.filter(|step| step["outcome"] != "passed" && step["outcome"] != "skipped").cloned().collect()
    }
}
