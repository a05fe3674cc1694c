//! Runs containers, and removes them.

use std::time::Duration;

use super::{Api, Created, LiveEngine, SHORT};
use crate::engine::containers::{Account, ContainerClient};
use crate::engine::docker::error::EngineError;
use crate::engine::{ContainerRun, ContainerSpec, containers, docker};
use crate::facts::endpoint::Endpoint;
use crate::options::RunOptions;

/// The deadline of a ping to a daemon that has answered before.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

impl Account for LiveEngine {
    /// What bears its id is this run's from now on.
    fn created(&self, id: &str) {
        if let Some(files) = self.run_files.get() {
            files.record.borrow_mut().containers.insert(id.to_owned());
            let _ = files.save();
        }
    }

    fn started(&self) {
        self.look();
    }
}

impl LiveEngine {
    /// What running a container needs.
    pub(super) fn container_client<'c>(
        &'c self,
        api: &'c Api,
        endpoint: &'c Endpoint,
    ) -> ContainerClient<'c> {
        ContainerClient { docker: &api.client, endpoint, host: &self.host, account: self }
    }

    /// Runs a container to its end, and removes it.
    pub(super) fn run_container(
        &self,
        options: &RunOptions,
        spec: &ContainerSpec,
        within: Duration,
    ) -> ContainerRun {
        let mut run = ContainerRun::new();
        let api = match self.api(SHORT) {
            Ok(api) => api,
            Err(error) => {
                run.end = Err(error);
                return run;
            }
        };
        self.note_objects_of(options, spec);
        let endpoint = self.endpoint();
        let client = self.container_client(api, &endpoint);
        run.end =
            self.wait("run the container", within, containers::run(&client, &options.run, spec, &mut run));
        if let Err(EngineError::Deadline { waited, .. }) = run.end
            && !self.answers_ping()
        {
            run.end = Err(self.hangs(waited));
        }
        if let (Some(other), Some(_)) = (&spec.refused, &run.refused) {
            let removed = containers::name(&options.run, other.role);
            self.created.borrow_mut().retain(|object| object.name() != removed);
        }
        let kept = spec.keep && matches!(run.end, Ok(0));
        if run.id.is_some() && !kept && !is_interrupted(&run) {
            let name = containers::name(&options.run, spec.role);
            let _ = self.remove_all(&[Created::Container(name).object(&options.run)]);
        }
        run
    }

    /// Remembers every object that a run of this container may create.
    fn note_objects_of(&self, options: &RunOptions, spec: &ContainerSpec) {
        for role in [spec.role].into_iter().chain(spec.refused.iter().map(|other| other.role)) {
            self.note(Created::Container(containers::name(&options.run, role)));
        }
        if let Some(network) = &spec.network {
            self.note(Created::Network(network.clone()));
        }
        let mounts = spec.body["HostConfig"]["Mounts"].as_array().into_iter().flatten();
        let volumes = mounts.filter(|mount| mount["Type"] == "volume");
        for name in volumes.filter_map(|volume| volume["Source"].as_str()) {
            self.note(Created::Volume(name.to_owned()));
        }
    }

    /// Whether the daemon still answers after a request that passed its deadline.
    fn answers_ping(&self) -> bool {
        let (endpoint, doing) = (self.endpoint(), "ping the daemon");
        !matches!(
            self.wait(doing, PING_TIMEOUT, docker::ask(&endpoint, doing, "/_ping")),
            Err(EngineError::Deadline { .. })
        )
    }

    /// The error of a daemon that does not answer any more.
    fn hangs(&self, waited: Duration) -> EngineError {
        EngineError::NotServing {
            endpoint: self.endpoint(),
            waited,
            listening: true,
            first_error: None,
            last_words: None,
            log_dropped: 0,
        }
    }
}

/// Whether the run ended early. A daemon that did not finish it would not finish the removal of the container either, so
/// that is left to the teardown.
fn is_interrupted(run: &ContainerRun) -> bool {
    matches!(
        run.end,
        Err(EngineError::Interrupted(_)
            | EngineError::Died(_)
            | EngineError::OomKilled { .. }
            | EngineError::ShortOfMemory { .. }
            | EngineError::Deadline { .. }
            | EngineError::NotServing { .. })
    )
}
