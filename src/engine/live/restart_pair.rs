//! How does the live door run containers beside each other? With one deadline for all of it, and nothing of it left.

use std::time::Duration;

use super::workload::SHORT;
use super::{LiveEngine, Made};
use crate::engine::containers::restart_pair::{self, Pair, Together};
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::{containers, docker};
use crate::options::RunOptions;

impl LiveEngine {
    /// Runs them, removes them, and looks for the volume that must outlive them.
    pub(super) fn run_pair(&self, options: &RunOptions, pair: &Pair, within: Duration) -> Together {
        let mut done = Together::default();
        let api = match self.api(SHORT) {
            Ok(api) => api,
            Err(error) => {
                done.first.end = Err(error);
                return done;
            }
        };
        let names: Vec<_> = [&pair.first]
            .into_iter()
            .chain(&pair.others)
            .map(|spec| containers::name(&options.run, spec.role))
            .collect();
        self.note(Made::Network(pair.network.clone()));
        for name in &names {
            self.note(Made::Container(name.clone()));
        }
        let door = containers::Door { docker: &api.client, endpoint: &self.endpoint(), host: &self.host };
        let ran = self.wait("run containers beside each other", within, async {
            restart_pair::run(&door, &options.run, pair, &mut done).await;
            Ok(())
        });
        match ran.and_then(|()| self.broken(&done)) {
            Err(error @ (EngineError::Interrupted(_) | EngineError::Died(_))) => done.first.end = Err(error),
            ended => {
                if let Err(error) = ended {
                    done.first.end = Err(error);
                }
                let objects: Vec<_> =
                    names.into_iter().map(|name| Made::Container(name).object(&options.run)).collect();
                let _ = self.remove_all(&objects);
                done.volume = Some(self.has_volume(&pair.volume));
            }
        }
        done
    }

    /// A connection that broke because the daemon died.
    fn broken(&self, done: &Together) -> EngineResult<()> {
        let mut ends = [&done.first].into_iter().chain(&done.others).filter_map(|run| run.end.as_ref().err());
        let broke = |error: &&EngineError| {
            matches!(error, EngineError::Unreachable { .. } | EngineError::Junk { .. })
        };
        let error = ends.find(broke).cloned();
        error.map_or(Ok(()), |error| {
            self.wait("run containers beside each other", SHORT, async { Err(error) })
        })
    }

    /// Whether a volume is there.
    fn has_volume(&self, name: &str) -> EngineResult<bool> {
        let path = format!("/v{}/volumes/{name}", self.api(SHORT)?.version);
        let (endpoint, doing) = (self.endpoint(), "look for the volume");
        match self.wait(doing, SHORT, docker::ask_json(&endpoint, doing, &path)) {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
