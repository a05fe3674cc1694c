//! Checks images as outer containers, through the API of the outer daemon alone, which may be on another machine.
//!
//! The image is started as it is shipped; this binary is copied into the container, and run there beside what the image
//! started. Where its daemon does not become ready, the reason is looked for in the environment, in a second container if
//! the first one has ended, and in the container's log.

use std::time::Instant;

use bollard::Docker;
use futures_util::future::OptionFuture;
use serde::Serialize;
use serde_json::Value;

use crate::diagnosis::log::read;
use crate::diagnosis::{Diagnosis, causes, diagnose};
use crate::engine::image::pulled::Pulled;
use crate::engine::{EngineError, EngineResult, docker};
use crate::exit::{self, Verdict};
use crate::facts::endpoint::Endpoint;
use crate::facts::reference::Reference;
use crate::interrupt::Interrupt;

use command::End;
use outer_daemon::SHORT;
use request::ImageRequest;

mod command;
mod images;
mod outer_daemon;
pub mod page;
pub mod request;

/// How many seconds an image may go without a process that starts a daemon.
const GRACE_SECONDS: u64 = 5;
/// The socket of the image's daemon.
const SOCKET: &str = "--attach=unix:///var/run/docker.sock";
/// The check inside, with a report for this program and one for people.
const VERIFY: [&str; 5] = ["verify", "--format", "json", "--output", "human=/dev/stderr"];

/// The result of an image.
#[derive(Debug, Serialize)]
pub struct ImageResult {
    /// The image.
    pub image: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Step, cause, what and remedy; null where nothing failed.
    pub first_failure: Option<Value>,
    /// The diagnosis of the container's log, where it has an error.
    pub log: Option<Diagnosis>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// The report from inside.
    pub report: Option<Value>,
    /// What that report is about: the image's daemon, or only the environment below it.
    pub report_about: Option<About>,
    /// The same for people.
    #[serde(skip)]
    pub text: String,
    /// The duration of its check, in milliseconds.
    pub duration_ms: u64,
}

/// What a report from inside is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// The daemon that the image started, or dindcheck instead of the image's entrypoint.
    Daemon,
    /// What a daemon of the image would find: the environment phase in a second container, without any daemon.
    Environment,
}

/// The outer daemon.
pub struct OuterDaemon<'o> {
    docker: Docker,
    endpoint: Endpoint,
    version: String,
    run: String,
    interrupt: &'o Interrupt,
}

impl<'o> OuterDaemon<'o> {
    /// Agrees with the daemon on an API version.
    ///
    /// # Errors
    ///
    /// As [`docker::ask_json`]; `Junk` where there is no API version in common.
    pub async fn connect(endpoint: Endpoint, run: String, interrupt: &'o Interrupt) -> EngineResult<Self> {
        let doing = "ask for the outer daemon's version";
        let json = docker::ask_json(&endpoint, doing, "/version").await?;
        let version = docker::versions(&json).used.ok_or_else(|| EngineError::Junk {
            doing: doing.to_owned(),
            reason: "there is no API version in common".to_owned(),
        })?;
        Ok(Self { docker: docker::client(&endpoint, &version)?, endpoint, version, run, interrupt })
    }

