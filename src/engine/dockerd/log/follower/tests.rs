use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;
use crate::diagnosis::causes;
use crate::engine::dockerd::log::bounded::MAX;

/// A child that writes without end, killed when it goes out of scope.
struct Flood(Child);

impl Flood {
    fn start(log: &std::path::Path, line: &str) -> Self {
        let log = OpenOptions::new().append(true).open(log).unwrap();
        Self(Command::new("yes").arg(line).stdout(log).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a condition, however slow the machine is.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_flood_is_kept_below_a_size_and_its_first_error_is_found_meanwhile() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let follower = Follower::start(LogTail::open(file.path().to_owned()).unwrap()).unwrap();
    std::fs::write(file.path(), "failed to start daemon: Devices cgroup isn't mounted\n").unwrap();
    let flood = Flood::start(file.path(), "level=error msg=\"cannot do it\"");
    let mut largest = 0;
    until("nothing was dropped", || {
        largest = largest.max(file.as_file().metadata().unwrap().len());
        follower.tail().dropped() > 128 * MAX
    });
    let mut tail = follower.tail();
    tail.catch_up();
    let error = tail.first_error().unwrap();
    assert_eq!((error.line, error.cause), (1, Some(causes::CGROUP_V1_DEVICES_NOT_MOUNTED)));
    assert!(tail.last_words().is_some());
    drop(tail);
    // Over 1 GiB was written; how far above the limit it comes is for the scheduler to say.
    assert!(largest < 64 * MAX, "{largest} bytes");
    drop(flood);
    until("the end of the flood is not cut", || file.as_file().metadata().unwrap().len() <= MAX);
}

#[test]
fn a_judgement_in_a_flood_takes_no_longer_than_it_may() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut tail = LogTail::open(file.path().to_owned()).unwrap();
    let _flood = Flood::start(file.path(), "level=error msg=\"cannot do it\"");
    until("the flood began", || file.as_file().metadata().unwrap().len() > MAX);
    // It never ends, so that a reader of everything never does either.
    tail.finish();
    assert!(tail.first_error().is_some() && tail.dropped() > 0);
}

#[test]
fn the_thread_ends_with_its_follower() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let follower = Follower::start(LogTail::open(file.path().to_owned()).unwrap()).unwrap();
    let held = Arc::downgrade(&follower.0);
    drop(follower);
    until("the thread holds the log", || held.strong_count() == 0);
}
