//! How does the live door bring images in and run containers?

use std::time::Duration;

use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptionsBuilder,
};
use bollard::{body_full, body_try_stream};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};

use super::{LiveEngine, Made};
use crate::engine::cleanup::objects::{self, Kind, Object};
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::{self, of_bollard};
use crate::engine::image::Archive;

use crate::engine::image::build;
use crate::engine::{Built, ContainerRun, ContainerSpec, containers};
use crate::host::HostError;
use crate::options::RunOptions;

/// For a small question or the removal of one thing.
pub(super) const SHORT: Duration = Duration::from_secs(20);
/// For a sign of life of a daemon that has answered before.
const AWAKE: Duration = Duration::from_secs(2);
/// Bytes of what a builder says that are kept.
const MOST_SAID: usize = 16 << 10;
/// The program that the built-in image is made of.
const SELF: &str = "/proc/self/exe";

impl LiveEngine {
    /// Loads the built-in image.
    pub(super) fn load(&self, options: &RunOptions) -> EngineResult<String> {
        let doing = "load the built-in image";
        let api = self.api(SHORT)?;
        let endpoint = self.endpoint();
        let program = open_self()?;
        let archive =
            Archive::new(&options.run, program).map_err(|error| HostError::io("read", SELF, &error))?;
        let reference = Archive::reference(&options.run);
        self.made.borrow_mut().push(Made::Builtin(reference.clone()));
        let quiet = ImportImageOptionsBuilder::default().quiet(true).build();
        let progress = api.client.import_image(quiet, body_try_stream(stream::iter(archive)), None);
        let loaded = drain(progress, |error| of_bollard(&endpoint, doing, &error), |_| {});
        self.wait(doing, options.profile.image.timeout, loaded)?;
        Ok(reference)
    }

    /// Builds an image on top of the built-in one, by the builder that is in every daemon.
    pub(super) fn build_image(&self, options: &RunOptions, within: Duration) -> EngineResult<Built> {
        let doing = "build an image";
        let api = self.api(SHORT)?;
        let endpoint = self.endpoint();
        let reference = build::reference(&options.run);
        let context =
            build::context(&options.run).map_err(|error| HostError::io("pack", "Dockerfile", &error))?;
        self.note(Made::Builtin(reference.clone()));
        let options = BuildImageOptionsBuilder::default().t(&reference).rm(true).forcerm(true).build();
        let progress = api.client.build_image(options, None, Some(body_full(context.into())));
        let mut said = String::new();
        let built = drain(
            progress,
            |error| of_bollard(&endpoint, doing, &error),
            |info: bollard::models::BuildInfo| {
                if said.len() < MOST_SAID {
                    said.push_str(info.stream.as_deref().unwrap_or_default());
                }
            },
        );
        self.wait(doing, within, built)?;
        Ok(Built { reference, said })
    }

