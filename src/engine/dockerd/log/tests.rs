use std::fs::OpenOptions;
use std::io::Write;

use super::bounded::{HEAD, MAX};
use super::*;

const FIRST: &str = "failed to start daemon: Devices cgroup isn't mounted";

/// An empty log, and a writer that appends to it as dockerd does.
fn log() -> (tempfile::NamedTempFile, std::fs::File, LogTail) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = OpenOptions::new().append(true).open(file.path()).unwrap();
    let log = LogTail::open(file.path().to_owned()).unwrap();
    (file, writer, log)
}

fn cause(log: &mut LogTail) -> Option<crate::diagnosis::CauseId> {
    log.first_error().and_then(|error| error.cause)
}

#[test]
fn a_growing_log_is_followed_and_its_first_error_kept() {
    let (_file, mut writer, mut log) = log();
    write!(writer, "time=\"2026-01-01T00:00:00Z\" level=info msg=\"Starting up\"\nfailed to sta").unwrap();
    log.catch_up();
    assert_eq!(log.last_words().as_deref(), Some("Starting up"));
    write!(writer, "rt daemon: Devices cgroup isn't mounted\nlater").unwrap();
    log.finish();
    let error = log.first_error().unwrap();
    assert_eq!(error.text, FIRST);
    assert_eq!(error.cause, Some(causes::CGROUP_V1_DEVICES_NOT_MOUNTED));
    assert!(log.last_words().unwrap().ends_with("later"));
}

#[test]
fn the_log_of_an_earlier_daemon_is_not_this_ones() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{FIRST}\n")).unwrap();
    let mut log = LogTail::open(file.path().to_owned()).unwrap();
    log.finish();
    assert_eq!((log.first_error(), log.last_words()), (None, None));
}

#[test]
fn a_look_at_a_large_log_reads_a_part_and_a_judgement_its_head_and_its_end() {
    let (file, mut writer, mut log) = log();
    writeln!(writer, "{FIRST}").unwrap();
    // Each line reads like an error, so that reading takes long: 12 MiB of them take seconds.
    let flood = "level=error msg=\"cannot do it\"\n".repeat(1 << 16);
    for _ in 0..6 {
        writer.write_all(flood.as_bytes()).unwrap();
    }
    write!(writer, "the end").unwrap();
    assert!(!log.look(), "one look does not read it all");
    assert!(file.as_file().metadata().unwrap().len() <= MAX);
    log.finish();
    assert_eq!(cause(&mut log), Some(causes::CGROUP_V1_DEVICES_NOT_MOUNTED));
    assert_eq!(log.last_words().as_deref(), Some("the end"));
    assert!(log.dropped() > 0);
}

#[test]
fn an_error_that_stands_in_the_tail_of_a_cut_log_is_found() {
    let (_file, mut writer, mut log) = log();
    writer.write_all("nothing of interest\n".repeat(1 << 20).as_bytes()).unwrap();
    writeln!(writer, "{FIRST}").unwrap();
    log.finish();
    assert_eq!(cause(&mut log), Some(causes::CGROUP_V1_DEVICES_NOT_MOUNTED));
    assert!(log.dropped() > 0);
}

#[test]
fn last_words_are_those_of_the_last_part() {
    let (file, mut writer, _log) = log();
    writer.write_all(b"x\n".repeat(usize::try_from(HEAD).unwrap()).as_slice()).unwrap();
    write!(writer, "panic: the end").unwrap();
    assert_eq!(last_words_of(file.path().to_owned()).unwrap().as_deref(), Some("panic: the end"));
}
