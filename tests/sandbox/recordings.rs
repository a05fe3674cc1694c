//! Makes the recordings of tests/fixtures/worlds, for tests that need neither root nor a world, and shrinks them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::fault::{EVERY_ENGINE, FAULT, Fault, Repair};
use crate::matrix::{self, LAST, RECORDING};
use crate::world::{self, Suite};
use crate::{faults, replay};

/// The recorded rows: of every step, with each kind of result.
const ROWS: &[&str] = &[
    "not-privileged",
    "without-net-admin",
    "filter-refuses-keyctl",
    "a-user-namespace-of-one-id",
    "no-more-network-namespaces",
    "proc-sys-read-only",
    "no-dev-null",
    "cgroups-not-mounted",
    "all-hierarchies-read-only",
    "memory-not-mounted",
    "devices-of-the-outer-container-denied",
    "v2-view-read-only",
    "runc-of-another-machine",
    "iptables-dangling",
    "json-with-a-trailing-comma",
    "storage-driver-in-both",
    "tls-without-its-files",
    "data-root-on-overlay",
    "data-root-without-d-type",
    "btrfs-used-before",
    "kernel-without-nf-tables",
    "the-only-pool-is-taken",
    "resolver-on-the-loopback",
    "pid-file-names-another-process",
    "socket-of-the-outer-daemon",
];
/// The bytes of a program that identify it.
const HEAD: usize = 1024;
/// The folder of the recordings.
const FOLDER: &str = "tests/fixtures/worlds";

/// Makes all of them.
pub(crate) fn make() {
    for suite in EVERY_ENGINE {
        keep(&Fault { name: format!("healthy-{}", suite.name()).leak(), ..FAULT }, *suite);
    }
    for fault in faults::all().into_iter().filter(|fault| ROWS.contains(&fault.name)) {
        keep(fault, fault.suites[fault.suites.len() / 2]);
    }
}

/// Runs a row, with its repair if that helps, and writes the recording and its findings.
fn keep(fault: &Fault, suite: Suite) {
    let world = fault.world(suite).expect("a world");
    let repair = if fault.repair == Repair::Repaired { "container" } else { "none" };
    let words = ["verify", "--repair", repair, "--until", LAST, "--record", RECORDING];
    let played = world.run(fault.line(&words));
    let report = matrix::json(&played).unwrap_or_else(|| panic!("{}: {}", fault.name, played.said()));
    let text = std::fs::read_to_string(world.outside(RECORDING)).expect("the recording");
    let mut recording: Value = serde_json::from_str(&text).expect("JSON");
    thin(&mut recording);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let path = folder.join(format!("{}.json", fault.name));
    write(&path, &(nameless(&serde_json::to_string(&recording).expect("JSON")) + "\n"));
    let found = replay::findings(&report).iter().map(|step| nameless(step)).collect::<Vec<_>>();
    let again = replay::findings(&replay::play(&path));
    assert_eq!(again, found, "{}: the shrunk recording gives other findings", fault.name);
    write(&path.with_extension("findings"), &(found.join("\n") + "\n"));
}

fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
}

/// Removes what names this machine: the path of the bed and the build of the kernel.
fn nameless(text: &str) -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let release = release.trim();
    let bare = release.split('-').next().unwrap_or(release);
    text.replace(&world::bed().display().to_string(), "/bed").replace(release, bare)
}

/// Leaves out what no check reads: most of the kernel's options, and all of a program but its head.
fn thin(recording: &mut Value) {
    let Some(answers) = recording["answers"].as_object_mut() else { return };
    for (question, sequence) in answers {
        for answer in sequence.as_array_mut().into_iter().flatten() {
            let Some(Value::String(hex)) = answer.pointer_mut("/ok/hex") else { continue };
            if question.ends_with("/proc/config.gz") {
                *hex = few_options(hex);
            } else if question.starts_with("read-head ") {
                hex.truncate(2 * HEAD);
            }
        }
    }
}

/// The options that a finding may name.
fn few_options(hex: &str) -> String {
    let script = "xxd -r -p | gzip -dc | grep -E '^CONFIG_(OVERLAY_FS|POSIX_MQUEUE|UNIX98_PTYS|PROC_FS|SYSFS|TMPFS)=' | gzip -9n | xxd -p";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start sh");
    child.stdin.take().expect("its input").write_all(hex.as_bytes()).expect("write to it");
    let out = child.wait_with_output().expect("its output");
    String::from_utf8(out.stdout).expect("hex").split_whitespace().collect()
}
