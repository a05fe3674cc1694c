//! A world that is broken in one way, what `dindcheck verify` reports of it, and the expectations of that report.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Outer, Suite, report};

/// Seconds that a world of the workload may take, with the outer container's own start and end.
pub(crate) const DEADLINE: u64 = 300;

/// The steps from the daemon on: a fault of the environment must not be found before the workload meets it.
const WORKLOAD: &str = "daemon-start,daemon-info,image,container-run,container-limits,container-storage,\
    container-network,container-privileged,teardown";

/// Waits until dockerd serves; one that ended is not waited for.
pub(crate) const SERVES: &str = "for _ in {1..1200}; do docker version >/dev/null 2>&1 && break; kill -0 $! 2>/dev/null || break; sleep 0.05; done";

/// What the profile of each world extends: the bed is cut off from the world, so no resolver answers in it.
const BASE: &str = "{extends: default, causes: {dns-resolver-not-answering: pass, container-start-slow: pass, data-root-slow: pass}}";

/// What is left of a run: processes, and what a daemon keeps.
const LEFT: &str = "\
    [ -n \"$ATTACHED\" ] || pidof dockerd containerd; \
    pidof containerd-shim-runc-v2 runc; \
    ls -A /run/dindcheck; ls -A /var/lib/docker/containers; \
    ls /var/lib/docker/volumes | grep dindcheck; \
    grep -l dindcheck- /var/lib/docker/image/*/repositories.json; \
    ip -o link | grep -oE 'br-[0-9a-f]+'; true";

/// What a check must not change: mounts and files.
const CHANGES: &str =
    "changes() { cut -d' ' -f3- /proc/self/mountinfo; find /var/lib /run /tmp /etc/docker 2>&1 | sort; }";

/// What must hold after the run, whatever was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Mounts and files are as they were.
    Unchanged,
    /// Nothing of the run is left.
    NothingLeft,
    /// Nothing is asked: it was repaired, or its daemon does not answer any more.
    Anything,
}

/// An outer container with dindcheck to be run in it.
#[derive(Clone)]
pub(crate) struct World {
    suite: Suite,
    outer: Outer,
    before: String,
    attach: &'static str,
    profile: String,
    steps: String,
    options: String,
    then: String,
    after: After,
}

impl World {
    /// A healthy one, in which the steps from the daemon on run. Nothing may be left of the run.
    pub(crate) fn new(suite: Suite) -> Self {
        Self {
            suite,
            outer: Outer::new(suite),
            before: String::new(),
            attach: "",
            profile: String::new(),
            steps: WORKLOAD.into(),
            options: String::new(),
            then: "true".into(),
            after: After::NothingLeft,
        }
    }

    /// A healthy one, in which these steps of the environment look. They may neither change nor repair anything.
    pub(crate) fn of_steps(suite: Suite, steps: &str) -> Self {
        let options = "--repair none --keep-going".into();
        Self { steps: steps.into(), options, after: After::Unchanged, ..Self::new(suite) }
    }

    /// In this outer container instead.
    pub(crate) fn outer(mut self, outer: Outer) -> Self {
        self.outer = outer;
        self
    }

    /// With further arguments of `docker run`.
    pub(crate) fn docker(mut self, args: &[&str]) -> Self {
        self.outer = self.outer.args(args);
        self
    }

    /// With the data root on the container's own overlay.
    pub(crate) fn without_volume(mut self) -> Self {
        self.outer = self.outer.without_volume();
        self
    }

    /// What is done to it first.
    pub(crate) fn broken(mut self, script: &str) -> Self {
        self.before.push_str(&format!("{script}\n"));
        self
    }

    /// What is done to it after dockerd serves; dindcheck is attached then.
    pub(crate) fn broken_later(mut self, script: &str) -> Self {
        self.attach = "--attach";
        self.before.push_str(&format!("ATTACHED=yes; dockerd $DOCKERD >/tmp/dockerd.log 2>&1 &\n{SERVES}\n"));
        self.broken(script)
    }

    /// What is done to it before anything else.
    pub(crate) fn broken_first(mut self, script: &str) -> Self {
        self.before.insert_str(0, &format!("{script}\n"));
        self
    }

