use super::*;

fn within(program: &str, args: &[&str], within: Duration) -> HostResult<Ran> {
    run(Order { program: Path::new(program), args, env: &[], within, keep: MAX_VERSION })
}

fn sh(script: &str, deadline: Duration) -> HostResult<Ran> {
    within("/bin/sh", &["-c", script], deadline)
}

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(100);

/// The command lines of all processes.
fn commands() -> Vec<String> {
    let host = crate::host::live::Live::default();
    crate::facts::process::all(&host).unwrap().into_iter().map(|process| process.command).collect()
}

#[test]
fn output_up_to_the_limit_is_whole_and_beyond_it_truncated() {
    let whole = sh("head -c 65536 /dev/zero | tr '\\0' x", LONG).unwrap();
    assert_eq!((whole.stdout.len(), whole.truncated), (65536, false));
    assert!(whole.whole_stdout(Path::new("/bin/sh")).is_ok());
    for script in ["head -c 65537 /dev/zero | tr '\\0' x", "head -c 999999 /dev/zero >&2"] {
        let ran = sh(script, LONG).unwrap();
        assert!(ran.code == 0 && ran.truncated && ran.stdout.len().max(ran.stderr.len()) == 65536);
        assert_eq!(ran.whole_stdout(Path::new("/bin/sh")).unwrap_err().errno(), Errno::EFBIG);
    }
}

#[test]
fn program_that_outlives_its_deadline_is_killed_with_its_children() {
    let error = sh("sleep 91817 & wait", SHORT).unwrap_err();
    assert_eq!(error.errno(), Errno::ETIMEDOUT);
    assert!(!commands().contains(&"sleep 91817".to_owned()));
}

#[test]
fn program_that_floods_its_output_is_killed_at_its_deadline() {
    let begun = Instant::now();
    assert_eq!(within("/usr/bin/yes", &[], SHORT).unwrap_err().errno(), Errno::ETIMEDOUT);
    assert!(begun.elapsed() < SHORT + GRACE);
}

#[test]
fn signal_that_ends_a_program_becomes_its_code() {
    assert_eq!(sh("kill -TERM $$", LONG).unwrap().code, 128 + 15);
}

#[test]
fn descendant_in_another_session_that_holds_the_pipes_does_not_delay_the_deadline() {
    let begun = Instant::now();
    let error = sh("setsid sleep 8.01 & sleep 9", SHORT).unwrap_err();
    assert_eq!(error.errno(), Errno::ETIMEDOUT);
    assert!(begun.elapsed() < SHORT + GRACE * 2, "{:?}", begun.elapsed());
}

#[test]
fn descendant_that_outlives_the_program_leaves_a_truncated_output() {
    for script in ["echo said; setsid sleep 8.02 &", "echo said; sleep 91818 &"] {
        let begun = Instant::now();
        let ran = sh(script, LONG).unwrap();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.truncated), (0, "said\n", true), "{script}");
        assert!(begun.elapsed() < GRACE * 2, "{script}: {:?}", begun.elapsed());
    }
    assert!(!commands().contains(&"sleep 91818".to_owned()), "what stayed in the group ends with it");
}

#[test]
fn output_that_a_child_writes_soon_after_the_program_is_whole() {
    let ran = sh("(sleep 0.1; echo later) &", LONG).unwrap();
    assert_eq!((ran.stdout.as_str(), ran.truncated), ("later\n", false));
}

#[test]
fn held_pipes_leave_no_thread_behind() {
    let host = crate::host::live::Live::default();
    let threads = || crate::host::SystemReader::list(&host, Path::new("/proc/self/task")).unwrap().len();
    let before = threads();
    let running: Vec<_> = (0..8).map(|_| sh("setsid sleep 8.03 & sleep 9", SHORT).unwrap_err()).collect();
    assert_eq!(running.len(), 8);
    // Other tests of this program run beside this one.
    assert!(threads() < before + 8, "{before} -> {}", threads());
}
