//! The containers of a run, which give the steps of the workload phase their evidence.
//!
//! Starting a container takes most of the time, so one container gives the evidence of several steps: it has limits, a
//! volume, a tmpfs and a published port, and its probe tests them all. Restarted, with a neighbour beside it, it gives the
//! rest. If the daemon refuses that container, each step runs one with only what that step needs, so that the right step
//! reports the failure.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use crate::diagnosis::{CauseId, causes};
use crate::engine::{ContainerRun, ContainerSpec, Engine, EngineError, PairRun};
use crate::facts::caps::{Cap, CapSet};
use crate::facts::daemon::{Daemon, Expected, Room};
use crate::facts::status::Status;
use crate::facts::version::Version;
use crate::finding::{Environment, Finding};
use crate::host::SystemReader;
use crate::options::{ImageChoice, Need, RunOptions};
use crate::probe::{Document, PROTOCOL};

mod failure;
mod filter;
pub mod spec;
pub mod third_level;

pub use failure::{failure, unrunnable};
pub use filter::blame_filter;
pub use spec::{Part, Wanted};

/// The deadline of a question to the daemon, which answers in milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// From this version on `--privileged` gives only the capabilities that the daemon has.
pub const GIVES_WHAT_IT_HAS: Version = Version::new(23, 0, 0);

/// The containers of a run; each is started when the first step needs it.
pub struct Workload<'a> {
    host: &'a dyn SystemReader,
    engine: &'a dyn Engine,
    options: &'a RunOptions,
    environment: &'a RefCell<Environment>,
    wanted: OnceCell<Wanted>,
    /// The same with a smaller CPU limit, where a limit that is not visible here refused the first one.
    lowered: OnceCell<Wanted>,
    first: OnceCell<ContainerRun>,
    retried: Cell<bool>,
    together: OnceCell<PairRun>,
}

impl<'a> Workload<'a> {
    /// A workload without containers yet.
    pub fn new(
        host: &'a dyn SystemReader,
        engine: &'a dyn Engine,
        options: &'a RunOptions,
        environment: &'a RefCell<Environment>,
    ) -> Self {
        let (wanted, first, together) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let (lowered, retried) = (OnceCell::new(), Cell::new(false));
        Self { host, engine, options, environment, wanted, lowered, first, retried, together }
    }

    /// What the containers are to have, by the daemon's configuration, by what it says itself, and by the limits of this
    /// container.
    pub fn wanted(&self) -> &Wanted {
        self.lowered.get().unwrap_or_else(|| self.by_configuration())
    }

    fn by_configuration(&self) -> &Wanted {
        self.wanted.get_or_init(|| {
            let expected = match &self.options.attach {
                Some(_) => Expected::of_running(self.host),
                // The step `daemon-config` reports a configuration that cannot be read.
                None => Daemon::read(self.host, &self.options.daemon())
                    .map(|daemon| Expected::of(self.host, &daemon))
                    .unwrap_or_default(),
            };
            let said = self
                .engine
                .info(ANSWERS_WITHIN)
                .and_then(|info| Ok((info, self.engine.default_network(ANSWERS_WITHIN)?)));
            // A daemon that does not answer is reported by the step that runs the container.
            let expected = match said {
                Ok((info, bridge)) => expected.corrected(&info, bridge.as_ref()),
                Err(_) => expected,
            };
            Wanted::new(expected, Room::read(self.host))
        })
    }

    /// The first container, with everything that the steps of the plan need.
    pub fn first(&self) -> &ContainerRun {
        self.first.get_or_init(|| {
            let mut spec = self.first_spec();
            let mut run = self.run(&spec);
            if is_above_a_hidden_quota(&run) {
                let _ = self.lowered.set(self.by_configuration().clone().with_least_cpu());
                spec.body = self.first_spec().body;
                run = self.run_again(&mut spec, run);
            }
            if is_killed_with_its_child(&run) {
                self.retried.set(true);
                run = self.run_again(&mut spec, run);
            }
            run
        })
    }

    fn first_spec(&self) -> ContainerSpec {
        let refused = self.options.needs(Need::Privileged) && self.refuses_privileged();
        let asked: Vec<_> = Part::ALL.into_iter().filter(|part| self.options.needs(part.need())).collect();
        spec::first(self.host, self.options, self.wanted(), &asked, self.is_restarted(), refused)
    }

