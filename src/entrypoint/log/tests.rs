use std::fs::OpenOptions;
use std::io::Write;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::engine::dockerd::log::bounded::MAX;

/// An empty log, and a writer that appends to it as dockerd does.
fn log() -> (tempfile::NamedTempFile, File, DaemonLog) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = OpenOptions::new().append(true).open(file.path()).unwrap();
    let log = DaemonLog::open(file.path().to_owned()).unwrap();
    (file, writer, log)
}

/// Tends it until it is to be looked at only after a write.
fn settle(log: &mut DaemonLog) {
    for _ in 0..1000 {
        if log.tend().within == Duration::MAX {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it does not come to rest");
}

/// Whether the next look is due.
fn wakes(wake: &Wake<'_>, within: Duration) -> bool {
    let mut ready = [PollFd::new(wake.fd.unwrap(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::try_from(within).unwrap()).unwrap() > 0
}

#[test]
fn a_quiet_log_is_looked_at_only_after_a_write() {
    let (_file, mut writer, mut log) = log();
    settle(&mut log);
    let wake = log.tend();
    assert!(!wakes(&wake, Duration::from_millis(20)));
    writeln!(writer, "line").unwrap();
    assert!(wakes(&wake, Duration::from_secs(60)));
    assert_eq!(log.tend().within, GROWS);
    settle(&mut log);
    assert!(!wakes(&log.tend(), Duration::ZERO));
}

#[test]
fn a_log_that_cannot_be_watched_is_polled() {
    let (_file, _writer, mut log) = log();
    log.watch = None;
    assert_eq!(log.tend().within, POLL);
}

#[test]
fn a_log_that_nobody_copies_is_cut_when_it_is_too_large() {
    let (file, mut writer, mut log) = log();
    writer.write_all(b"line\n".repeat(2 << 20).as_slice()).unwrap();
    log.tend();
    assert!(file.as_file().metadata().unwrap().len() <= MAX);
}

#[test]
fn a_reader_that_is_stuck_stops_neither_the_copy_nor_the_cut_and_reads_on_later() {
    let (file, mut writer, mut log) = log();
    let (mut reader, pipe) = std::io::pipe().unwrap();
    log.copy_to(Outlet::of(pipe.as_fd()).unwrap());
    for piece in 0..40 {
        writer.write_all(format!("{piece:>31}\n").repeat(1 << 15).as_bytes()).unwrap();
        assert!(log.tend().within <= POLL);
        assert!(file.as_file().metadata().unwrap().len() <= MAX);
    }
    writeln!(writer, "the end").unwrap();
    drop(pipe);
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    settle(&mut log);
    drop(log);
    let text = read.join().unwrap();
    assert!(text.starts_with(&format!("{:>31}\n", 0)), "the head");
    assert!(text.contains(" bytes of this log were dropped here"), "the notice");
    assert!(text.ends_with("\nthe end\n"), "the tail");
}

#[test]
fn the_rest_is_copied_at_the_end_and_a_stuck_reader_does_not_delay_that_for_ever() {
    let (_file, mut writer, mut log) = log();
    let (mut reader, pipe) = std::io::pipe().unwrap();
    log.copy_to(Outlet::of(pipe.as_fd()).unwrap());
    writer.write_all(b"line\n".repeat(1000).as_slice()).unwrap();
    log.finish();
    reader.read_exact(&mut [0; 5000]).unwrap();
    writer.write_all(b"line\n".repeat(1 << 20).as_slice()).unwrap();
    log.finish();
    assert_eq!(log.tend().within, POLL);
}
