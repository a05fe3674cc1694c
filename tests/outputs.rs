//! Reports on files and devices of every kind, with the real program.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests make files and run programs")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use replayed::SOUND;
use written::{code, names, output_to, program, stderr};

mod replayed;
mod written;

/// `nobody`.
const ORDINARY: u32 = 65534;

/// Runs a script in a mount namespace of its own; `$0` is the program and `$1` the recording.
fn in_mount_namespace(script: &str, dir: &Path) -> Output {
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-ec", script, env!("CARGO_BIN_EXE_dindcheck"), &SOUND]);
    command.current_dir(dir).output().unwrap()
}

#[test]
fn what_can_take_no_report_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    for (path, why) in [
        (dir.path().to_owned(), "it is a directory (EISDIR)"),
        (dir.path().join("new/"), "EISDIR"),
        (socket, "it is a socket"),
        (dir.path().join("loop"), "ELOOP"),
        (dir.path().join("no/such"), "No such file or directory (ENOENT)"),
        (PathBuf::from("/dev/fd/77"), "ENOENT"),
    ] {
        let refused = output_to("json", &path);
        assert_eq!(code(&refused), 64, "{}: {}", path.display(), stderr(&refused));
        assert!(stderr(&refused).contains(why), "{}: {}", path.display(), stderr(&refused));
        assert_eq!(stderr(&refused).lines().count(), 1, "{}", stderr(&refused));
    }
    assert_eq!(names(dir.path()), ["loop", "socket"]);
}

#[test]
fn devices_are_written_in_place_and_a_full_one_is_never_sound() {
    assert_eq!(code(&output_to("json", Path::new("/dev/null"))), 0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let lost = output_to("json", Path::new("/dev/full"));
    assert_eq!(code(&lost), 2);
    assert!(stderr(&lost).contains("/dev/full: No space left on device (ENOSPC)"), "{}", stderr(&lost));
}

#[test]
fn own_streams_are_written_behind_what_they_have() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"] {
        let log = dir.path().join("log");
        fs::write(&log, "before\n").unwrap();
        let inode = fs::metadata(&log).unwrap().ino();
        let _ = fs::remove_file(dir.path().join("link"));
        symlink("/dev/stdout", dir.path().join("link")).unwrap();
        let stdout = OpenOptions::new().append(true).open(&log).unwrap();
        let mut command = program();
        command.args(["--replay", &SOUND, "--format", "brief", "--output", &format!("junit={path}")]);
        assert!(command.current_dir(dir.path()).stdout(stdout).status().unwrap().success(), "{path}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.starts_with("before\n") && text.contains("</testsuites>"), "{path}: {text}");
        assert!(text.contains("dindcheck: no failure in kernel;"), "{path}: {text}");
        assert_eq!(fs::metadata(&log).unwrap().ino(), inode, "{path}");
    }
}

#[test]
fn files_of_the_user_stay_and_links_and_permissions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["r.json", "r.json.new", ".r.json.new", "r.json.tmp"] {
        fs::write(at(name), "the user's own").unwrap();
    }
    fs::set_permissions(at("r.json"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("r.json", at("link")).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(at("r.json"), Some(ORDINARY), Some(ORDINARY)).unwrap();
    }
    assert_eq!(code(&output_to("json", &at("link"))), 0);
    for name in ["r.json.new", ".r.json.new", "r.json.tmp"] {
        assert_eq!(fs::read_to_string(at(name)).unwrap(), "the user's own");
    }
    assert!(at("link").is_symlink() && fs::read_to_string(at("r.json")).unwrap().starts_with('{'));
    let meta = fs::metadata(at("r.json")).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
    assert!(!is_root || (meta.uid(), meta.gid()) == (ORDINARY, ORDINARY));
    assert_eq!(names(dir.path()).len(), 5);
}

#[test]
fn reader_of_an_own_stream_that_closed_it_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program();
    command.args(["--replay", &SOUND, "--format", "brief", "--output", "json=/dev/stdout"]).stdout(writer);
    assert_eq!(command.stderr(Stdio::null()).status().unwrap().code(), Some(0));
}

