use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;

const FIRST: &str = "failed to start daemon: Devices cgroup isn't mounted\n";
const CAUSE: CauseId = causes::CGROUP_V1_DEVICES_NOT_MOUNTED;

fn judge(file: &tempfile::NamedTempFile) -> Judgement {
    Log::open(file.path().to_owned()).unwrap().judge()
}

fn cause(judgement: &Judgement) -> Option<CauseId> {
    judgement.first_error.as_ref().map(|(cause, _)| *cause)
}

#[test]
fn the_first_error_is_that_of_the_last_start() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{FIRST}time=\"x\" level=info msg=\"Starting up\"").unwrap();
    assert_eq!(cause(&judge(&file)), None);
    write!(file, "{FIRST}").unwrap();
    assert_eq!(cause(&judge(&file)), Some(CAUSE));
}

#[test]
fn a_log_that_goes_on_after_the_death_is_judged_all_the_same() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let log = Log::open(file.path().to_owned()).unwrap();
    write!(file, "{FIRST}").unwrap();
    let append = OpenOptions::new().append(true).open(file.path()).unwrap();
    let mut flood = Command::new("yes")
        .arg("level=error msg=\"x y\"")
        .stdout(append)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while file.as_file().metadata().unwrap().len() < LOG_END && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The flood never ends: a reader of everything would not either.
    let judgement = log.judge();
    flood.kill().unwrap();
    flood.wait().unwrap();
    assert_eq!(cause(&judgement), Some(CAUSE));
    assert!(judgement.unread > 0);
}

#[test]
fn a_log_that_is_truncated_meanwhile_is_read_on() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", "line\n".repeat(1000)).unwrap();
    let mut reader = Reader::open(file.path()).unwrap();
    assert!(reader.look(CATCH_UP));
    std::fs::write(file.path(), FIRST).unwrap();
    assert!(reader.look(CATCH_UP));
    assert_eq!(first_error(&reader.diagnoser.finish()).and_then(|error| error.cause), Some(CAUSE));
}

#[test]
fn what_is_no_plain_file_is_not_opened_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(Log::open(fifo).is_none());
    assert!(Log::open("/dev/null".into()).is_none());
}
