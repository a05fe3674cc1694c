use std::io::Write;

use super::*;

/// A log, and a writer that appends to it as dockerd does.
fn log() -> (tempfile::NamedTempFile, File, BoundedLog) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = OpenOptions::new().append(true).open(file.path()).unwrap();
    let log = BoundedLog::open(file.path().to_owned()).unwrap();
    (file, writer, log)
}

/// Numbered lines, of 64 bytes each.
fn write_lines(writer: &mut File, numbers: std::ops::Range<u64>) {
    let lines: String = numbers.map(|number| format!("{number:>63}\n")).collect();
    writer.write_all(lines.as_bytes()).unwrap();
}

/// The numbers in its lines; 0 stands for the notice.
fn numbers(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.trim().parse().unwrap_or_default()).collect()
}

const LINES: u64 = MAX / 64;

#[test]
fn a_log_up_to_the_limit_is_left_alone() {
    let (file, mut writer, log) = log();
    write_lines(&mut writer, 1..LINES + 1);
    assert_eq!(log.trim().unwrap(), None);
    assert_eq!((log.size(), log.dropped()), (MAX, 0));
    assert_eq!(numbers(file.path()), (1..=LINES).collect::<Vec<_>>());
}

#[test]
fn head_and_tail_stay_and_the_notice_between_them_counts_what_was_dropped() {
    let (file, mut writer, log) = log();
    let mut written = 0;
    for _ in 0..5 {
        write_lines(&mut writer, written + 1..written + LINES + 2);
        written += LINES + 1;
        log.trim().unwrap().unwrap();
        assert!(log.size() <= HEAD + TAIL + NOTICE as u64);
        let seen = numbers(file.path());
        let notice = seen.iter().position(|number| *number == 0).unwrap();
        let (head, tail) = (&seen[..notice], &seen[notice + 1..]);
        assert_eq!(head, (1..=head.len() as u64).collect::<Vec<_>>(), "the head");
        assert_eq!(tail, (written + 1 - tail.len() as u64..=written).collect::<Vec<_>>(), "the tail");
        let dropped = written - (head.len() + tail.len()) as u64;
        assert_eq!(log.dropped(), dropped * 64);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(
            text.contains(&format!("\ndindcheck: {} bytes of this log were dropped here ", dropped * 64))
        );
    }
}

#[test]
fn what_is_appended_after_a_cut_follows_the_tail() {
    let (file, mut writer, log) = log();
    write_lines(&mut writer, 1..LINES + 2);
    log.trim().unwrap().unwrap();
    write_lines(&mut writer, LINES + 2..LINES + 3);
    let seen = numbers(file.path());
    assert_eq!(&seen[seen.len() - 2..], [LINES + 1, LINES + 2]);
}

#[test]
fn a_log_of_one_line_is_cut_too() {
    let (_file, mut writer, log) = log();
    for _ in 0..2 {
        writer.write_all(&vec![b'x'; usize::try_from(MAX).unwrap() + 1]).unwrap();
        log.trim().unwrap().unwrap();
        assert_eq!(log.size(), HEAD + TAIL + NOTICE as u64);
    }
    assert_eq!(log.dropped(), 2 * (MAX + 1) - HEAD - TAIL);
}

#[test]
fn a_reader_goes_on_at_the_same_byte_or_at_the_notice() {
    let cut = Cut { from: 100, to: 1000, now: 196, end: 200 };
    assert_eq!([0, 100, 101, 999, 1000, 1003].map(|at| cut.moved(at)), [0, 100, 100, 100, 196, 199]);
    assert_eq!(cut.moved(1007), 200, "what was lost at the end");
    assert_eq!([0, 100, 400, 1000, 1007].map(|at| cut.unread(at)), [900, 900, 600, 0, 0]);
}

#[test]
fn a_log_that_somebody_else_cuts_just_now_is_left_to_them() {
    let (file, mut writer, log) = log();
    write_lines(&mut writer, 1..LINES + 2);
    let other = File::open(file.path()).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    assert_eq!(log.trim().unwrap(), None);
    drop(other);
    assert!(log.trim().unwrap().is_some());
}

#[test]
fn a_notice_that_the_daemon_wrote_itself_harms_nothing() {
    let (file, mut writer, log) = log();
    let mut forged = vec![b'x'; usize::try_from(HEAD - LINE).unwrap()];
    forged.push(b'\n');
    forged.extend(notice(u64::MAX));
    writer.write_all(&forged).unwrap();
    write_lines(&mut writer, 0..LINES);
    log.trim().unwrap().unwrap();
    assert_eq!((log.dropped(), log.size() < MAX), (u64::MAX, true));
    assert!(std::fs::read(file.path()).unwrap().ends_with(format!("{}\n", LINES - 1).as_bytes()));
}

#[test]
fn what_is_no_plain_file_is_no_log() {
    assert_eq!(BoundedLog::open("/dev/null".into()).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(BoundedLog::open("/none/log".into()).unwrap_err().errno(), Errno::ENOENT);
}

#[test]
fn the_notice_does_not_read_like_an_error() {
    let diagnosis = crate::diagnosis::diagnose(&notice(u64::MAX)[..]).unwrap();
    assert!(!diagnosis.is_failure());
    assert_eq!(notice(u64::MAX).len(), NOTICE);
}
