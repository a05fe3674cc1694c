//! Does Docker-in-Docker work in an image? Asked from the outer daemon's side, and through its API alone: the daemon may
//! be on another machine.
//!
//! The image is started as it is shipped; this binary is copied into the container and run there beside whatever the
//! image started. A daemon that does not come is looked for in the environment, in a second container if the first one
//! has ended, and in the words of the container's log.

use std::time::Instant;

use bollard::Docker;
use serde::Serialize;
use serde_json::Value;

use crate::diagnosis::{Diagnosis, causes, diagnose, log::read};
use crate::engine::{EngineError, EngineResult, docker};
use crate::exit;
use crate::exit::Verdict;
use crate::facts::endpoint::Endpoint;
use crate::interrupt::Interrupt;

use door::SHORT;
use request::Request;

mod door;
pub mod page;
pub mod request;

/// How long nobody in an image may be there who starts a daemon.
const GRACE: &str = "5s";
/// Where the image's daemon is expected.
const SOCKET: &str = "--attach=unix:///var/run/docker.sock";
/// The check inside: for this program, and for people.
const VERIFY: [&str; 5] = ["verify", "--format", "json", "--output", "human=/dev/stderr"];

/// What came of an image.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// The image.
    pub image: String,
    /// In one word.
    pub verdict: Verdict,
    /// Step, cause, what and remedy; null where all is well.
    pub first_failure: Option<Value>,
    /// The first error of the container's log, where it has one.
    pub log: Option<Diagnosis>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// The report from inside.
    pub report: Option<Value>,
    /// The same for people.
    #[serde(skip)]
    pub text: String,
    /// From its begin to its end.
    pub duration_ms: u64,
}

/// The outer daemon.
pub struct Outer<'o> {
    docker: Docker,
    endpoint: Endpoint,
    run: String,
    interrupt: &'o Interrupt,
}

impl<'o> Outer<'o> {
    /// Agrees with the daemon on a version.
    pub async fn reach(endpoint: Endpoint, run: String, interrupt: &'o Interrupt) -> EngineResult<Self> {
        let doing = "ask for the outer daemon's version";
        let json = docker::ask_json(&endpoint, doing, "/version").await?;
        let version = docker::versions(&json).used.ok_or_else(|| EngineError::Junk {
            doing: doing.to_owned(),
            reason: "there is no API version in common".to_owned(),
        })?;
        Ok(Self { docker: docker::client(&endpoint, &version)?, endpoint, run, interrupt })
    }

    /// Tries an image, and removes the container.
    pub async fn attempt(&self, image: &str, request: &Request) -> Tried {
        let began = Instant::now();
        let mut tried = Tried::new(image);
        if let Err(error) = self.look(image, request, &mut tried).await {
            tried.notes.push(error.to_string());
        }
        tried.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tried
    }

    async fn look(&self, image: &str, request: &Request, tried: &mut Tried) -> EngineResult<()> {
        self.within("get the image", request.timeout, self.provide(image, request)).await?;
        let id = self.create(image, request, tried).await?;
        let looked = self.within("check the image", request.timeout, self.inside(&id, request, tried)).await;
        if !matches!(looked, Ok(true))
            && !request.replace_entrypoint
            && let Ok(text) = self.within("read the container's log", SHORT, self.log(&id)).await
        {
            tried.take_log(&text);
        }
        let removed = self.remove(&id).await;
        if matches!(looked, Ok(false)) && tried.report.is_none() {
            self.environment(image, request, tried).await?;
        }
        tried.take_words_of_log();
        looked.map(drop).and(removed)
    }

    /// Starts the container, and checks in it; whether the check came to its end there.
    async fn inside(&self, id: &str, request: &Request, tried: &mut Tried) -> EngineResult<bool> {
        self.start(id).await?;
        if request.replace_entrypoint {
            return self.verify(id, &[], request, tried).await.map(|()| true);
        }
        let mut doing = "its daemon was waited for";
        let done = match self.wait(id, request).await {
            Ok(None) => {
                doing = "it was checked";
                self.verify(id, &[SOCKET], request, tried).await
            }
            Ok(Some(failure)) => {
                (tried.verdict, tried.first_failure) = (Verdict::Broken, Some(failure));
                return Ok(false);
            }
            Err(error) => Err(error),
        };
        let Err(error) = done else { return Ok(true) };
        // A container that ends meanwhile shows in as many ways as there are moments for it.
        let code = self.ended(id).await.ok_or(error)?;
        tried.verdict = Verdict::Broken;
        tried.first_failure = Some(serde_json::json!({
            "step": "daemon-start", "cause": causes::DAEMON_EXITED,
            "what": format!("the container ended with exit code {code} while {doing}"), "remedy": null,
        }));
        Ok(false)
    }

