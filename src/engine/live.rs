//! How is a real daemon used? The live door: it owns the runtime, the daemon, the connection and the run's files.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::dockerd::{Dockerd, Stopped};
use super::error::{EngineError, EngineResult};
use super::options::{self, Options};
use super::process::ProcessId;
use super::rundir::RunDir;
use super::wait::{TICK, Watch};
use super::{DaemonEnd, Endpoint, Engine, Started, TornDown, Versions, command_line, docker, http};
use crate::diagnosis::Diagnosis;
use crate::host::Host;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::plan::Plan;

/// The real door.
pub struct LiveEngine {
    host: Live,
    interrupt: Interrupt,
    runtime: Runtime,
    daemon: OnceCell<RefCell<Dockerd>>,
    endpoint: OnceCell<Endpoint>,
    client: OnceCell<bollard::Docker>,
    dir: OnceCell<RunDir>,
    leftovers: RefCell<Vec<String>>,
}

/// What the next run must know of this one.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// This process.
    owner: Option<ProcessId>,
    /// The daemon, once it is there.
    daemon: Option<ProcessId>,
    /// How it was started.
    options: Options,
    /// It is to live on.
    kept: bool,
}

impl LiveEngine {
    /// A door through which nothing has gone yet.
    pub fn new(host: Live, interrupt: Interrupt) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self {
            host,
            interrupt,
            runtime,
            daemon: OnceCell::new(),
            endpoint: OnceCell::new(),
            client: OnceCell::new(),
            dir: OnceCell::new(),
            leftovers: RefCell::default(),
        })
    }

    /// Waits for something, with an eye on the daemon and on the user's signals.
    fn wait<T>(
        &self,
        doing: &str,
        within: Duration,
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        let watch = Watch { interrupt: Some(&self.interrupt), daemon: self.daemon.get() };
        self.runtime.block_on(watch.until(doing, within, work))
    }

    /// Where the daemon is.
    fn endpoint(&self) -> Endpoint {
        self.endpoint.get().cloned().unwrap_or_default()
    }

    /// Uses a daemon that runs already.
    fn attach(&self, endpoint: &Endpoint, within: Duration) -> EngineResult<Started> {
        let start = Instant::now();
        let doing = "ask the running daemon for a sign of life";
        let answer = self.wait(doing, within, docker::ask(endpoint, doing, "/_ping"))?;
        if answer.status != 200 {
            let message = answer.message();
            return Err(EngineError::Refused { doing: doing.to_owned(), status: answer.status, message });
        }
        let _ = self.endpoint.set(endpoint.clone());
        Ok(Started { endpoint: endpoint.clone(), took: start.elapsed(), ..Started::default() })
    }

    /// Starts a dockerd of our own.
    fn spawn(&self, plan: &Plan) -> EngineResult<(i32, Options)> {
        let line = command_line(&self.host, plan);
        let options = options::read(&self.host, &line[1..]);
        super::dockerd::find_program(&self.host, &line[0])?;
        let _ = self.dir.set(RunDir::make(&plan.run)?);
        let Some(dir) = self.dir.get() else { unreachable!("just set") };
        let owner = ProcessId::of(&self.host, self.host.identity().pid);
        let mut state = State { owner, daemon: None, options, kept: plan.keep_daemon };
        dir.save(&state)?;
        let daemon = Dockerd::spawn(&self.host, &line, dir, !plan.keep_daemon)?;
        let pid = daemon.pid();
        let _ = self.daemon.set(RefCell::new(daemon));
        state.daemon = ProcessId::of(&self.host, pid);
        dir.save(&state)?;
        Ok((pid, state.options))
    }

    /// Waits until the dockerd of this process id answers.
    fn serving(&self, endpoint: &Endpoint, pid: i32, within: Duration) -> EngineResult<()> {
        let listening = Cell::new(false);
        let answered = async {
            loop {
                match http::connect(endpoint).await {
                    Ok((stream, peer)) if peer.is_none_or(|peer| peer == 0 || peer == pid) => {
                        listening.set(true);
                        if http::get(stream, "/_ping").await.is_ok_and(|answer| answer.status == 200) {
                            return Ok(());
                        }
                    }
                    // Not there yet, nobody behind it, or somebody else: ours will take its place or end.
                    _ => {}
                }
                tokio::time::sleep(TICK).await;
            }
        };
        self.wait("wait for dockerd", within, answered).map_err(|error| match error {
            EngineError::Deadline { waited, .. } => self.not_serving(endpoint, waited, listening.get()),
            other => other,
        })
    }

    /// A daemon that lives and does not serve, with what its log says about it.
    fn not_serving(&self, endpoint: &Endpoint, waited: Duration, listening: bool) -> EngineError {
        let mut error = EngineError::NotServing {
            endpoint: endpoint.clone(),
            waited,
            listening,
            first_error: None,
            last_line: None,
        };
        if let (EngineError::NotServing { first_error, last_line, .. }, Some(daemon)) =
            (&mut error, self.daemon.get())
        {
            let mut daemon = daemon.borrow_mut();
            *first_error = daemon.log().first_error();
            *last_line = daemon.log().last_lines().next_back().map(ToOwned::to_owned);
        }
        error
    }

    /// Stops the daemon that we started.
    fn stop(&self, patience: Duration) -> DaemonEnd {
        let Some(daemon) = self.daemon.get() else {
            return self.endpoint.get().cloned().map_or(DaemonEnd::None, DaemonEnd::Attached);
        };
        let start = Instant::now();
        let dead = daemon.borrow_mut().look();
        #[allow(clippy::await_holding_refcell_ref, reason = "nothing else runs on this thread meanwhile")]
        let stopped = self.runtime.block_on(async { daemon.borrow_mut().stop(patience).await });
        match (dead, stopped) {
            (Some(death), _) => DaemonEnd::Dead(death),
            (None, Stopped::InTime) => DaemonEnd::Stopped(start.elapsed()),
            (None, Stopped::Killed) => DaemonEnd::Killed(start.elapsed()),
            (None, Stopped::Never) => DaemonEnd::StillThere(daemon.borrow().pid()),
        }
    }
}

