//! The engine of a real daemon: it owns the runtime, the daemon, the connection and the run's files.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::diagnosis::Diagnosis;
use crate::engine::cleanup::made::Ledger;
pub use crate::engine::cleanup::record::KeptDaemon;
use crate::engine::cleanup::record::Record;
use crate::engine::cleanup::rundir::RunDir;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::dockerd::Dockerd;
use crate::engine::dockerd::wait::Watch;
use crate::engine::{
    Built, ContainerRun, ContainerSpec, Engine, PairRun, RestartPair, Started, TornDown, Versions, docker,
};
use crate::facts::endpoint::Endpoint;
use crate::facts::oom::OomAccount;
use crate::host::HostResult;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::options::RunOptions;

mod containers;
mod created;
mod daemon;
mod images;
mod reclaim;
mod recover;
mod restart_pair;
mod teardown;
mod witness;

use created::Created;
pub use reclaim::record;
use recover::StaleRun;
pub use recover::{Recovery, take_over};
use witness::Witness;
pub use witness::observe;

/// The deadline of a small request, and of the removal of one object.
const SHORT: Duration = Duration::from_secs(20);

/// The engine of a real daemon.
pub struct LiveEngine {
    host: Live,
    interrupt: Interrupt,
    runtime: Runtime,
    daemon: OnceCell<RefCell<Dockerd>>,
    endpoint: OnceCell<Endpoint>,
    api: OnceCell<Api>,
    run_files: OnceCell<RunFiles>,
    witness: RefCell<Option<Witness>>,
    created: RefCell<Vec<Created>>,
    tearing_down: Cell<bool>,
    diagnosis: RefCell<Option<Diagnosis>>,
    stale_runs: RefCell<Vec<StaleRun>>,
    /// The runs whose records this run used up: they are dead.
    reclaimed: RefCell<BTreeSet<String>>,
    recovered: RefCell<Vec<String>>,
    leftovers: RefCell<Vec<String>>,
    /// The processes that the kernel had killed here before the daemon was used.
    oom: RefCell<Option<OomAccount>>,
    /// Whether something failed because memory is short here.
    lacks_memory: Cell<bool>,
}

/// The run directory, and what is in it.
struct RunFiles {
    dir: RunDir,
    record: RefCell<Record>,
    /// What the daemon made on the machine; `None` where none was started.
    ledger: Option<Ledger>,
}

impl RunFiles {
    /// Writes the record to the directory.
    fn save(&self) -> HostResult<()> {
        self.dir.save(&*self.record.borrow())
    }
}

/// The client at the version agreed on.
struct Api {
    version: String,
    client: bollard::Docker,
}

impl LiveEngine {
    /// An engine without a daemon yet.
    pub fn new(host: Live, interrupt: Interrupt) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self {
            host,
            interrupt,
            runtime,
            daemon: OnceCell::new(),
            endpoint: OnceCell::new(),
            api: OnceCell::new(),
            run_files: OnceCell::new(),
            witness: RefCell::default(),
            created: RefCell::default(),
            tearing_down: Cell::new(false),
            diagnosis: RefCell::default(),
            stale_runs: RefCell::default(),
            reclaimed: RefCell::default(),
            recovered: RefCell::default(),
            leftovers: RefCell::default(),
            oom: RefCell::default(),
            lacks_memory: Cell::default(),
        })
    }

    /// Uses the daemon at this endpoint, without a look at it.
    #[cfg(test)]
    pub(crate) fn point_at(&self, endpoint: &Endpoint) {
        let _ = self.endpoint.set(endpoint.clone());
    }

    /// Waits for `work`, which the daemon's death and the user's signals end early.
    fn wait<T>(
        &self,
        doing: &str,
        within: Duration,
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        // A cleanup is not interrupted.
        let interrupt = Some(&self.interrupt).filter(|_| !self.tearing_down.get());
        let watch = Watch { interrupt, daemon: self.daemon.get() };
        let done =
            self.runtime.block_on(watch.until(doing, within, work)).inspect_err(|error| self.diagnose(error));
        done.map_err(|error| self.beside_memory(error)).inspect_err(|error| {
            let lacks = matches!(error, EngineError::OomKilled { .. } | EngineError::ShortOfMemory { .. });
            self.lacks_memory.set(self.lacks_memory.get() || lacks);
        })
    }

    /// The error, with the processes that the kernel killed for memory since the daemon was started.
    fn beside_memory(&self, error: EngineError) -> EngineError {
        let is_own = matches!(
            error,
            EngineError::Interrupted(_)
                | EngineError::System(_)
                | EngineError::OomKilled { .. }
                | EngineError::ShortOfMemory { .. }
                | EngineError::Refused { status: 404, .. }
        );
        let account = if is_own || self.tearing_down.get() { None } else { OomAccount::read(&self.host) };
        let Some(account) = account else { return error };
        let before = self.oom.borrow();
        let kills = account.since(before.as_ref());
        let error = Box::new(error);
        if kills > 0 {
            EngineError::OomKilled { error, kills, account }
        } else if account.thrashed_since(before.as_ref()) && !matches!(*error, EngineError::Refused { .. }) {
            EngineError::ShortOfMemory { error, account }
        } else {
            *error
        }
    }

    /// Keeps the diagnosis of the daemon's log at the first failure that may be the daemon's.
    fn diagnose(&self, error: &EngineError) {
        let is_own_failure = matches!(error, EngineError::Interrupted(_) | EngineError::System(_));
        let is_answer = matches!(error, EngineError::Refused { status: 404, .. });
        let known = self.diagnosis.borrow().is_some();
        if is_own_failure || is_answer || known || self.tearing_down.get() {
            return;
        }
        if let Some(daemon) = self.daemon.get() {
            *self.diagnosis.borrow_mut() = Some(daemon.borrow().log().diagnosis());
        }
    }

    /// Lets the witness record what the daemon made by now.
    fn look(&self) {
        self.witness.borrow_mut().iter_mut().for_each(Witness::look);
    }

    /// The daemon's endpoint.
    fn endpoint(&self) -> Endpoint {
        self.endpoint.get().cloned().unwrap_or_default()
    }

    /// The client; negotiated first, where no step did.
    fn api(&self, within: Duration) -> EngineResult<&Api> {
        if self.api.get().is_none() {
            self.negotiate(within)?;
        }
        self.api.get().ok_or_else(|| EngineError::Junk {
            doing: "agree on an API version".to_owned(),
            reason: "there is none in common".to_owned(),
        })
    }
}