    /// Runs the first container once more; what was made beside it stays.
    fn run_again(&self, spec: &mut ContainerSpec, before: ContainerRun) -> ContainerRun {
        (spec.network, spec.refused) = (None, None);
        ContainerRun { network: before.network, refused: before.refused, ..self.run(spec) }
    }

    /// Whether the first container was run a second time after the kernel had OOM-killed its probe.
    pub fn was_retried(&self) -> bool {
        self.retried.get()
    }

    /// Whether a step of the plan needs the first container restarted.
    pub fn is_restarted(&self) -> bool {
        self.options.needs(Need::Restart)
    }

    /// The first container, restarted, and its neighbours; `None` if the first did not end with 0.
    pub fn together(&self) -> Option<&PairRun> {
        let first = self.first();
        first.end.as_ref().ok().filter(|code| **code == 0)?;
        let within = self.options.profile.container.timeout;
        Some(self.together.get_or_init(|| {
            let pair =
                spec::pair(self.options, self.wanted(), first.network.clone(), first.refused.is_some());
            self.engine.run_pair(self.options, &pair, within)
        }))
    }

    /// The network of the first container tried once more, by containers that have nothing else; `pair` tries that of its
    /// neighbour as well.
    pub fn network_again(&self, pair: bool) -> (ContainerRun, Option<PairRun>) {
        let mut spec = spec::first(self.host, self.options, self.wanted(), &[Part::Network], pair, false);
        let within = self.options.profile.container.timeout;
        (spec.network, spec.execs) = (None, Vec::new());
        let run = self.run(&spec);
        let kept = pair && matches!(run.end, Ok(0));
        let together = kept.then(|| {
            let pair = spec::pair(self.options, self.wanted(), self.first().network.clone(), true);
            self.engine.run_pair(self.options, &pair, within)
        });
        (run, together)
    }

    /// Whether this engine will refuse a privileged container here.
    fn refuses_privileged(&self) -> bool {
        let engine = self.environment.borrow().engine.as_deref().and_then(Version::find);
        Status::read(self.host).is_ok_and(|own| lacks_for_privileged(own.effective, engine).is_some())
    }

    /// The privileged container that has run: beside the first one, or as its neighbour.
    pub fn privileged_beside(&self) -> Option<&ContainerRun> {
        let tried = self.first().refused.as_deref();
        tried.or_else(|| self.together()?.others.first())
    }

    /// Runs a privileged container without anything else.
    pub fn privileged(&self) -> ContainerRun {
        let within = self.options.profile.container.timeout;
        self.engine.run(self.options, &spec::privileged(self.options, self.wanted()), within)
    }

    /// Runs a privileged container in which this program starts and verifies a dockerd.
    pub fn third_level(&self) -> ContainerRun {
        let profile = &self.options.profile;
        // The sum of the deadlines in there.
        let within = profile.daemon.start_timeout
            + profile.daemon.stop_timeout
            + profile.image.timeout
            + profile.container.timeout;
        self.engine.run(self.options, &third_level::container(self.host, self.options, self.wanted()), within)
    }

    /// A container of the built-in image with these parts.
    pub fn container(&self, role: &'static str, parts: &[Part]) -> ContainerSpec {
        spec::container(self.host, self.options, self.wanted(), role, parts)
    }

    /// Runs a container of the built-in image.
    fn run(&self, spec: &ContainerSpec) -> ContainerRun {
        // The step `image` loads the profile's own image; the probe is in the built-in one.
        let missing = self.options.image != ImageChoice::Builtin && spec.role == "run";
        if let Some(error) = missing.then(|| self.engine.load_builtin(self.options).err()).flatten() {
            return ContainerRun { end: Err(error), ..ContainerRun::new() };
        }
        self.engine.run(self.options, spec, self.options.profile.container.timeout)
    }

