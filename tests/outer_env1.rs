//! Do the first environment steps see real outer containers as they are? Needs root and the test bed
//! (tests/bed); `DINDCHECK_ENGINE` names its engine.
#![allow(clippy::disallowed_methods, reason = "tests look at the machine themselves")]

use serde_json::Value;

mod bed;

use bed::{SUITES, bed, machine_lacks_sys_resource, share};

/// Every capability but these two is given where a world needs an exact set (CAP_SYS_RESOURCE may be missing
/// on the machine itself, and then cannot be given).
const GIVEN: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
    MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ";

/// A world: an outer container, what is broken in it, and what dindcheck says there.
struct World {
    suite: &'static str,
    docker: Vec<String>,
    broken: &'static str,
    options: &'static str,
    /// A script whose failure fails the test: what must hold after the look.
    after: &'static str,
}

impl World {
    fn new(suite: &'static str) -> Self {
        Self { suite, docker: Vec::new(), broken: "true", options: "--repair none", after: "true" }
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

    fn after(mut self, script: &'static str) -> Self {
        self.after = script;
        self
    }

    /// The report of one step.
    fn step(&self, id: &str) -> Value {
        share();
        let command = format!(
            "{{ {}; }} >/tmp/said 2>&1; /share/dindcheck verify --only {id} --format json {} 2>>/tmp/said; {}",
            self.broken, self.options, self.after
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

#[test]
#[ignore = "needs root and the test bed"]
fn kernel_mounts_and_network_of_a_privileged_container_hold() {
    for suite in SUITES {
        for step in ["kernel", "mounts", "network"] {
            expect(&World::privileged(suite).step(step), "passed", &[]);
        }
    }
    for network in ["none", "host"] {
        // The bed's engine has no name server to hand on.
        let world =
            World::privileged("trixie").docker(&format!("--network={network}")).docker("--dns=10.0.0.2");
        let step = world.step("network");
        expect(&step, "passed", &[]);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn trying_a_network_leaves_no_trace() {
    let clean = "test ! -e /run/xtables.lock && test \"$(ls /sys/class/net | tr '\\n' ' ')\" = 'eth0 lo ' \
        && test -z \"$(iptables-nft-save; iptables-legacy-save; cat /proc/net/ip_tables_names)\"";
    // iptables-legacy-save itself brings its tables in, so it is asked last.
    let clean =
        clean.replace("iptables-nft-save; iptables-legacy-save; cat", "iptables-nft-save; cat").leak();
    for kind in ["true", "update-alternatives --set iptables /usr/sbin/iptables-legacy"] {
        let step = World::privileged("forky").broken(kind).after(clean).step("network");
        expect(&step, "passed", &[]);
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn network_faults_of_a_real_container_are_seen() {
    let legacy_rules = "iptables-legacy -t nat -A POSTROUTING -j MASQUERADE";
    let no_iptables = "rm /usr/sbin/iptables";
    for (broken, outcome, cause) in [
        (legacy_rules, "warned", "iptables-backends-mixed"),
        (no_iptables, "failed", "iptables-program-missing"),
        ("ip link set eth0 mtu 1400", "warned", "mtu-mismatch"),
        ("echo nameserver 127.0.0.11 >/etc/resolv.conf", "warned", "embedded-dns-unreachable"),
        ("ip route del default", "warned", "container-outbound-network-unreachable"),
    ] {
        expect(&World::privileged("trixie").broken(broken).step("network"), outcome, &[cause]);
    }
}

const READ_ONLY_PROC_SYS: &str = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";

#[test]
#[ignore = "needs root and the test bed"]
fn mounts_that_stop_the_engine_are_seen_and_mended() {
    for (broken, cause) in [(READ_ONLY_PROC_SYS, "proc-sys-read-only"), ("rm /dev/null", "dev-node-missing")]
    {
        let world = || World::privileged("trixie").broken(broken);
        expect(&world().step("mounts"), "failed", &[cause]);
        let mended = "test -c /dev/null && test ! -e /tmp/x && echo 1 >/proc/sys/net/ipv4/ip_forward";
        let step = world().options("--repair container").after(mended).step("mounts");
        assert_eq!(step["outcome"], "repaired", "{step:#}");
        assert_eq!(step["repair"]["changes"].as_array().map(Vec::len), Some(1), "{step:#}");
    }
}

#[test]
#[ignore = "needs root and the test bed"]
fn mounts_of_a_container_that_is_not_privileged_fail() {
    let (outcome, causes) = seen(&World::new("trixie").step("mounts"));
    assert_eq!(outcome, "failed");
    assert_eq!(causes.first().map(String::as_str), Some("proc-sys-read-only"), "{causes:?}");
    assert!(causes.contains(&"proc-masked".to_owned()), "{causes:?}");
}
