//! Pulled images, with a daemon of canned answers on a socket of its own.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use super::*;
use crate::host::live::Live;
use crate::interrupt::Interrupt;

/// The answers by the start of the request; and the requests that came.
pub(crate) struct Daemon {
    pub(crate) endpoint: Endpoint,
    asked: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Daemon {
    /// A daemon with these answers: the start of `METHOD PATH`, a status, a body.
    pub(crate) fn new(answers: &[(&str, u16, Value)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers
            .iter()
            .map(|(start, status, body)| ((*start).to_owned(), *status, body_of(body)))
            .collect();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let Some(request) = lines.next() else { continue };
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                let request = request.replace("/v1.45", "");
                let answer = answers.iter().find(|(start, ..)| request.starts_with(start.as_str()));
                let (status, body) =
                    answer.map_or((404, "{}".to_owned()), |(_, status, body)| (*status, body.clone()));
                log.lock().unwrap().push(request);
                let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        Self { endpoint: Endpoint::Unix(path), asked, _dir: dir }
    }

    /// The requests that begin like this.
    pub(crate) fn asked(&self, start: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|request| request.starts_with(start)).cloned().collect()
    }
}

/// A text as it is, anything else as JSON.
fn body_of(body: &Value) -> String {
    body.as_str().map_or_else(|| body.to_string(), ToOwned::to_owned)
}

pub(crate) fn info() -> (&'static str, u16, Value) {
    ("GET /info", 200, json!({"SystemTime": "2026-01-01T00:00:00.000000001Z"}))
}

/// No images.
pub(crate) fn all() -> (&'static str, u16, Value) {
    ("GET /images/json", 200, json!([]))
}

fn image(id: &str, tags: &[&str], digests: &[&str]) -> (&'static str, u16, Value) {
    ("GET /images/busybox/json", 200, json!({"Id": id, "RepoTags": tags, "RepoDigests": digests}))
}

fn pull_event() -> Value {
    json!({"Type": "image", "Action": "pull", "Actor": {"ID": "busybox:latest", "Attributes": {"name": "busybox"}}})
}

fn events(all: &[Value]) -> (&'static str, u16, Value) {
    ("GET /events", 200, all.iter().map(|event| format!("{event}\n")).collect::<String>().into())
}

/// The fate of `busybox`, pulled as `id`, in a daemon with these answers, whose images were these before.
fn fate(
    before: &[&str],
    id: Option<&str>,
    answers: &[(&str, u16, Value)],
) -> (EngineResult<Fate>, Vec<String>) {
    let mut all = vec![info()];
    all.extend_from_slice(answers);
    let daemon = Daemon::new(&all);
    let images = Images { endpoint: &daemon.endpoint, version: "1.45" };
    let pulled = Pulled {
        reference: Reference::parse("busybox").unwrap(),
        before: before.iter().map(ToString::to_string).collect(),
        since: "1".into(),
        id: id.map(ToOwned::to_owned),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime.block_on(pulled.remove(&images)), daemon.asked("DELETE"))
}

const NO_CONTAINERS: (&str, u16, Value) = ("GET /containers/json", 200, Value::Array(Vec::new()));
const REMOVES: (&str, u16, Value) =
    ("DELETE /images/busybox:latest?noprune=1 ", 200, Value::Array(Vec::new()));

#[test]
fn image_of_this_run_alone_is_removed_without_force() {
    let ours = image("sha256:1", &["busybox:latest"], &["busybox@sha256:9"]);
    let other = json!({"Action": "pull", "Actor": {"ID": "busybox:1", "Attributes": {"name": "busybox"}}});
    let (end, removed) = fate(
        &["sha256:0"],
        Some("sha256:1"),
        &[ours, events(&[other, pull_event()]), NO_CONTAINERS, REMOVES],
    );
    assert_eq!(end.unwrap(), Fate::Removed);
    assert_eq!(removed, ["DELETE /images/busybox:latest?noprune=1 HTTP/1.1"]);
}

#[test]
fn image_that_others_have_is_left_alone() {
    let ours = || image("sha256:1", &["busybox:latest"], &[]);
    let one = || events(&[pull_event()]);
    let loaded =
        json!({"Action": "load", "Actor": {"ID": "sha256:1", "Attributes": {"name": "busybox:latest"}}});
    let all_tags = json!({"Action": "load", "Actor": {"ID": "busybox", "Attributes": {"name": "busybox"}}});
    for (why, before, id, answers) in [
        ("gone", &[][..], Some("sha256:1"), vec![]),
        ("the name has another image", &[], Some("sha256:2"), vec![ours(), one(), NO_CONTAINERS, REMOVES]),
        (
            "pulled twice",
            &[],
            Some("sha256:1"),
            vec![ours(), events(&[pull_event(), pull_event()]), NO_CONTAINERS, REMOVES],
        ),
        (
            "every tag pulled",
            &[],
            Some("sha256:1"),
            vec![ours(), events(&[all_tags]), NO_CONTAINERS, REMOVES],
        ),
        (
            "loaded",
            &[],
            Some("sha256:1"),
            vec![ours(), events(&[pull_event(), loaded]), NO_CONTAINERS, REMOVES],
        ),
    ] {
        let (end, removed) = fate(before, id, &answers);
        assert_eq!(end.unwrap(), Fate::NotOurs, "{why}");
        assert!(removed.is_empty(), "{why}: {removed:?}");
    }
}

#[test]
fn image_in_use_stays_and_the_reason_is_named() {
    let ours = || image("sha256:1", &["busybox:latest"], &[]);
    let one = || events(&[pull_event()]);
    let tagged = image("sha256:1", &["busybox:latest", "mine:1"], &[]);
    let container =
        || ("GET /containers/json", 200, json!([{"Id": "c", "Names": ["/web"], "Image": "busybox"}]));
    let conflict = ("DELETE /images", 409, json!({"message": "conflict: image is being used"}));
    for (before, answers, reason, deletes) in [
        (&["sha256:1"][..], vec![ours(), one(), NO_CONTAINERS, REMOVES], "was here before", 0),
        (&[], vec![ours(), one(), container(), REMOVES], "web", 0),
        (&["sha256:1"], vec![tagged, one(), container(), REMOVES], "web", 0),
        (&[], vec![ours(), one(), NO_CONTAINERS, conflict], "is being used", 1),
    ] {
        let (end, removed) = fate(before, Some("sha256:1"), &answers);
        let end = end.unwrap();
        assert!(matches!(&end, Fate::InUse(why) if why.contains(reason)), "{reason}: {end:?}");
        assert_eq!(removed.len(), deletes, "{reason}");
    }
}

#[test]
fn image_of_a_pull_that_did_not_end_stays_and_is_named() {
    let ours = image("sha256:1", &["busybox:latest"], &[]);
    let (end, removed) = fate(&[], None, &[ours, events(&[pull_event()]), NO_CONTAINERS, REMOVES]);
    assert!(matches!(end, Ok(Fate::InUse(why)) if why.contains("did not end")));
    assert!(removed.is_empty(), "{removed:?}");
    assert_eq!(fate(&[], None, &[]).0.unwrap(), Fate::NotOurs, "nothing has come");
}

#[test]
fn of_an_image_with_other_names_only_the_pulled_name_goes() {
    let tagged = image("sha256:1", &["busybox:latest", "mine:1"], &[]);
    let digest = image("sha256:1", &["busybox:latest"], &["r:5000/x@sha256:9"]);
    let by_other_name =
        ("GET /containers/json", 200, json!([{"Id": "c", "Names": ["/web"], "Image": "mine:1"}]));
    for (before, image) in [(&["sha256:1"][..], tagged), (&[], digest)] {
        let answers = [image, events(&[pull_event()]), by_other_name.clone(), REMOVES];
        let (end, removed) = fate(before, Some("sha256:1"), &answers);
        assert_eq!(end.unwrap(), Fate::Removed);
        assert_eq!(removed, ["DELETE /images/busybox:latest?noprune=1 HTTP/1.1"]);
    }
}

#[test]
fn look_that_fails_removes_nothing() {
    let ours = || image("sha256:1", &["busybox:latest"], &[]);
    let refused = |start: &'static str| (start, 403, json!({"message": "no"}));
    for answers in [
        vec![refused("GET /images"), REMOVES],
        vec![ours(), refused("GET /events"), NO_CONTAINERS, REMOVES],
        vec![ours(), events(&[pull_event()]), refused("GET /containers"), REMOVES],
    ] {
        let (end, removed) = fate(&[], Some("sha256:1"), &answers);
        assert!(end.is_err() && removed.is_empty(), "{end:?} {removed:?}");
    }
}

/// The requests of a pull by the live engine of an image that is missing.
fn pull(reference: &str) -> Vec<String> {
    let version =
        ("GET /version", 200, json!({"Version": "28.5.2", "ApiVersion": "1.45", "MinAPIVersion": "1.24"}));
    let daemon =
        Daemon::new(&[version, info(), all(), ("POST /images/create", 200, json!({"status": "done"}))]);
    let attach = Some(daemon.endpoint.to_string());
    let options = crate::testing::options(&crate::options::PlanRequest { attach, ..Default::default() });
    let engine = crate::engine::live::LiveEngine::new(Live::default(), Interrupt::default()).unwrap();
    engine.point_at(options.attach.as_ref().unwrap());
    crate::engine::Engine::pull(&engine, reference, std::time::Duration::from_secs(5), &|_| {}).unwrap();
    daemon.asked("POST")
}

#[test]
fn pull_asks_for_one_image() {
    for (reference, query) in [
        ("busybox", "fromImage=busybox&tag=latest"),
        ("localhost:5000/x", "fromImage=localhost%3A5000%2Fx&tag=latest"),
        ("localhost:5000/x:1", "fromImage=localhost%3A5000%2Fx&tag=1"),
    ] {
        let asked = pull(reference);
        assert!(asked.len() == 1 && asked[0].contains(query), "{reference}: {asked:?}");
    }
}

#[test]
fn images_and_clock_are_read_before_the_pull() {
    let all = ("GET /images/json", 200, json!([{"Id": "sha256:1"}, {"Id": "sha256:2"}]));
    let daemon = Daemon::new(&[info(), all, image("sha256:3", &[], &[])]);
    let images = Images { endpoint: &daemon.endpoint, version: "1.45" };
    let reference = Reference::parse("busybox").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut pulled = runtime.block_on(Pulled::before(&images, &reference)).unwrap();
    assert_eq!(pulled.before.len(), 2);
    assert_eq!(pulled.since, "1767225600.000000001");
    runtime.block_on(pulled.finish(&images)).unwrap();
    assert_eq!(pulled.id.as_deref(), Some("sha256:3"));
}
