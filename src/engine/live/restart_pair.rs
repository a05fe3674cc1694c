//! Runs containers beside each other, with one deadline for all of them, and removes them.

use std::time::Duration;

use super::{Created, LiveEngine, SHORT};
use crate::engine::containers::restart_pair::{self, PairRun, RestartPair};
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::{containers, docker};
use crate::options::RunOptions;

impl LiveEngine {
    /// Runs them, removes them, and checks that the volume outlives them.
    pub(super) fn run_and_remove_pair(
        &self,
        options: &RunOptions,
        pair: &RestartPair,
        within: Duration,
    ) -> PairRun {
        let mut done = PairRun::default();
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
        self.note(Created::Network(pair.network.clone()));
        for name in &names {
            self.note(Created::Container(name.clone()));
        }
        let endpoint = self.endpoint();
        let client = self.container_client(api, &endpoint);
        let ran = self.wait("run containers beside each other", within, async {
            restart_pair::run(&client, &options.run, pair, &mut done).await;
            Ok(())
        });
        match ran.and_then(|()| self.explain_broken_connection(&done)) {
            Err(
                error @ (EngineError::Interrupted(_)
                | EngineError::Died(_)
                | EngineError::OomKilled { .. }
                | EngineError::ShortOfMemory { .. }),
            ) => done.first.end = Err(error),
            ended => {
                if let Err(error) = ended {
                    done.first.end = Err(error);
                }
                let objects: Vec<_> =
                    names.into_iter().map(|name| Created::Container(name).object(&options.run)).collect();
                let _ = self.remove_all(&objects);
                done.volume = Some(self.has_volume(&pair.volume));
            }
        }
        done
    }

    /// Reports a connection that broke because the daemon died as that death.
    fn explain_broken_connection(&self, done: &PairRun) -> EngineResult<()> {
        let mut ends = [&done.first].into_iter().chain(&done.others).filter_map(|run| run.end.as_ref().err());
        let broke = |error: &&EngineError| {
            matches!(error, EngineError::Unreachable { .. } | EngineError::Junk { .. })
        };
        let error = ends.find(broke).cloned();
        error.map_or(Ok(()), |error| {
            self.wait("run containers beside each other", SHORT, async { Err(error) })
        })
    }

    /// Whether a volume exists.
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
