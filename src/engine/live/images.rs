//! Brings images into the daemon: loads, builds, pulls and inspects them.

use std::time::Duration;

use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateImageOptionsBuilder, ImportImageOptionsBuilder,
};
use bollard::{body_full, body_try_stream};
use futures_util::{Stream, StreamExt, stream};

use super::{Created, LiveEngine, SHORT};
use crate::engine::Built;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::{self, of_bollard};
use crate::engine::image::pulled::{Images, Pulled};
use crate::engine::image::{Archive, build};
use crate::facts::reference::Reference;
use crate::host::HostError;
use crate::options::RunOptions;

/// The most bytes that are kept of a builder's output.
const MAX_BUILD_OUTPUT: usize = 16 << 10;
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
        self.created.borrow_mut().push(Created::Builtin(reference.clone()));
        let quiet = ImportImageOptionsBuilder::default().quiet(true).build();
        let progress = api.client.import_image(quiet, body_try_stream(stream::iter(archive)), None);
        let loaded = drain(progress, |error| of_bollard(&endpoint, doing, &error), |_| {});
        self.wait(doing, options.profile.image.timeout, loaded)?;
        Ok(reference)
    }

    /// Builds an image from the built-in one, by the classic builder, which every daemon has.
    pub(super) fn build_image(&self, options: &RunOptions, within: Duration) -> EngineResult<Built> {
        let doing = "build an image";
        let api = self.api(SHORT)?;
        let endpoint = self.endpoint();
        let reference = build::reference(&options.run);
        let context =
            build::context(&options.run).map_err(|error| HostError::io("pack", "Dockerfile", &error))?;
        self.note(Created::Builtin(reference.clone()));
        let options = BuildImageOptionsBuilder::default().t(&reference).rm(true).forcerm(true).build();
        let progress = api.client.build_image(options, None, Some(body_full(context.into())));
        let mut output = String::new();
        let built = drain(
            progress,
            |error| of_bollard(&endpoint, doing, &error),
            |info: bollard::models::BuildInfo| {
                if output.len() < MAX_BUILD_OUTPUT {
                    output.push_str(info.stream.as_deref().unwrap_or_default());
                }
            },
        );
        self.wait(doing, within, built)?;
        Ok(Built { reference, said: output })
    }

    /// Inspects an image; `None` where the daemon has none of this name.
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

    /// Pulls an image; one that has come meanwhile is left as it is.
    pub(super) fn pull_image(
        &self,
        reference: &str,
        within: Duration,
        show: &dyn Fn(&str),
    ) -> EngineResult<()> {
        let doing = format!("pull {reference}");
        let reference = Reference::parse(reference)
            .map_err(|error| EngineError::Junk { doing: doing.clone(), reason: error.to_string() })?;
        let api = self.api(SHORT)?;
        let endpoint = self.endpoint();
        let images = Images { endpoint: &endpoint, version: &api.version };
        let known = self.wait(&doing, SHORT, Pulled::before(&images, &reference))?;
        if self.wait(&doing, SHORT, images.inspect(&reference))?.is_some() {
            return Ok(());
        }
        self.note(Created::Pulled(Box::new(known.clone())));
        let options = CreateImageOptionsBuilder::default()
            .from_image(reference.name())
            .tag(reference.tag_or_digest())
            .build();
        let progress = api.client.create_image(Some(options), None, None);
        let mut last = std::time::Instant::now();
        let pulled = drain(
            progress,
            |error| of_bollard(&endpoint, &doing, &error),
            |info: bollard::models::CreateImageInfo| {
                if last.elapsed() > Duration::from_millis(500) {
                    last = std::time::Instant::now();
                    show(&progress_line(&info));
                }
            },
        );
        self.wait(&doing, within, pulled)?;
        self.note_pulled(&images, known)
    }

    /// Remembers which image the pull brought, which its removal compares.
    fn note_pulled(&self, images: &Images<'_>, known: Pulled) -> EngineResult<()> {
        let mut pulled = known.clone();
        self.wait("look for the pulled image", SHORT, pulled.finish(images))?;
        let mut all = self.created.borrow_mut();
        all.retain(|created| *created != Created::Pulled(Box::new(known.clone())));
        all.push(Created::Pulled(Box::new(pulled)));
        Ok(())
    }
}

/// Opens this program.
#[expect(clippy::disallowed_methods, reason = "the content of the built-in image")]
fn open_self() -> EngineResult<std::fs::File> {
    Ok(std::fs::File::open(SELF).map_err(|error| HostError::io("open", SELF, &error))?)
}

/// Reads a stream of progress messages to its end, or to the first error.
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

/// A progress message as a line.
fn progress_line(info: &bollard::models::CreateImageInfo) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let detail = info.progress_detail.as_ref();
    let mib = |bytes: Option<i64>| bytes.unwrap_or(0) / (1 << 20);
    let so_far = detail
        .filter(|detail| detail.total.unwrap_or(0) > 0)
        .map(|detail| format!(" {} of {} MiB", mib(detail.current), mib(detail.total)));
    format!("{} {}{}", part(&info.id), part(&info.status), so_far.unwrap_or_default()).trim().to_owned()
}
