//! Which containers are run, so that the steps of the workload phase have what they judge?
//!
//! Starting a container is what takes time, so one container brings the evidence of several steps: it is given
//! limits, a volume, a tmpfs and a port, and its probe tries them all. Started again, with another container beside
//! it, it brings the rest. Where the daemon refuses so much at once, each step runs a container that has only what
//! that step needs: the failure is then told by the step that it belongs to.

use std::cell::{Cell, OnceCell, RefCell};

use crate::diagnosis::{self, CauseId, causes};
use crate::engine::{ContainerRun, ContainerSpec, Engine, EngineError, Stage, Together};
use crate::facts::caps::{Cap, CapSet};
use crate::facts::status::Status;
use crate::facts::version::Version;
use crate::finding::{Environment, Finding};
use crate::host::SystemReader;
use crate::options::{ImageChoice, Need, RunOptions};
use crate::probe::{Document, PROTOCOL};

pub mod spec;
pub mod third_level;

pub use spec::Part;

/// From here on `--privileged` gives what the daemon holds, and no more.
pub const GIVES_WHAT_IT_HAS: Version = Version::new(23, 0, 0);

/// The containers of a run; each is run when the first step asks for what it shows.
pub struct Workload<'a> {
    host: &'a dyn SystemReader,
    engine: &'a dyn Engine,
    options: &'a RunOptions,
    environment: &'a RefCell<Environment>,
    first: OnceCell<ContainerRun>,
    retried: Cell<bool>,
    together: OnceCell<Together>,
}

impl<'a> Workload<'a> {
    /// A workload of which nothing has run yet.
    pub fn new(
        host: &'a dyn SystemReader,
        engine: &'a dyn Engine,
        options: &'a RunOptions,
        environment: &'a RefCell<Environment>,
    ) -> Self {
        let (first, retried, together) = (OnceCell::new(), Cell::new(false), OnceCell::new());
        Self { host, engine, options, environment, first, retried, together }
    }

    /// The first container, with everything that a step of the plan asks for.
    pub fn first(&self) -> &ContainerRun {
        self.first.get_or_init(|| {
            let refused = self.options.needs(Need::Privileged) && self.refuses_privileged();
            let asked: Vec<_> =
                Part::ALL.into_iter().filter(|part| self.options.needs(part.need())).collect();
            let mut spec = spec::first(self.host, self.options, &asked, self.is_restarted(), refused);
            let run = self.run(&spec);
            if !is_killed_with_its_child(&run) {
                return run;
            }
            self.retried.set(true);
            (spec.network, spec.refused) = (None, None);
            ContainerRun { network: run.network, refused: run.refused, ..self.run(&spec) }
        })
    }

    /// Whether there is a first container only because it was run twice.
    pub fn was_retried(&self) -> bool {
        self.retried.get()
    }

    /// Whether a step of the plan judges the first container after a restart.
    pub fn is_restarted(&self) -> bool {
        self.options.needs(Need::Restart)
    }

    /// The first container, restarted, and its neighbour; where the first was refused there is none.
    pub fn together(&self) -> Option<&Together> {
        let first = self.first();
        first.end.as_ref().ok().filter(|code| **code == 0)?;
        let within = self.options.profile.container.timeout;
        Some(self.together.get_or_init(|| {
            let pair = spec::pair(self.options, first.network.clone(), first.refused.is_some());
            self.engine.run_together(self.options, &pair, within)
        }))
    }

    /// Whether this engine is known to refuse a privileged container here.
    fn refuses_privileged(&self) -> bool {
        let engine = self.environment.borrow().engine.as_deref().and_then(Version::find);
        Status::read(self.host).is_ok_and(|own| lacks_for_privileged(own.effective, engine).is_some())
    }

    /// The privileged container that ran: on its own meanwhile, or as the neighbour of the first one.
    pub fn privileged_beside(&self) -> Option<&ContainerRun> {
        let tried = self.first().refused.as_deref();
        tried.or_else(|| self.together()?.others.first())
    }

    /// A container that is privileged and has nothing else.
    pub fn privileged(&self) -> ContainerRun {
        let within = self.options.profile.container.timeout;
        self.engine.run(self.options, &spec::privileged(self.options), within)
    }

    /// A privileged container in which this program verifies a dockerd of its own.
    pub fn third_level(&self) -> ContainerRun {
        let profile = &self.options.profile;
        // As long as everything that is waited for in there may take.
        let within = profile.daemon.start_timeout
            + profile.daemon.stop_timeout
            + profile.image.timeout
            + profile.container.timeout;
        self.engine.run(self.options, &third_level::container(self.host, self.options), within)
    }

