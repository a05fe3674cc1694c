use std::io::Read;

use super::*;
use crate::host::fake::Fake;

fn wait(endpoint: Endpoint, elsewhere: bool) -> Readiness {
    let request = WaitRequest {
        endpoint,
        timeout: Duration::from_millis(120),
        grace: Duration::from_millis(40),
        elsewhere,
    };
    wait_for_daemon(&Fake::new().dir("/proc"), &Interrupt::default(), &request).unwrap()
}

/// Whether it can no longer become ready, and the cause.
fn failure(readiness: Readiness) -> (bool, &'static str) {
    match readiness {
        Readiness::Never(finding) => (true, finding.cause.unwrap().as_str()),
        Readiness::Late(finding) => (false, finding.cause.unwrap().as_str()),
        Readiness::Serving { .. } => panic!("nobody serves"),
    }
}

#[test]
fn a_daemon_that_nothing_starts_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sock");
    assert_eq!(failure(wait(Endpoint::Unix(path.clone()), false)), (true, "daemon-not-reachable"));
    assert_eq!(failure(wait(Endpoint::Unix(path.clone()), true)), (false, "daemon-start-timeout"));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(failure(wait(Endpoint::Unix(path.clone()), false)), (false, "daemon-hangs"));
    drop(listener);
    assert_eq!(failure(wait(Endpoint::Unix(path), false)), (true, "stale-socket"));
}

#[test]
fn remote_address_that_never_answers_is_named_with_its_last_reason() {
    let late = |address: String| match wait(Endpoint::Tcp(address), false) {
        Readiness::Late(finding) => {
            (finding.cause.unwrap().as_str(), finding.what, finding.hint.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (cause, what, hint) = late(address);
    assert_eq!(cause, "daemon-not-reachable");
    assert!(what.contains("ECONNREFUSED") && hint.contains("dockerd -H tcp://0.0.0.0:"), "{what} {hint}");
    // RFC 6761: no name below `invalid` has an address; whether a name server says so or is silent is the machine's matter.
    let (cause, what, hint) = late(
        "a-label-that-is-too-long-for-a-name-since-it-has-more-than-63-letters-in-it.invalid:2375".into(),
    );
    assert_eq!(cause, "docker-host-name-unresolved", "{what}");
    assert!(what.contains("cannot be resolved") && !hint.is_empty(), "{what} {hint}");
}

#[test]
fn the_grace_is_not_over_before_a_scan_finds_no_starter() {
    let (host, interrupt) = (Fake::new().dir("/proc"), Interrupt::default());
    let request = WaitRequest {
        endpoint: Endpoint::Unix("/none.sock".into()),
        timeout: Duration::from_secs(60),
        grace: Duration::from_millis(1),
        elsewhere: false,
    };
    let mut wait = Wait::new(&host, &interrupt, &request);
    (wait.last_scan, wait.scan_every) = (Some(wait.began), Duration::from_secs(60));
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(wait.end_without_answer(&Attempt::default()).unwrap(), None);
    wait.scan_every = Duration::ZERO;
    let end = wait.end_without_answer(&Attempt::default()).unwrap().unwrap();
    assert_eq!(failure(end), (true, "daemon-not-reachable"));
}

#[test]
fn processes_that_cannot_be_listed_do_not_read_as_no_starter() {
    let (host, interrupt) = (Fake::new(), Interrupt::default());
    let request = WaitRequest {
        endpoint: Endpoint::Unix("/none.sock".into()),
        timeout: Duration::from_millis(60),
        grace: Duration::from_millis(1),
        elsewhere: false,
    };
    let readiness = wait_for_daemon(&host, &interrupt, &request).unwrap();
    assert_eq!(failure(readiness), (false, "daemon-start-timeout"));
}

#[test]
fn an_answer_ends_the_wait_and_another_service_is_a_failure() {
    for (status, served) in [("200 OK", true), ("400 Bad Request", false)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            std::io::Write::write_all(&mut stream, format!("HTTP/1.0 {status}\r\n\r\nx").as_bytes()).unwrap();
        });
        let readiness = wait(Endpoint::Tcp(address), false);
        assert_eq!(matches!(readiness, Readiness::Serving { .. }), served, "{readiness:?}");
        server.join().unwrap();
    }
}