    /// The run that tested this part, or the finding that says why there is none.
    pub fn shown(&self, part: Part, refused: CauseId) -> anyhow::Result<Result<Shown<'_>, Finding>> {
        let run_of_all = self.first();
        match &run_of_all.end {
            Ok(_) => return Ok(read(run_of_all).map(|document| Shown::First(run_of_all, Box::new(document)))),
            Err(EngineError::Refused { .. }) => {}
            Err(error) => return Ok(Err(failure(run_of_all.stage, error.clone(), refused)?)),
        }
        let alone = self.run(&self.container(part.role(), &[part]));
        Ok(match alone.end {
            Ok(_) => read(&alone).map(|document| Shown::Alone(Box::new(alone), Box::new(document))),
            Err(error) => Err(failure(alone.stage, error, refused)?),
        })
    }
}

/// Whether the runtime was refused a CPU quota. What this container sees of its limits is no reason for that, so it is the
/// limit of an ancestor outside of its cgroup namespace, such as a pod's. The daemon passes the error on as a text only.
fn is_above_a_hidden_quota(run: &ContainerRun) -> bool {
    matches!(&run.end, Err(EngineError::Refused { message, .. })
        if message.contains("cpu.cfs_quota_us") && message.contains("invalid argument"))
}

/// Whether the kernel OOM-killed the probe together with its child, which exceeds the limit on purpose. On a busy machine
/// this happens now and then; with a limit that is too low for the probe it happens each time.
fn is_killed_with_its_child(run: &ContainerRun) -> bool {
    run.oom_killed && run.stdout.is_empty()
}

/// The missing capabilities because of which this engine refuses a privileged container: up to 20.10 it asks for every one
/// that it knows (moby 485cf38d).
pub fn lacks_for_privileged(held: CapSet, engine: Option<Version>) -> Option<Vec<Cap>> {
    let old = engine.is_some_and(|engine| engine < GIVES_WHAT_IT_HAS);
    Some(held.lacks_up_to(Cap::LAST_OF_20_10)).filter(|lacks| old && !lacks.is_empty())
}

/// The run that tested the part of a step, with the probe's document.
pub enum Shown<'a> {
    /// The first container.
    First(&'a ContainerRun, Box<Document>),
    /// A container that had only this part.
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

    /// The probe's document.
    pub fn document(&self) -> &Document {
        match self {
            Self::First(_, document) | Self::Alone(_, document) => document,
        }
    }
}

/// The probe's document, or the finding if the output is not one.
pub fn read(run: &ContainerRun) -> Result<Document, Finding> {
    let wrong = |what: String| {
        let cause = if run.oom_killed { causes::OOM_KILLED } else { causes::CONTAINER_WRONG_OUTPUT };
        let text: String = String::from_utf8_lossy(&run.stdout).trim().chars().take(400).collect();
        Err(Finding::fail(cause, what).with("stdout", text))
    };
    match serde_json::from_slice::<Document>(&run.stdout) {
        Ok(document) if document.protocol == PROTOCOL => Ok(document),
        Ok(other) => wrong(format!("the probe speaks protocol {}, not {PROTOCOL}", other.protocol)),
        Err(error) => wrong(format!("the probe's output is incomplete or changed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::testing;

    #[test]
    fn container_above_a_hidden_quota_is_run_with_a_smaller_one() {
        let message = "OCI runtime create failed: runc create failed: unable to start container process: error during \
                       container init: error setting cgroup config for procHooks process: failed to write \"10000\" to \
                       cpu.cfs_quota_us: write /sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us: invalid argument: unknown";
        let error = EngineError::Refused { doing: "start".into(), status: 400, message: message.into() };
        let refused = ContainerRun { end: Err(error), network: Some(Ok(())), ..ContainerRun::new() };
        let engine = FakeEngine::new().runs(refused);
        testing::ask(&engine, |cx| {
            assert_eq!(cx.workload.wanted().limits.cpu_percent, 50);
            let run = cx.workload.first();
            assert!(run.end.is_ok() && run.network.is_some() && !cx.workload.was_retried());
            assert_eq!(cx.workload.wanted().limits.cpu_percent, 5);
        });
        assert_eq!(engine.calls().iter().filter(|call| call.starts_with("run ")).count(), 2);
    }

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
            // The first run made the network.
            assert_eq!(seen, (end, tries == 2, tries == 2));
            assert_eq!(engine.calls().iter().filter(|call| call.starts_with("run ")).count(), tries);
        }
    }
}