    /// Runs a container of the built-in image.
    fn run(&self, spec: &ContainerSpec) -> ContainerRun {
        // The profile's own image was loaded by the step `image`; the probe is in the built-in one.
        let missing = self.options.image != ImageChoice::Builtin && spec.role == "run";
        if let Some(error) = missing.then(|| self.engine.load_builtin(self.options).err()).flatten() {
            return ContainerRun { end: Err(error), ..ContainerRun::new() };
        }
        self.engine.run(self.options, spec, self.options.profile.container.timeout)
    }

    /// The run that shows this part, else the finding that says why none does.
    pub fn shown(&self, part: Part, refused: CauseId) -> anyhow::Result<Result<Shown<'_>, Finding>> {
        let run_of_all = self.first();
        match &run_of_all.end {
            Ok(_) => return Ok(read(run_of_all).map(|document| Shown::First(run_of_all, Box::new(document)))),
            Err(EngineError::Refused { .. }) => {}
            Err(error) => return Ok(Err(failure(run_of_all.stage, error.clone(), refused)?)),
        }
        let alone = self.run(&spec::container(self.host, self.options, part.role(), &[part]));
        Ok(match alone.end {
            Ok(_) => read(&alone).map(|document| Shown::Alone(Box::new(alone), Box::new(document))),
            Err(error) => Err(failure(alone.stage, error, refused)?),
        })
    }
}

/// Whether the kernel OOM-killed the whole probe where it was to kill the process that exceeds the limit. That
/// happens now and then on a busy machine; with a limit that is too low for the probe it happens each time.
fn is_killed_with_its_child(run: &ContainerRun) -> bool {
    run.oom_killed && run.stdout.is_empty()
}

/// The capabilities for want of which this engine refuses a privileged container: up to 20.10 it asks for every one that it
/// knows (moby 485cf38d).
pub fn lacks_for_privileged(held: CapSet, engine: Option<Version>) -> Option<Vec<Cap>> {
    let old = engine.is_some_and(|engine| engine < GIVES_WHAT_IT_HAS);
    Some(held.lacks_up_to(Cap::LAST_OF_20_10)).filter(|lacks| old && !lacks.is_empty())
}

/// What a step judges: the run that shows its part, with the probe's document.
pub enum Shown<'a> {
    /// The first container's.
    First(&'a ContainerRun, Box<Document>),
    /// That of a container which had only this part.
    Alone(Box<ContainerRun>, Box<Document>),
}

impl Shown<'_> {
    /// The run.
    pub fn run(&self) -> &ContainerRun {
        match self {
            Self::First(run, _) => run,
            Self::Alone(run, _) => run,
        }
    }

    /// What the probe saw.
    pub fn document(&self) -> &Document {
        match self {
            Self::First(_, document) | Self::Alone(_, document) => document,
        }
    }
}

/// The probe's document, or the finding that there is none.
pub fn read(run: &ContainerRun) -> Result<Document, Finding> {
    let wrong = |what: String| {
        let cause = if run.oom_killed { causes::OOM_KILLED } else { causes::CONTAINER_WRONG_OUTPUT };
        let text: String = String::from_utf8_lossy(&run.stdout).trim().chars().take(400).collect();
        Err(Finding::fail(cause, what).with("stdout", text))
    };
    match serde_json::from_slice::<Document>(&run.stdout) {
        Ok(document) if document.protocol == PROTOCOL => Ok(document),
        Ok(other) => wrong(format!("the probe speaks protocol {}, not {PROTOCOL}", other.protocol)),
        Err(error) => wrong(format!("the probe's output did not arrive as it was written: {error}")),
    }
}

/// Messages of the runtime that mean something else than in a log. The first row that fits counts.
const START: &[(CauseId, &[&str])] = &[
    (causes::IMAGE_FOR_OTHER_ARCHITECTURE, &["exec format error"]),
    (
        causes::DOCKER_PROXY_PROGRAM_MISSING,
        &[
            "exec: \"docker-proxy\"",
            "docker-proxy: no such file",
            "docker-proxy\": executable file not found",
        ],
    ),
    // Not an entrypoint: the shim starts runc by that name.
    (causes::RUNC_PROGRAM_MISSING, &["exec: \"runc\"", "exec: \"docker-runc\""]),
    // It was there when the daemon came. In the words of gRPC, which dockerd speaks with nobody else.
    (causes::CONTAINERD_CRASHED, &["connection error: desc = "]),
    (causes::DOCKER_IPTABLES_CHAINS_FLUSHED, &["No chain/target/match by that name"]),
];