    /// Waits for the daemon in the container; what is wrong where it does not come.
    async fn wait(&self, id: &str, request: &Request) -> EngineResult<Option<Value>> {
        let timeout = format!("{}s", request.timeout.as_secs().max(1));
        let words = ["wait", "--format", "json", SOCKET, "--grace", GRACE, "--timeout", &timeout];
        let waited = self.exec(id, &words.map(ToOwned::to_owned)).await?;
        if waited.code == 0 {
            return Ok(None);
        }
        let said: Value = serde_json::from_slice(&waited.stdout).map_err(|_| waited.junk())?;
        Ok(Some(serde_json::json!({
            "step": "daemon-start", "cause": said["cause"], "what": said["what"], "remedy": said["remedy"],
        })))
    }

    /// The environment phase in a container of its own: what the image's daemon had to live with.
    async fn environment(&self, image: &str, request: &Request, tried: &mut Tried) -> EngineResult<()> {
        let request = Request { replace_entrypoint: true, ..request.clone() };
        let id = self.create(image, &request, tried).await?;
        let check = ["--until", "daemon-state", "--repair", "none"];
        let mut seen = Tried::new(&tried.image);
        let looked = async {
            self.start(&id).await?;
            self.verify(&id, &check, &Request { check: Vec::new(), ..request.clone() }, &mut seen).await
        };
        let looked = self.within("check the environment", request.timeout, looked).await;
        let removed = self.remove(&id).await;
        if seen.first_failure.is_some() {
            tried.first_failure = seen.first_failure;
        }
        (tried.report, tried.text) = (seen.report, seen.text);
        looked.and(removed)
    }

    /// Runs the check, and takes its report over.
    async fn verify(
        &self,
        id: &str,
        words: &[&str],
        request: &Request,
        tried: &mut Tried,
    ) -> EngineResult<()> {
        let words = VERIFY.iter().chain(words).map(ToString::to_string);
        let words: Vec<_> = words.chain(request.check.iter().cloned()).collect();
        let said = self.exec(id, &words).await?;
        let report: Value = serde_json::from_slice(&said.stdout).map_err(|_| said.junk())?;
        tried.verdict = match report["exit_code"].as_u64() {
            Some(0) => Verdict::Sound,
            Some(1) => Verdict::Broken,
            _ => Verdict::Unknown,
        };
        tried.first_failure = Some(report["first_failure"].clone()).filter(|failure| !failure.is_null());
        // Before it stands how it went.
        let stderr = String::from_utf8_lossy(&said.stderr);
        tried.text = stderr.find("dindcheck: ").map_or(String::new(), |at| stderr[at..].to_owned());
        tried.report = Some(report);
        Ok(())
    }
}

impl Tried {
    /// The first error of the container's log; its last words where none of them is known to be one.
    fn take_log(&mut self, text: &[u8]) {
        self.log = diagnose(text).ok().filter(Diagnosis::is_failure);
        let last = text.rsplit(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        if let (None, Some(last)) = (&self.log, last) {
            let words = read(&String::from_utf8_lossy(last)).text;
            self.notes.push(format!("the container's last words: {}", words.trim()));
        }
    }

    /// A daemon that did not come is told by the first error of the log, and by its cause where that is known.
    fn take_words_of_log(&mut self) {
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

    /// One of an image of which nothing is known.
    fn new(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            verdict: Verdict::Unknown,
            first_failure: None,
            log: None,
            notes: Vec::new(),
            report: None,
            text: String::new(),
            duration_ms: 0,
        }
    }
}

/// The exit code of several: what is broken counts before what is not known.
pub fn exit_code(all: &[Tried]) -> u8 {
    let any = |verdict| all.iter().any(|tried| tried.verdict == verdict);
    match (any(Verdict::Broken), any(Verdict::Unknown)) {
        (true, _) => exit::BROKEN,
        (false, true) => exit::UNKNOWN,
        (false, false) => exit::SOUND,
    }
}