impl Engine for LiveEngine {
    fn is_used(&self) -> bool {
        self.endpoint.get().is_some() || self.dir.get().is_some()
    }

    fn leftovers(&self) -> Vec<String> {
        self.leftovers.borrow().clone()
    }

    fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }

    fn start(&self, plan: &Plan) -> EngineResult<Started> {
        let within = plan.profile.daemon.start_timeout;
        if let Some(endpoint) = &plan.attach {
            return self.attach(endpoint, within);
        }
        let (pid, options) = self.spawn(plan)?;
        self.serving(&options.endpoint, pid, within)?;
        let _ = self.endpoint.set(options.endpoint.clone());
        let mut started = Started {
            endpoint: options.endpoint,
            pid: Some(pid),
            command: command_line(&self.host, plan),
            ..Started::default()
        };
        if let Some(daemon) = self.daemon.get() {
            let mut daemon = daemon.borrow_mut();
            daemon.served = true;
            started.took = daemon.age();
            started.log = daemon.log().path().map(|path| path.display().to_string());
        }
        Ok(started)
    }

    fn negotiate(&self, within: Duration) -> EngineResult<Versions> {
        let (endpoint, doing) = (self.endpoint(), "ask for the daemon's version");
        let json = self.wait(doing, within, docker::ask_json(&endpoint, doing, "/version"))?;
        let versions = docker::versions(&json);
        if let Some(used) = &versions.used {
            let _ = self.client.set(docker::client(&endpoint, used)?);
        }
        Ok(versions)
    }

    fn info(&self, within: Duration) -> EngineResult<serde_json::Value> {
        let (endpoint, doing) = (self.endpoint(), "ask what the daemon says of itself");
        self.wait(doing, within, docker::ask_json(&endpoint, doing, "/info"))
    }

    fn tear_down(&self, plan: &Plan, keep_daemon: bool) -> TornDown {
        let mut done = TornDown::default();
        if let (true, Some(daemon)) = (keep_daemon, self.daemon.get()) {
            let mut daemon = daemon.borrow_mut();
            if daemon.look().is_none() {
                done.daemon = DaemonEnd::Kept { endpoint: self.endpoint(), pid: daemon.pid() };
                return done;
            }
        }
        done.daemon = self.stop(plan.profile.daemon.stop_timeout);
        if let DaemonEnd::StillThere(pid) = done.daemon {
            done.left.push(format!("dockerd, process {pid}"));
        } else if let Some(Err(error)) = self.dir.get().map(RunDir::remove) {
            done.left.push(error.to_string());
        }
        self.leftovers.borrow_mut().clone_from(&done.left);
        done
    }
}