    /// With an option of `verify` instead of those that the world has.
    pub(crate) fn instead_of_options(mut self, option: &str) -> Self {
        self.options = format!(" {option}");
        self
    }

    /// Without one of the steps.
    pub(crate) fn without_step(mut self, id: &str) -> Self {
        assert!(self.steps.contains(id), "{id} is not in {}", self.steps);
        self.steps = self.steps.replace(&format!("{id},"), "");
        self
    }

    /// With one more argument of dockerd.
    pub(crate) fn daemon_argument(mut self, argument: &str) -> Self {
        let between = if self.options.contains(" -- ") { " " } else { " -- " };
        self.options.push_str(&format!("{between}{argument}"));
        self
    }

    /// Without an argument of dockerd, as it stands there.
    pub(crate) fn without_daemon_argument(mut self, argument: &str) -> Self {
        let (own, daemon) = self.options.split_once(" -- ").expect("arguments of dockerd");
        assert!(daemon.contains(argument), "`{argument}` is not in `{daemon}`");
        self.options = format!("{own} -- {}", daemon.replacen(argument, "", 1));
        self
    }

    /// With a setting of the outer container as `docker run` has it; `without OPTION` takes one away.
    pub(crate) fn outer_setting(mut self, setting: &str) -> Self {
        self.outer = match setting.strip_prefix("without ") {
            Some(option) => self.outer.without(option),
            None => self.outer.args(&setting.split(' ').collect::<Vec<_>>()),
        };
        self
    }

    /// With keys of a profile.
    pub(crate) fn profile(mut self, yaml: &str) -> Self {
        self.profile = yaml.to_owned();
        self
    }

    /// With further options of `verify`; after ` -- `, of dockerd.
    pub(crate) fn options(mut self, options: &str) -> Self {
        self.options.push_str(&format!(" {options}"));
        self
    }

    /// What may be repaired is repaired.
    pub(crate) fn repaired(mut self) -> Self {
        self.options = "--repair container".to_owned();
        self.after = After::Anything;
        self
    }

    /// Its daemon does not answer any more, so that something stays in its data root.
    pub(crate) fn leaves_something(mut self) -> Self {
        self.after = After::Anything;
        self
    }

    /// A script whose output is the `answer`.
    pub(crate) fn then(mut self, script: &str) -> Self {
        script.clone_into(&mut self.then);
        self
    }

    /// Plays it.
    #[track_caller]
    pub(crate) fn play(&self) -> Seen {
        let played = self.outer.play(&self.script());
        let cut = |text: &str| -> Option<[String; 5]> {
            let (report, tail) = text.split_once("\n@@ code ")?;
            let (code, tail) = tail.split_once("\n@@ answer ")?;
            let (answer, tail) = tail.split_once("\n@@ left ")?;
            let (left, changed) = tail.split_once("\n@@ changed\n")?;
            Some([report, code, answer, left, changed].map(|part| part.trim().to_owned()))
        };
        let parts = cut(&played.stdout).unwrap_or_else(|| panic!("the script broke off: {}", played.said()));
        let [text, code, answer, left, changed] = parts;
        let report = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("no report ({error}): {}", played.said()));
        let seen = Seen { suite: self.suite, report, code, answer, took: played.took };
        match self.after {
            After::Unchanged => assert_eq!(changed, "", "{}: a check changed something", seen.short()),
            After::NothingLeft => {
                assert_eq!(left, "", "something is left; {}", seen.short());
                assert_eq!(seen.report["leftovers"], json!([]), "{}", seen.short());
            }
            After::Anything => {}
        }
        seen
    }

    /// All of what happens in the container. Lines of their own separate its parts.
    fn script(&self) -> String {
        let Self { before, attach, profile, steps, options, then, .. } = self;
        let (options, daemon) =
            options.split_once(" -- ").map_or((options.as_str(), ""), |(own, daemon)| (own, daemon));
        let own_daemon =
            if attach.is_empty() && !daemon.is_empty() { format!("-- {daemon}") } else { String::new() };
        format!(
            "{{ DOCKERD='{daemon}'; {before} }} >&2\necho '{BASE}' >/dev/shm/base.yaml\n\
             cat >/dev/shm/profile.yaml <<'END'\nextends: /dev/shm/base.yaml\n{profile}\nEND\n{CHANGES}\n\
             was=$(changes)\n\
             timeout 240 dindcheck verify {attach} --profile /dev/shm/profile.yaml --only {steps} --format json {options} {own_daemon}; code=$?\n\
             is=$(changes)\n\
             printf '\\n@@ code %s\\n@@ answer ' $code; {{ {then}; }} | tr '\\n' ' '\n\
             printf '\\n@@ left '; {{ {LEFT}; }} 2>&- | tr '\\n' ' '\n\
             printf '\\n@@ changed\\n'; [[ $was == \"$is\" ]] || diff <(echo \"$was\") <(echo \"$is\")"
        )
    }
}