impl Engine for LiveEngine {
    fn is_used(&self) -> bool {
        self.endpoint.get().is_some() || self.run_files.get().is_some()
    }

    fn leftovers(&self) -> Vec<String> {
        self.leftovers.borrow().clone()
    }

    fn diagnosis(&self) -> Option<Diagnosis> {
        self.diagnosis.borrow().clone()
    }

    fn start(&self, options: &RunOptions) -> EngineResult<Started> {
        *self.oom.borrow_mut() = OomAccount::read(&self.host);
        match &options.attach {
            Some(endpoint) => self.attach(options, endpoint),
            None => self.launch(options),
        }
    }

    fn negotiate(&self, within: Duration) -> EngineResult<Versions> {
        let (endpoint, doing) = (self.endpoint(), "ask for the daemon's version");
        let json = self.wait(doing, within, docker::ask_json(&endpoint, doing, "/version"))?;
        let versions = docker::versions(&json);
        if let Some(version) = versions.used.clone() {
            let client = docker::client(&endpoint, &version)?;
            let _ = self.api.set(Api { version, client });
        }
        Ok(versions)
    }

    fn info(&self, within: Duration) -> EngineResult<serde_json::Value> {
        let path = format!("/v{}/info", self.api(within)?.version);
        let (endpoint, doing) = (self.endpoint(), "ask for daemon information");
        self.wait(doing, within, docker::ask_json(&endpoint, doing, &path))
    }

    fn default_network(&self, within: Duration) -> EngineResult<Option<serde_json::Value>> {
        let path = format!("/v{}/networks/bridge", self.api(within)?.version);
        let (endpoint, doing) = (self.endpoint(), "ask for the default network");
        match self.wait(doing, within, docker::ask_json(&endpoint, doing, &path)) {
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn load_builtin(&self, options: &RunOptions) -> EngineResult<String> {
        self.load(options)
    }

    fn find_image(&self, reference: &str, within: Duration) -> EngineResult<Option<serde_json::Value>> {
        self.inspect_image(reference, within)
    }

    fn pull(&self, reference: &str, within: Duration, progress: &dyn Fn(&str)) -> EngineResult<()> {
        self.pull_image(reference, within, progress)
    }

    fn run(&self, options: &RunOptions, spec: &ContainerSpec, within: Duration) -> ContainerRun {
        self.run_container(options, spec, within)
    }

    fn run_pair(&self, options: &RunOptions, pair: &RestartPair, within: Duration) -> PairRun {
        self.run_and_remove_pair(options, pair, within)
    }

    fn build(&self, options: &RunOptions, within: Duration) -> EngineResult<Built> {
        self.build_image(options, within)
    }

    fn tear_down(&self, options: &RunOptions, keep_daemon: bool) -> TornDown {
        self.tearing_down.set(true);
        self.take_down(options, keep_daemon)
    }
}