#[test]
fn manual_pages_are_written_as_reports_are() {
    let dir = tempfile::tempdir().unwrap();
    let man = || program().arg("man").arg(dir.path()).output().unwrap();
    fs::write(dir.path().join("dindcheck.1"), "old").unwrap();
    assert_eq!(code(&man()), 0);
    assert!(fs::read_to_string(dir.path().join("dindcheck.1")).unwrap().contains(".TH dindcheck 1"));
    assert!(dir.path().join("dindcheck-profile-show.1").is_file());
    fs::remove_file(dir.path().join("dindcheck.1")).unwrap();
    mkfifo(&dir.path().join("dindcheck.1"), Mode::S_IRWXU).unwrap();
    let refused = man();
    assert_eq!(code(&refused), 64);
    assert!(stderr(&refused).contains("nothing reads this pipe"), "{}", stderr(&refused));
}

#[test]
fn link_to_nothing_makes_its_target() {
    let dir = tempfile::tempdir().unwrap();
    symlink("target", dir.path().join("link")).unwrap();
    assert_eq!(code(&output_to("json", &dir.path().join("link"))), 0);
    assert!(dir.path().join("link").is_symlink() && dir.path().join("target").is_file());
}

#[test]
fn file_in_a_directory_of_another_is_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("termination-log");
    fs::write(&log, "x".repeat(100_000)).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let copies = tempfile::tempdir().unwrap();
    let copy = |from: &str, name: &str, mode: u32| {
        // By a program of its own: a copy that a thread of ours still has open for writing cannot be run (ETXTBSY), and
        // another thread that starts a process at that moment hands it on.
        assert!(Command::new("cp").arg(from).arg(copies.path().join(name)).status().unwrap().success());
        fs::set_permissions(copies.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        copies.path().join(name)
    };
    fs::set_permissions(copies.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(copy(env!("CARGO_BIN_EXE_dindcheck"), "dindcheck", 0o755));
    command.arg("--replay").arg(copy(&SOUND, "sound.json", 0o644)).current_dir(&copies);
    if nix::unistd::geteuid().is_root() {
        command.uid(ORDINARY).gid(ORDINARY);
    }
    let written = command.args(["--output", &format!("brief={}", log.display())]).output().unwrap();
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    assert!(fs::read_to_string(&log).unwrap().starts_with("dindcheck: no failure in kernel;"));
    assert!(fs::metadata(&log).unwrap().len() < 1000);
}

#[test]
fn file_that_is_a_mount_point_is_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("real"), "x".repeat(100_000)).unwrap();
    fs::write(dir.path().join("mounted"), "").unwrap();
    let script = "mount --bind real mounted; exec \"$0\" --replay \"$1\" --output brief=mounted";
    let written = in_mount_namespace(script, dir.path());
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    let text = fs::read_to_string(dir.path().join("real")).unwrap();
    assert!(text.starts_with("dindcheck: no failure in kernel;") && text.len() < 1000, "{text}");
    assert_eq!(names(dir.path()), ["mounted", "real"]);
}

#[test]
fn full_disk_leaves_the_old_report_and_is_never_sound() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=64k none disk; printf old > disk/r.html
        cat /dev/zero > disk/filler 2>/dev/null || true
        code=0; \"$0\" --replay \"$1\" --output html=disk/r.html || code=$?
        cat disk/r.html; ls -A disk; exit $code";
    let lost = in_mount_namespace(script, dir.path());
    assert_eq!(code(&lost), 2, "{}", stderr(&lost));
    let stdout = String::from_utf8(lost.stdout.clone()).unwrap();
    assert!(stdout.ends_with("oldfiller\nr.html\n"), "{stdout}");
    assert_eq!(stderr(&lost).matches("No space left on device (ENOSPC)").count(), 1, "{}", stderr(&lost));
}

#[test]
fn recording_replaces_its_file_only_when_it_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("r");
    fs::write(&recording, "old").unwrap();
    let record = |args: &[&str]| {
        program().args(["--repair", "none", "--record"]).arg(&recording).args(args).output().unwrap()
    };
    assert_eq!(code(&record(&["--until", "nonsense"])), 64);
    assert_eq!(fs::read_to_string(&recording).unwrap(), "old");
    record(&["--until", "privileges"]);
    assert!(fs::read_to_string(&recording).unwrap().starts_with('{'));
    assert_eq!(fs::metadata(&recording).unwrap().mode() & 0o777, 0o600);
    assert_eq!(names(dir.path()), ["r"]);
}
