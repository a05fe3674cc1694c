//! An engine in memory for tests of steps and the runner; no production code uses it.
//!
//! Without further settings it is a healthy one: it starts, agrees on a version, loads, runs and stops. Every operation can
//! be made to fail, some times or always, and calls are recorded.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use crate::diagnosis::Diagnosis;
use crate::engine::image::{Archive, architecture};
use crate::engine::{
    Built, ContainerRun, ContainerSpec, DaemonEnd, Engine, EngineError, EngineResult, PairRun, RestartPair,
    Started, TornDown, Versions,
};
use crate::options::RunOptions;

/// An engine in memory.
pub struct FakeEngine {
    versions: Versions,
    info: Value,
    images: RefCell<BTreeSet<String>>,
    runs: RefCell<VecDeque<ContainerRun>>,
    teardown: RefCell<TornDown>,
    faults: RefCell<Vec<Fault>>,
    calls: RefCell<Vec<String>>,
    used: Cell<bool>,
}

/// An operation that fails.
struct Fault {
    op: &'static str,
    error: Box<dyn Fn() -> EngineError>,
    left: Option<u32>,
}

impl Default for FakeEngine {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        let versions = Versions {
            engine: text("28.5.2"),
            max: text("1.51"),
            min: text("1.24"),
            used: Some(text("1.51")),
        };
        Self {
            versions,
            info: json!({"Driver": "overlay2", "DockerRootDir": "/var/lib/docker", "CgroupDriver": "cgroupfs"}),
            images: RefCell::default(),
            runs: RefCell::default(),
            teardown: RefCell::new(TornDown {
                daemon: DaemonEnd::Stopped(Duration::from_millis(10)),
                ..TornDown::default()
            }),
            faults: RefCell::default(),
            calls: RefCell::default(),
            used: Cell::new(false),
        }
    }
}

impl FakeEngine {
    /// A healthy engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// `op` (the name of a method of [`Engine`]) fails with this error the next `times` times (`None`: always).
    #[must_use]
    pub fn fails(
        self,
        op: &'static str,
        error: impl Fn() -> EngineError + 'static,
        times: Option<u32>,
    ) -> Self {
        self.faults.borrow_mut().push(Fault { op, error: Box::new(error), left: times });
        self
    }

    /// The daemon's versions.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// The answer to `GET /info`.
    #[must_use]
    pub fn with_info(mut self, info: Value) -> Self {
        self.info = info;
        self
    }

    /// An image that the daemon has.
    #[must_use]
    pub fn has_image(self, reference: &str) -> Self {
        self.images.borrow_mut().insert(reference.to_owned());
        self
    }

    /// How the next container ends.
    #[must_use]
    pub fn runs(self, run: ContainerRun) -> Self {
        self.runs.borrow_mut().push_back(run);
        self
    }

    /// The result of the teardown.
    #[must_use]
    pub fn with_teardown(self, result: TornDown) -> Self {
        *self.teardown.borrow_mut() = result;
        self
    }

    /// The calls, in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// Records a call, and fails where that was set.
    fn call(&self, op: &'static str, on: &str) -> EngineResult<()> {
        self.calls.borrow_mut().push(format!("{op} {on}").trim_end().to_owned());
        let mut faults = self.faults.borrow_mut();
        match faults.iter_mut().find(|fault| fault.op == op && fault.left != Some(0)) {
            None => Ok(()),
            Some(fault) => {
                fault.left = fault.left.map(|left| left - 1);
                Err((fault.error)())
            }
        }
    }
}

impl Engine for FakeEngine {
    fn is_used(&self) -> bool {
        self.used.get()
    }

    fn leftovers(&self) -> Vec<String> {
        if self.calls.borrow().iter().any(|call| call.starts_with("tear_down")) {
            self.teardown.borrow().left.clone()
        } else {
            Vec::new()
        }
    }

    fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }

    fn start(&self, options: &RunOptions) -> EngineResult<Started> {
        self.used.set(true);
        self.call("start", "")?;
        let endpoint = options.attach.clone().unwrap_or_default();
        let pid = options.attach.is_none().then_some(4243);
        Ok(Started { endpoint, pid, took: Duration::from_millis(400), ..Started::default() })
    }

    fn negotiate(&self, _within: Duration) -> EngineResult<Versions> {
        self.call("negotiate", "")?;
        Ok(self.versions.clone())
    }

    fn info(&self, _within: Duration) -> EngineResult<Value> {
        self.call("info", "")?;
        Ok(self.info.clone())
    }

    fn default_network(&self, _within: Duration) -> EngineResult<Option<Value>> {
        self.call("default_network", "")?;
        Ok(Some(json!({"Name": "bridge"})))
    }

    fn load_builtin(&self, options: &RunOptions) -> EngineResult<String> {
        let reference = Archive::reference(&options.run);
        self.call("load_builtin", "")?;
        self.images.borrow_mut().insert(reference.clone());
        Ok(reference)
    }

    fn find_image(&self, reference: &str, _within: Duration) -> EngineResult<Option<Value>> {
        self.call("find_image", reference)?;
        let known = self.images.borrow().contains(reference);
        Ok(known.then(|| json!({"Id": "sha256:00", "Architecture": architecture()})))
    }

    fn pull(&self, reference: &str, _within: Duration, progress: &dyn Fn(&str)) -> EngineResult<()> {
        self.call("pull", reference)?;
        progress("Downloading");
        self.images.borrow_mut().insert(reference.to_owned());
        Ok(())
    }

    fn run(&self, _options: &RunOptions, spec: &ContainerSpec, _within: Duration) -> ContainerRun {
        let mut run = self.runs.borrow_mut().pop_front().unwrap_or_default();
        if let Err(error) = self.call("run", spec.role) {
            run.end = Err(error);
        }
        run
    }

    fn run_pair(&self, _options: &RunOptions, _pair: &RestartPair, _within: Duration) -> PairRun {
        let _ = self.call("run_pair", "");
        PairRun::default()
    }

    fn build(&self, options: &RunOptions, _within: Duration) -> EngineResult<Built> {
        self.call("build", "")?;
        let reference = crate::engine::image::build::reference(&options.run);
        self.images.borrow_mut().insert(reference.clone());
        Ok(Built { reference, ..Built::default() })
    }

    fn tear_down(&self, _options: &RunOptions, keep_daemon: bool) -> TornDown {
        let _ = self.call("tear_down", if keep_daemon { "keep" } else { "stop" });
        self.teardown.borrow().clone()
    }
}