/// What dindcheck reported of a world.
pub(crate) struct Seen {
    suite: Suite,
    pub(crate) report: Value,
    pub(crate) code: String,
    /// What the script of `then` printed.
    pub(crate) answer: String,
    took: Duration,
}

impl Seen {
    /// A step of the report.
    #[track_caller]
    pub(crate) fn step(&self, id: &str) -> &Value {
        report::step(&self.report, id)
    }

    /// Its outcome is this, and its findings that do not pass are of these causes, in order.
    #[track_caller]
    pub(crate) fn step_is(&self, id: &str, outcome: &str, causes: &[&str]) {
        let step = self.step(id);
        let seen: Vec<_> = self.causes(id);
        assert!(step["outcome"] == outcome && seen == causes, "expected {outcome} {causes:?}, saw {step:#}");
    }

    /// The causes of a step's findings that do not pass, in order.
    #[track_caller]
    pub(crate) fn causes(&self, id: &str) -> Vec<&str> {
        report::findings(self.step(id)).filter_map(|finding| finding["cause"].as_str()).collect()
    }

    /// What the report prints to be done about that finding: its own hint, or what helps with its cause.
    #[track_caller]
    pub(crate) fn remedy(&self, step: &str, cause: &str) -> String {
        let of = |finding: &&Value| finding["cause"] == cause;
        let finding =
            report::findings(self.step(step)).find(of).unwrap_or_else(|| panic!("{}", self.short()));
        let stock = || dindcheck::diagnosis::find(cause).map_or("", |cause| cause.remedy);
        finding["hint"].as_str().unwrap_or_else(stock).to_owned()
    }

    /// The first failure is of that step and that cause.
    #[track_caller]
    pub(crate) fn fails(&self, step: &str, cause: &str) {
        let right = report::first_failure(&self.report) == (step, cause) && self.code == "1";
        assert!(right, "expected {step} {cause}, saw {}", self.short());
    }

    /// It is sound, and that step warns of that cause.
    #[track_caller]
    pub(crate) fn warns(&self, step: &str, cause: &str) {
        let warned = report::warnings(&self.report).contains(&(step, cause));
        assert!(warned && self.code == "0", "expected a warning of {step} {cause}, saw {}", self.short());
    }

    /// What the report says to do about the first failure contains this.
    #[track_caller]
    pub(crate) fn is_mended_by(&self, words: &str) {
        let remedy = self.report["first_failure"]["remedy"].as_str().unwrap_or_default();
        assert!(remedy.contains(words), "expected {words}, saw {remedy}");
    }

    /// It is sound.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        assert!(self.code == "0" && self.report["first_failure"].is_null(), "{}", self.short());
    }

    /// That step passed.
    #[track_caller]
    pub(crate) fn passes(&self, id: &str) {
        assert_eq!(self.step(id)["outcome"], "passed", "{}: {:#}", self.suite.name(), self.step(id));
    }

    /// `step level cause` of everything that does not pass.
    pub(crate) fn problems(&self) -> Vec<String> {
        report::problems(&self.report)
    }

    /// It took no longer than so many seconds, with the outer container's own start and end.
    #[track_caller]
    pub(crate) fn within(&self, seconds: u64) -> &Self {
        assert!(self.took < Duration::from_secs(seconds), "{}: took {:?}", self.suite.name(), self.took);
        self
    }

    /// Everything that did not pass.
    fn short(&self) -> String {
        let of_interest = |step: &&Value| step["outcome"] != "passed" && step["outcome"] != "skipped";
        let steps: Value = report::steps(&self.report).filter(of_interest).cloned().collect();
        format!("{}: exit code {}, {steps:#}", self.suite.name(), self.code)
    }
}
