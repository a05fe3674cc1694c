//! The requests to the outer daemon: create, copy dindcheck into the container, exec, log, remove.
#![expect(clippy::disallowed_methods, reason = "this program itself, to be copied")]

use std::io::Read;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::request::{self, ImageRequest, PROGRAM};
use super::{ImageResult, OuterDaemon};
use crate::engine::docker::of_bollard;
use crate::engine::dockerd::wait::Watch;
use crate::engine::{EngineError, EngineResult};
use crate::facts::reference::Reference;

/// The deadline of a small request.
pub(super) const SHORT: Duration = Duration::from_secs(30);
/// The deadline of the removal of a container and its processes.
pub(super) const REMOVE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the daemon may take to report the end of a container in which nothing can be run any more.
const EXIT_GRACE: Duration = Duration::from_secs(2);
/// The most bytes that are kept of a stream.
const MAX_OUTPUT: usize = 8 << 20;

/// The output and exit code of a program in the container.
pub(super) struct ExecOutput {
    pub(super) code: i64,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl ExecOutput {
    /// The error for an output that is not dindcheck's: it could not be run, or was killed.
    pub(super) fn invalid(&self) -> EngineError {
        let output = [&self.stderr[..], &self.stdout[..]].concat();
        let reason = format!("exit code {}: {}", self.code, String::from_utf8_lossy(&output).trim());
        EngineError::Junk { doing: "check inside the container".to_owned(), reason }
    }
}

impl OuterDaemon<'_> {
    /// Creates the container; where `--privileged` is refused, with all capabilities instead.
    pub(super) async fn create(
        &self,
        image: &Reference,
        request: &ImageRequest,
        result: &mut ImageResult,
    ) -> EngineResult<String> {
        match self.create_with(image, request, true).await {
            Err(EngineError::Refused { status: 403, message, .. }) => {
                result.notes.push(format!(
                    "the outer daemon refuses --privileged ({message}): all capabilities are added instead"
                ));
                self.create_with(image, request, false).await
            }
            done => done,
        }
    }

    async fn create_with(
        &self,
        image: &Reference,
        request: &ImageRequest,
        privileged: bool,
    ) -> EngineResult<String> {
        let body = serde_json::from_value(request.body(&image.to_string(), &self.run, privileged));
        let doing = "create the container";
        let body: bollard::models::ContainerCreateBody =
            body.map_err(|error| EngineError::Junk { doing: doing.to_owned(), reason: error.to_string() })?;
        let platform = request.platform.clone().unwrap_or_default();
        let options = CreateContainerOptionsBuilder::default().platform(&platform).build();
        let made = Box::pin(self.within(doing, SHORT, async {
            self.docker.create_container(Some(options), body).await.map_err(self.failed(doing))
        }));
        let id = made.await?.id;
        match self.within("copy dindcheck into the container", SHORT, self.upload(&id)).await {
            Ok(()) => Ok(id),
            Err(error) => self.remove(&id).await.and(Err(error)),
        }
    }

    /// Copies this program into the container, chunk by chunk.
    async fn upload(&self, id: &str) -> EngineResult<()> {
        let doing = "copy dindcheck into the container";
        let own = |error: std::io::Error| crate::host::HostError::io("read", "/proc/self/exe", &error);
        let mut program = std::fs::File::open("/proc/self/exe").map_err(own)?;
        let size = program.metadata().map_err(own)?.len();
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; 256 << 10];
            match program.read(&mut piece) {
                Ok(length @ 1..) => Some(Bytes::copy_from_slice(&piece[..length])),
                _ => None,
            }
        });
        let archive =
            std::iter::once(request::head(size).into()).chain(pieces).chain([request::tail(size).into()]);
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_stream(stream::iter(archive));
        self.docker.upload_to_container(id, Some(options), body).await.map_err(self.failed(doing))
    }

    pub(super) async fn start(&self, id: &str) -> EngineResult<()> {
        self.docker.start_container(id, None).await.map_err(self.failed("start the container"))
    }

    /// Runs dindcheck in the container, with these arguments.
    pub(super) async fn exec(&self, id: &str, args: &[String]) -> EngineResult<ExecOutput> {
        let doing = "run dindcheck in the container";
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            user: Some("0".to_owned()),
            privileged: Some(true),
            cmd: Some(std::iter::once(PROGRAM.to_owned()).chain(args.iter().cloned()).collect()),
            ..CreateExecOptions::default()
        };
        let mut done = ExecOutput { code: -1, stdout: Vec::new(), stderr: Vec::new() };
        let made = self.docker.create_exec(id, options).await.map_err(self.failed(doing))?;
        if let StartExecResults::Attached { mut output, .. } =
            self.docker.start_exec(&made.id, None).await.map_err(self.failed(doing))?
        {
            while let Some(Ok(piece)) = output.next().await {
                match piece {
                    LogOutput::StdErr { message } => keep(&mut done.stderr, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        keep(&mut done.stdout, &message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
        }
        let ended = self.docker.inspect_exec(&made.id).await.map_err(self.failed(doing))?;
        done.code = ended.exit_code.unwrap_or(-1);
        Ok(done)
    }

    /// The exit code of a container that has ended or is about to; `None` where it runs.
    pub(super) async fn exit_code(&self, id: &str) -> Option<i64> {
        use bollard::errors::Error::DockerContainerWaitError;
        let mut waiting = std::pin::pin!(self.docker.wait_container(id, None::<WaitContainerOptions>));
        match tokio::time::timeout(EXIT_GRACE, waiting.next()).await.ok()?? {
            Ok(end) => Some(end.status_code),
            Err(DockerContainerWaitError { code, .. }) => Some(code),
            Err(_) => None,
        }
    }

    /// The container's log, standard output and standard error.
    pub(super) async fn log(&self, id: &str) -> EngineResult<Vec<u8>> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let (mut lines, mut text) = (self.docker.logs(id, Some(options)), Vec::new());
        while let Some(piece) = lines.next().await {
            keep(&mut text, &piece.map_err(self.failed("read the container's log"))?.into_bytes());
        }
        Ok(text)
    }

    /// Removes the container by force; the user's signals do not interrupt it.
    pub(super) async fn remove(&self, id: &str) -> EngineResult<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let watch = Watch { interrupt: None, daemon: None };
        let removed = async {
            self.docker.remove_container(id, Some(options)).await.map_err(self.failed("remove the container"))
        };
        watch.until("remove the container", REMOVE_TIMEOUT, removed).await
    }

    /// Waits with a deadline, which the user's signals end early.
    pub(super) async fn within<T>(
        &self,
        doing: &str,
        limit: Duration,
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        Watch { interrupt: Some(self.interrupt), daemon: None }.until(doing, limit, work).await
    }

    /// Classifies an error of bollard.
    pub(super) fn failed<'f>(
        &'f self,
        doing: &'f str,
    ) -> impl Fn(bollard::errors::Error) -> EngineError + 'f {
        move |error| of_bollard(&self.endpoint, doing, &error)
    }
}

/// Keeps a piece of a stream, up to a limit.
fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    crate::text::append_up_to(kept, piece, MAX_OUTPUT);
}
