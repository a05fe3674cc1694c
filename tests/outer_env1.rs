//! Do the first environment steps see real outer containers as they are? Needs root and the test bed
//! (tests/bed); `DINDCHECK_ENGINE` names its engine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Every capability but these two is given where a world needs an exact set (CAP_SYS_RESOURCE may be missing
/// on the machine itself, and then cannot be given).
const GIVEN: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ";

/// Calls a script of the bed and returns its standard output; fails the test where the script fails.
fn bed(script: &str, args: &[&str]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/bed").join(script);
    let out = Command::new(path).args(args).output().expect("bash");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script} {args:?}: {stderr}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The directory that containers see as /share, with the binary in it.
fn share() -> &'static PathBuf {
    static SHARE: OnceLock<PathBuf> = OnceLock::new();
    SHARE.get_or_init(|| {
        for suite in ["trixie", "bookworm", "forky"] {
            bed("image.sh", &[suite]);
        }
        let status = bed("engine.sh", &["status"]);
        let line = status.lines().find_map(|line| line.strip_prefix("share ")).expect("a share");
        let share = PathBuf::from(line.split(' ').next().expect("a path"));
        // A running binary cannot be overwritten, but another can take its place.
        let aside = share.join(format!("dindcheck.{}", std::process::id()));
        std::fs::copy(env!("CARGO_BIN_EXE_dindcheck"), &aside).expect("copy the binary");
        std::fs::rename(&aside, share.join("dindcheck")).expect("put it into place");
        share
    })
}

/// A world: an outer container, what is broken in it, and what dindcheck says there.
struct World {
    suite: &'static str,
    docker: Vec<String>,
    broken: &'static str,
    options: &'static str,
}

impl World {
    fn new(suite: &'static str) -> Self {
        Self { suite, docker: Vec::new(), broken: "true", options: "--repair none" }
    }

    /// `docker run --privileged`.
    fn privileged(suite: &'static str) -> Self {
        Self::new(suite).docker("--privileged")
    }

    /// Not privileged, but with everything that --privileged gives except these capabilities.
    fn lacking(suite: &'static str, lacks: &[&str]) -> Self {
        let mut world = Self::new(suite)
            .docker("--security-opt=seccomp=unconfined")
            .docker("--security-opt=apparmor=unconfined")
            .docker("--security-opt=systempaths=unconfined")
            .docker("--cap-drop=ALL");
        for cap in GIVEN.split_whitespace().filter(|cap| !lacks.contains(cap)) {
            world = world.docker(&format!("--cap-add={cap}"));
        }
        world
    }

    fn docker(mut self, arg: &str) -> Self {
        self.docker.push(arg.to_owned());
        self
    }

    fn broken(mut self, script: &'static str) -> Self {
        self.broken = script;
        self
    }

    fn options(mut self, options: &'static str) -> Self {
        self.options = options;
        self
    }

    /// The report of one step.
    fn step(&self, id: &str) -> Value {
        share();
        let command = format!(
            "{{ {}; }} >/dev/null 2>&1; /share/dindcheck verify --only {id} --format json {} 2>/dev/null; true",
            self.broken, self.options
        );
        let image = format!("dindcheck-base:{}", self.suite);
        let mut args = vec!["docker", "run", "--rm", "-v", "/share:/share:ro", "-v", "/var/lib/docker"];
        args.extend(self.docker.iter().map(String::as_str));
        args.extend([&image, "sh", "-c", &command]);
        let report: Value = serde_json::from_str(&bed("engine.sh", &args)).expect("a report");
        let steps = report["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["id"] == id).expect("the step").clone()
    }
}

/// The outcome, and the causes of the findings that do not pass, in order.
fn seen(step: &Value) -> (String, Vec<String>) {
    let findings = step["findings"].as_array().expect("findings");
    let causes = findings.iter().filter_map(|finding| Some(finding["cause"].as_str()?.to_owned()));
    (step["outcome"].as_str().expect("an outcome").to_owned(), causes.collect())
}

/// Asserts on outcome and causes; shows the whole step where it differs.
#[track_caller]
fn expect(step: &Value, outcome: &str, causes: &[&str]) {
    let (was, were) = seen(step);
    assert!(was == outcome && were == causes, "expected {outcome} {causes:?}, saw {step:#}");
}

/// What this machine itself lacks, and so every container on it.
fn machine_lacks_sys_resource() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let bound = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("CapBnd");
    u64::from_str_radix(bound.trim(), 16).expect("hex") & 1 << 24 == 0
}

#[test]
#[ignore = "needs root and the test bed"]
fn privileges_of_a_privileged_container_hold() {
    for suite in ["bookworm", "trixie", "forky"] {
        let step = World::privileged(suite).step("privileges");
        if machine_lacks_sys_resource() {
            expect(&step, "warned", &["cap-sys-resource-missing"]);
        } else {
            expect(&step, "passed", &[]);
        }
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn privileges_without_privileged_are_none() {
    expect(&World::new("trixie").step("privileges"), "failed", &["outer-container-not-privileged"]);
    let user = World::new("trixie").docker("--user=1000").step("privileges");
    expect(&user, "failed", &["not-root", "outer-container-not-privileged"]);
    let user = World::privileged("trixie").docker("--user=1000").step("privileges");
    expect(&user, "failed", &["not-root"]);
}

#[test]
#[ignore = "needs root and the test bed"]
fn privileges_of_an_engine_that_lacks_capabilities() {
    for (lacks, cause) in [
        (&["MKNOD"][..], "engine-lacks-capability"),
        (&["CHOWN", "AUDIT_WRITE"][..], "engine-lacks-capability"),
        (&["NET_ADMIN"][..], "net-admin-capability-missing"),
        (&["SYS_ADMIN"][..], "cap-sys-admin-missing"),
    ] {
        expect(&World::lacking("trixie", lacks).step("privileges"), "failed", &[cause]);
    }
    let step = World::lacking("trixie", &["SYS_TIME"]).step("privileges");
    let both = ["cap-sys-resource-missing", "capability-not-effective"];
    expect(&step, "warned", &both);
}

#[test]
#[ignore = "needs root and the test bed"]
fn privileges_behind_the_default_seccomp_profile_do_not_reach_the_keyring() {
    let mut world = World::lacking("trixie", &[]);
    world.docker.retain(|arg| !arg.contains("seccomp"));
    let (outcome, causes) = seen(&world.step("privileges"));
    assert_eq!(outcome, "failed");
    assert!(causes.contains(&"seccomp-blocks-keyctl".to_owned()), "{causes:?}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn no_new_privileges_is_a_warning_in_a_real_container() {
    let step = World::privileged("trixie").docker("--security-opt=no-new-privileges").step("privileges");
    let (outcome, causes) = seen(&step);
    assert_eq!(outcome, "warned");
    assert!(causes.contains(&"no-new-privileges".to_owned()), "{causes:?}");
}

#[test]
#[ignore = "needs root and the test bed"]
fn without_proc_the_step_could_not_look() {
    let step = World::privileged("trixie").broken("umount -l /proc").step("privileges");
    assert_eq!(step["outcome"], "errored", "{step:#}");
}