/// A program that cannot be run, in the words of runc, before a container starts (`exec: "/x": stat /x: no such file
/// or directory`) or as the last ones of its init (`exec /x: exec format error`).
pub fn unrunnable(text: &str) -> Option<CauseId> {
    let is_exec = text.contains("exec: \"")
        || text.trim_start().starts_with("exec ")
        || text.contains("exec user process");
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let cause = match () {
        () if !is_exec => return None,
        () if says(&["exec format error"]) => causes::IMAGE_FOR_OTHER_ARCHITECTURE,
        () if says(&[
            "permission denied",
            "no such file or directory",
            "file not found",
            "is a directory",
        ]) =>
        {
            causes::ENTRYPOINT_NOT_EXECUTABLE
        }
        () => return None,
    };
    Some(cause)
}

/// A container that did not come to its end. `refused` is the cause where the words have none of their own.
pub fn failure(stage: Stage, error: EngineError, refused: CauseId) -> anyhow::Result<Finding> {
    let mut cause = refused;
    if let EngineError::Refused { message, .. } = &error {
        let row = START.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
        let known = row.map(|(cause, _)| *cause).or_else(|| unrunnable(message));
        let known = known.or_else(|| diagnosis::of_message(message));
        cause = known.unwrap_or(refused);
    }
    let late = if stage == Stage::Create { causes::DAEMON_HANGS } else { causes::CONTAINER_TIMEOUT };
    error.into_finding(cause, late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::testing;

    #[test]
    fn oom_killed_probe_is_retried_once() {
        let killed =
            || ContainerRun { end: Ok(137), oom_killed: true, network: Some(Ok(())), ..ContainerRun::new() };
        let answered = || ContainerRun { stdout: b"{}\n".to_vec(), ..ContainerRun::new() };
        for (runs, tries, end) in
            [(vec![answered()], 1, 0), (vec![killed(), answered()], 2, 0), (vec![killed(), killed()], 2, 137)]
        {
            let engine = runs.into_iter().fold(FakeEngine::new(), FakeEngine::runs);
            let seen = testing::ask(&engine, |cx| {
                assert!(!cx.workload.was_retried());
                let run = cx.workload.first();
                (run.end.clone().unwrap(), run.network.is_some(), cx.workload.was_retried())
            });
            // The network was made by the first of them.
            assert_eq!(seen, (end, tries == 2, tries == 2));
            assert_eq!(engine.calls().len(), tries);
        }
    }

    #[test]
    fn the_words_of_a_program_that_cannot_be_run() {
        let cause = |text: &str| unrunnable(text).map(CauseId::as_str);
        for text in [
            "OCI runtime create failed: container_linux.go:380: exec: \"/x\": permission denied: unknown",
            "error during container init: exec: \"/nothing\": stat /nothing: no such file or directory",
            "exec: \"x\": executable file not found in $PATH: unknown",
            "exec /x: no such file or directory\n",
            "standard_init_linux.go:228: exec user process caused: no such file or directory",
        ] {
            assert_eq!(cause(text), Some("entrypoint-not-executable"), "{text}");
        }
        assert_eq!(cause("exec /x: exec format error\n"), Some("image-for-other-architecture"));
        assert_eq!(cause("mkdir /volumes: no such file or directory"), None);
    }

    #[test]
    fn a_refusal_is_told_by_its_words_and_else_by_the_step() {
        let cause = |message: &str| {
            let error = EngineError::Refused { doing: "start".into(), status: 500, message: message.into() };
            let finding = failure(Stage::Start, error, causes::CONTAINER_START_FAILED).unwrap();
            finding.cause.unwrap().as_str()
        };
        let proxy =
            "failed to start userland proxy: fork/exec /usr/sbin/docker-proxy: no such file or directory";
        assert_eq!(cause(proxy), "docker-proxy-program-missing");
        assert_eq!(
            cause("exec: \"docker-proxy\": executable file not found in $PATH"),
            "docker-proxy-program-missing"
        );
        let gone = "OCI runtime create failed: unable to retrieve OCI runtime error (open /x/log.json: no such file or \
                    directory): exec: \"runc\": executable file not found in $PATH: unknown";
        assert_eq!(cause(gone), "runc-program-missing");
        let dead = "connection error: desc = \"transport: Error while dialing dial unix /var/run/docker/containerd/\
                    containerd.sock: connect: connection refused\": unavailable";
        assert_eq!(cause(dead), "containerd-crashed");
        assert_eq!(cause("something new"), "container-start-failed");
    }
}