    /// Checks an image, and removes its containers, and the image where it was pulled for this.
    pub async fn check(&self, image: &str, request: &ImageRequest) -> ImageResult {
        let began = Instant::now();
        let mut result = ImageResult::new(image);
        match Reference::parse(image) {
            Ok(image) => {
                let mut pulled = None;
                let checked = self.provide_and_check(&image, request, &mut pulled, &mut result).await;
                let removed =
                    OptionFuture::from(pulled.as_ref().map(|pulled| self.remove_pulled(pulled))).await;
                for end in [checked, removed.unwrap_or(Ok(()))] {
                    result.notes.extend(end.err().map(|error| error.to_string()));
                }
            }
            Err(error) => result.notes.push(error.to_string()),
        }
        result.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    /// Does it; what is known when an error ends it is in `result` and `pulled`.
    async fn provide_and_check(
        &self,
        image: &Reference,
        request: &ImageRequest,
        pulled: &mut Option<Pulled>,
        result: &mut ImageResult,
    ) -> EngineResult<()> {
        let provided = self.provide_image(image, request, pulled);
        self.within("get the image", request.timeout, provided).await?;
        let id = self.create(image, request, result).await?;
        let checked =
            self.within("check the image", request.timeout, self.check_inside(&id, request, result)).await;
        let is_checked = matches!(checked, Ok(End::Checked));
        if !is_checked
            && !request.replace_entrypoint
            && let Ok(text) = self.within("read the container's log", SHORT, self.log(&id)).await
        {
            result.add_log(&text);
            let looked = self.within("look at the container", SHORT, self.command(&id)).await;
            if let (Ok(end), Ok(command)) = (&checked, looked) {
                result.explain(*end, &command, &text, request);
            }
        }
        let removed = self.remove(&id).await;
        if checked.is_ok() && !is_checked && result.report.is_none() {
            self.environment(image, request, result).await?;
        }
        result.apply_log();
        checked.map(drop).and(removed)
    }

    /// Starts the container, and checks in it; how that ended.
    async fn check_inside(
        &self,
        id: &str,
        request: &ImageRequest,
        result: &mut ImageResult,
    ) -> EngineResult<End> {
        self.start(id).await?;
        if request.replace_entrypoint {
            return self.verify(id, &[], request, result).await.map(|()| End::Checked);
        }
        let mut doing = "dindcheck waited for its daemon";
        let done = match self.wait(id, request).await {
            Ok(None) => {
                doing = "dindcheck checked it";
                self.verify(id, &[SOCKET], request, result).await
            }
            Ok(Some((end, failure))) => {
                (result.verdict, result.first_failure) = (Verdict::Broken, Some(failure));
                return Ok(end);
            }
            Err(error) => Err(error),
        };
        let Err(error) = done else { return Ok(End::Checked) };
        // The end of the container fails whatever is being done at that moment.
        let code = self.exit_code(id).await.ok_or(error)?;
        result.verdict = Verdict::Broken;
        result.first_failure = Some(serde_json::json!({
            "step": "daemon-start", "cause": causes::DAEMON_EXITED,
            "what": format!("the container ended with exit code {code} while {doing}"), "remedy": null,
        }));
        Ok(End::Ended(code))
    }

    /// Waits for the daemon in the container; the failure, where it does not become ready.
    async fn wait(&self, id: &str, request: &ImageRequest) -> EngineResult<Option<(End, Value)>> {
        let timeout = format!("{}s", request.timeout.as_secs().max(1));
        let grace = format!("{GRACE_SECONDS}s");
        let args = ["wait", "--format", "json", SOCKET, "--grace", &grace, "--timeout", &timeout];
        let waited = self.exec(id, &args.map(ToOwned::to_owned)).await?;
        if waited.code == 0 {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&waited.stdout).map_err(|_| waited.invalid())?;
        let end = if answer["starters"] == 0 { End::NoStarter } else { End::NotReady };
        let failure = serde_json::json!({
            "step": "daemon-start", "cause": answer["cause"], "what": answer["what"], "remedy": answer["remedy"],
        });
        Ok(Some((end, failure)))
    }

    /// Runs the environment phase in a second container: what the image's daemon may have failed at.
    async fn environment(
        &self,
        image: &Reference,
        request: &ImageRequest,
        result: &mut ImageResult,
    ) -> EngineResult<()> {
        let request = ImageRequest { replace_entrypoint: true, ..request.clone() };
        let id = self.create(image, &request, result).await?;
        let check = ["--until", "daemon-state", "--repair", "none"];
        let mut environment = ImageResult::new(&result.image);
        let checked = async {
            self.start(&id).await?;
            self.verify(&id, &check, &ImageRequest { check: Vec::new(), ..request.clone() }, &mut environment)
                .await
        };
        let checked = self.within("check the environment", request.timeout, checked).await;
        let removed = self.remove(&id).await;
        if environment.first_failure.is_some() {
            // The environment comes before the daemon; what the image's container came to is still said.
            let what = result.failure("what").to_owned();
            result.notes.extend(Some(what).filter(|what| !what.is_empty()));
            result.first_failure = environment.first_failure;
        }
        (result.report, result.text) = (environment.report, environment.text);
        result.report_about = result.report.is_some().then_some(About::Environment);
        checked.and(removed)
    }

    /// Runs the check, and takes over its report.
    async fn verify(
        &self,
        id: &str,
        args: &[&str],
        request: &ImageRequest,
        result: &mut ImageResult,
    ) -> EngineResult<()> {
        let args = VERIFY.iter().chain(args).map(ToString::to_string);
        let args: Vec<_> = args.chain(request.check.iter().cloned()).collect();
        let done = self.exec(id, &args).await?;
        let report: Value = serde_json::from_slice(&done.stdout).map_err(|_| done.invalid())?;
        result.verdict = match report["exit_code"].as_u64() {
            Some(0) => Verdict::Sound,
            Some(1) => Verdict::Broken,
            _ => Verdict::Unknown,
        };
        result.first_failure = Some(report["first_failure"].clone()).filter(|failure| !failure.is_null());
        // The report follows the progress.
        let stderr = String::from_utf8_lossy(&done.stderr);
        result.text = stderr.find("dindcheck: ").map_or(String::new(), |at| stderr[at..].to_owned());
        (result.report, result.report_about) = (Some(report), Some(About::Daemon));
        Ok(())
    }
}

impl ImageResult {
    /// Adds the diagnosis of the container's log; its last line as a note where it has no error.
    fn add_log(&mut self, text: &[u8]) {
        self.log = diagnose(text).ok().filter(Diagnosis::is_failure);
        let last = text.rsplit(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        if let (None, Some(last)) = (&self.log, last) {
            let message = read(&String::from_utf8_lossy(last)).text;
            self.notes.push(format!("the container's last words: {}", message.trim()));
        }
    }

    /// Explains a daemon that did not become ready by the first error of the log, and by its cause where that is known.
    fn apply_log(&mut self) {
        let Some(failure) = self.first_failure.as_mut().filter(|failure| failure["step"] == "daemon-start")
        else {
            return;
        };
        let Some(first) = self.log.as_ref().and_then(|log| Some((log, log.first_error.as_ref()?))) else {
            return;
        };
        let (log, line) = first;
        let what = failure["what"].as_str().unwrap_or_default();
        failure["what"] = format!("{what}: {}", read(&line.text).text).into();
        if log.cause.id != causes::UNKNOWN {
            failure["cause"] = log.cause.id.as_str().into();
            failure["remedy"] = log.cause.remedy.into();
        }
    }

    /// The result of an image before its check.
    fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            verdict: Verdict::Unknown,
            first_failure: None,
            log: None,
            notes: Vec::new(),
            report: None,
            report_about: None,
            text: String::new(),
            duration_ms: 0,
        }
    }
}

/// The exit code of several: broken before unknown.
pub fn exit_code(all: &[ImageResult]) -> u8 {
    let any = |verdict| all.iter().any(|result| result.verdict == verdict);
    match (any(Verdict::Broken), any(Verdict::Unknown)) {
        (true, _) => exit::BROKEN,
        (false, true) => exit::UNKNOWN,
        (false, false) => exit::SOUND,
    }
}