    /// Looks an image up by its name.
    pub(super) fn inspect_image(
        &self,
        reference: &str,
        within: Duration,
    ) -> EngineResult<Option<serde_json::Value>> {
        let path = format!("/v{}/images/{reference}/json", self.api(within)?.version);
        let (endpoint, doing) = (self.endpoint(), format!("look for the image {reference}"));
        match self.wait(&doing, within, docker::ask_json(&endpoint, &doing, &path)) {
            Ok(json) => Ok(Some(json)),
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image.
    pub(super) fn pull_image(
        &self,
        reference: &str,
        within: Duration,
        say: &dyn Fn(&str),
    ) -> EngineResult<()> {
        let doing = format!("pull {reference}");
        let api = self.api(SHORT)?;
        let endpoint = self.endpoint();
        self.made.borrow_mut().push(Made::Pulled(reference.to_owned()));
        let (name, tag) = split_tag(reference);
        let options = CreateImageOptionsBuilder::default().from_image(name).tag(tag).build();
        let progress = api.client.create_image(Some(options), None, None);
        let mut last = std::time::Instant::now();
        let pulled = drain(
            progress,
            |error| of_bollard(&endpoint, &doing, &error),
            |info: bollard::models::CreateImageInfo| {
                if last.elapsed() > Duration::from_millis(500) {
                    last = std::time::Instant::now();
                    say(&words(&info));
                }
            },
        );
        self.wait(&doing, within, pulled)
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
        let name = containers::name(&options.run, spec.role);
        self.note(Made::Container(name.clone()));
        if let Some(other) = &spec.refused {
            self.note(Made::Container(containers::name(&options.run, other.role)));
        }
        if let Some(network) = &spec.network {
            self.note(Made::Network(network.clone()));
        }
        let mounts = spec.body["HostConfig"]["Mounts"].as_array().into_iter().flatten();
        for volume in mounts.filter(|mount| mount["Type"] == "volume") {
            if let Some(name) = volume["Source"].as_str() {
                self.note(Made::Volume(name.to_owned()));
            }
        }
        let door = containers::Door { docker: &api.client, endpoint: &self.endpoint(), host: &self.host };
        run.end =
            self.wait("run the container", within, containers::run(&door, &options.run, spec, &mut run));
        if let Err(EngineError::Deadline { waited, .. }) = run.end
            && !self.is_awake()
        {
            let endpoint = self.endpoint();
            run.end = Err(EngineError::NotServing {
                endpoint,
                waited,
                listening: true,
                first_error: None,
                last_words: None,
            });
        }
        if let (Some(other), Some(_)) = (&spec.refused, &run.refused) {
            let gone = containers::name(&options.run, other.role);
            self.made.borrow_mut().retain(|made| made.name() != gone);
        }
        // A daemon that did not come to an end with it would be waited for in vain: the teardown tries once more.
        let interrupted = matches!(
            run.end,
            Err(EngineError::Interrupted(_)
                | EngineError::Died(_)
                | EngineError::Deadline { .. }
                | EngineError::NotServing { .. })
        );
        let kept = spec.keep && matches!(run.end, Ok(0));
        if run.id.is_some() && !interrupted && !kept {
            let _ = self.remove_all(&[Made::Container(name).object(&options.run)]);
        }
        run
    }

    /// Whether the daemon still answers: what it was asked took too long.
    fn is_awake(&self) -> bool {
        let (endpoint, doing) = (self.endpoint(), "ask the daemon for a sign of life");
        !matches!(
            self.wait(doing, AWAKE, docker::ask(&endpoint, doing, "/_ping")),
            Err(EngineError::Deadline { .. })
        )
    }

    /// Writes down what is about to be made.
    pub(super) fn note(&self, made: Made) {
        let mut all = self.made.borrow_mut();
        if !all.contains(&made) {
            all.push(made);
        }
    }

    /// Removes things of ours, all at once.
    pub(super) fn remove_all(&self, objects: &[Object]) -> Vec<EngineResult<()>> {
        let endpoint = self.endpoint();
        let names: Vec<_> = objects.iter().map(ToString::to_string).collect();
        let doing = format!("remove the {}", names.join(", the "));
        let removed = self.api(SHORT).and_then(|api| {
            let all = objects.iter().map(|object| objects::remove(&endpoint, &api.version, object));
            self.wait(&doing, SHORT, async { Ok(join_all(all).await) })
        });
        let ends = removed.unwrap_or_else(|error| objects.iter().map(|_| Err(error.clone())).collect());
        for (object, _) in objects.iter().zip(&ends).filter(|(_, end)| end.is_ok()) {
            self.made.borrow_mut().retain(|made| made.name() != object.name);
        }
        ends
    }
}

impl Made {
    /// Its name in the daemon.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Container(name)
            | Self::Network(name)
            | Self::Volume(name)
            | Self::Builtin(name)
            | Self::Pulled(name) => name,
        }
    }

    /// As the daemon addresses it.
    pub(super) fn object(&self, run: &str) -> Object {
        let kind = match self {
            Self::Container(_) => Kind::Container,
            Self::Network(_) => Kind::Network,
            Self::Volume(_) => Kind::Volume,
            Self::Builtin(_) | Self::Pulled(_) => Kind::Image,
        };
        Object { kind, id: self.name().to_owned(), name: self.name().to_owned(), run: run.to_owned() }
    }
}

/// The program that runs.
#[allow(clippy::disallowed_methods, reason = "the content of the built-in image")]
fn open_self() -> EngineResult<std::fs::File> {
    Ok(std::fs::File::open(SELF).map_err(|error| HostError::io("open", SELF, &error))?)
}

/// Reads a stream of progress to its end; an error in it ends it.
async fn drain<T>(
    progress: impl Stream<Item = Result<T, bollard::errors::Error>>,
    refused: impl Fn(bollard::errors::Error) -> EngineError,
    mut seen: impl FnMut(T),
) -> EngineResult<()> {
    let mut progress = std::pin::pin!(progress);
    while let Some(piece) = progress.next().await {
        seen(piece.map_err(&refused)?);
    }
    Ok(())
}

/// A reference as the pull wants it: without a tag every tag would be pulled.
fn split_tag(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        _ if reference.contains('@') => (reference, ""),
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// A line of progress.
fn words(info: &bollard::models::CreateImageInfo) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let detail = info.progress_detail.as_ref();
    let mib = |bytes: Option<i64>| bytes.unwrap_or(0) / (1 << 20);
    let so_far = detail
        .filter(|detail| detail.total.unwrap_or(0) > 0)
        .map(|detail| format!(" {} of {} MiB", mib(detail.current), mib(detail.total)));
    format!("{} {}{}", part(&info.id), part(&info.status), so_far.unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_for_the_pull() {
        assert_eq!(split_tag("centos:7"), ("centos", "7"));
        assert_eq!(split_tag("localhost:5000/x/y"), ("localhost:5000/x/y", "latest"));
        assert_eq!(split_tag("localhost:5000/x:1"), ("localhost:5000/x", "1"));
        assert_eq!(split_tag("x@sha256:ab"), ("x@sha256:ab", ""));
    }
}
