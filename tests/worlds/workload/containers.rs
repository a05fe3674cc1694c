//! Runtimes that fail, hang or take the daemon with them, and containers that do not end as expected.

use crate::harness::{ENDS, Forky, SUITES, Suite, Trixie, World, each_engine, faults};

/// Puts a script in the place of runc that does something when it is called like this.
fn runc_on(call: &str, does: &str) -> String {
    format!(
        "mv $(which runc) /usr/sbin/runc.real; cat >/usr/sbin/runc <<'X'\n#!/bin/bash\n\
         case \"$*\" in *' {call} '*) {does};; esac\nexec /usr/sbin/runc.real \"$@\"\nX\nchmod 755 /usr/sbin/runc"
    )
}

/// The same when a container is to be created.
fn runc(on_create: &str) -> String {
    runc_on("create", on_create)
}

/// Makes an image out of a file that is there.
fn image(file: &str, command: &str) -> String {
    format!("tar -C / -c {file} | docker import -c 'ENTRYPOINT {command}' - mine:1 >/dev/null")
}

/// A program for another processor.
const OTHER: &str =
    "cp /bin/true /tmp/other; printf '\\x28' | dd of=/tmp/other bs=1 seek=18 conv=notrunc 2>/dev/null";
/// The fourth container is the builder's: the first one, its second life and the neighbour come before it.
const FOURTH: &str =
    "echo >>/run/creates; [ $(wc -l </run/creates) -lt 4 ] || { echo 'no luck today' >&2; exit 1; }";
/// The probe does not know this order, and says so by its exit code.
const UNKNOWN_ORDER: &str = "container:\n  command: ['{sing}']";

faults! {
    runtime_fails: SUITES, |w| w.broken(&runc("echo 'no luck today' >&2; exit 1"))
        => fails "container-run" "container-start-failed";
    runtime_prints_junk: ENDS, |w| w.broken(&runc("echo '{{{'; exit 0"))
        => fails "container-run" "container-start-failed";
    runtime_missing: ENDS, |w| w.broken_later("rm $(which runc)")
        => fails "container-run" "runc-program-missing";
    runtime_exec_fails: ENDS, |w| w.broken(&runc_on("exec", "echo 'no luck today' >&2; exit 1"))
        => fails "container-run" "container-exec-failed";
    runtime_hangs: SUITES,
        |w| w.broken(&runc("exec sleep 600")).profile("container:\n  timeout: 3s").leaves_something()
        => fails "container-run" "container-timeout", |seen| {
            let took = seen.step("container-run")["duration_ms"].as_f64().expect("a number");
            // Long before the runtime would have ended.
            assert!((3000.0..60_000.0).contains(&took), "{took} ms");
        };
    daemon_stopped_by_sigstop: ENDS,
        |w| w.broken(&runc("kill -STOP $(pidof dockerd)"))
            .profile("container:\n  timeout: 3s\ndaemon:\n  stop_timeout: 2s").leaves_something()
        => fails "container-run" "daemon-hangs", |seen| {
            let left = seen.report["leftovers"].to_string();
            assert!(left.contains("-run") && left.contains("volume"), "{left}");
        };
    build_container_fails: &[Forky],
        |w| w.broken(&runc(FOURTH)).profile("steps:\n  build: require").options("--only build")
        => fails "build" "image-build-failed";
    shim_missing: ENDS, |w| w.broken_later("rm $(which containerd-shim-runc-v2)")
        => fails "container-run" "containerd-shim-program-missing";
    shim_killed: ENDS, |w| w.broken(&runc("kill -9 $PPID; sleep 1; exit 1"))
        => fails "container-run" "container-start-failed";
    containerd_killed: ENDS, |w| w.broken(&runc("kill -9 $(pidof containerd); sleep 1; exit 1")).leaves_something()
        => fails "container-run" "containerd-crashed";
    daemon_killed_between_create_and_start: SUITES, |w| w.broken(&runc("kill -9 $(pidof dockerd)")).leaves_something()
        => fails "container-run" "daemon-died-later";
    docker_init_missing: ENDS, |w| w.broken_later("rm $(which docker-init)")
        => warns "container-run" "docker-init-program-missing";
    ulimit_above_the_outer_containers: ENDS, |w| w.options("-- --default-ulimit nofile=2147483584:2147483584")
        => fails "container-run" "rlimit-above-hard-limit";
    seccomp_profile_too_tight: ENDS,
        |w| w.broken("echo '{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[]}' >/tmp/s.json").options("-- --seccomp-profile=/tmp/s.json")
        => fails "container-run" "container-start-failed";
    log_driver_without_service: &[Trixie], |w| w.options("-- --log-driver=syslog")
        => fails "container-run" "log-driver-unusable", |seen| seen.is_mended_by("start one (`rsyslogd`)");
    log_server_absent: &[Trixie], |w| w.options("-- --log-driver=fluentd")
        => fails "container-run" "log-driver-unusable", |seen| seen.is_mended_by("127.0.0.1:24224");
    docker_init_broken: &[Forky], |w| w.broken_later("echo junk >$(which docker-init)")
        => warns "container-run" "binary-not-runnable", |seen| seen.passes("container-storage");
    temporary_directory_missing: &[Trixie], |w| w.broken_later("mv /tmp /root/tmp")
        => fails "container-run" "tmp-not-writable", |seen| seen.is_mended_by("`mkdir -m 1777 /tmp`");
    image_without_a_command: ENDS,
        |w| w.broken_later("tar -C / -c etc/passwd | docker import - mine:1 >/dev/null").options("--image mine:1")
        => fails "container-run" "image-config-unusable", |seen| seen.is_mended_by("`container: {command: [");
    image_with_an_unknown_user: &[Forky],
        |w| w.broken_later("tar -C / -c etc/hosts | docker import -c 'USER nobody-here' -c 'CMD [\"/x\"]' - mine:1 >/dev/null")
            .options("--image mine:1")
        => fails "container-run" "image-config-unusable", |seen| seen.is_mended_by("no user nobody-here");
    outer_device_cgroup_denies_device: &[Trixie],
        |w| w.broken_later("echo 'c 1:8 rwm' >/sys/fs/cgroup/devices/devices.deny")
        => fails "container-run" "outer-device-cgroup-denies-device";
    unexpected_exit_code: &[Trixie], |w| w.profile(UNKNOWN_ORDER)
        => fails "container-run" "container-wrong-exit-code";
    unexpected_output: &[Trixie],
        |w| w.profile("container:\n  command: ['{}']\n  output: a word that nobody prints")
        => fails "container-run" "container-wrong-output";
    entrypoint_not_executable: SUITES,
        |w| w.broken_later(&image("etc/passwd", "[\"/etc/passwd\"]")).options("--image mine:1")
        => fails "container-run" "entrypoint-not-executable";
    entrypoint_missing: SUITES,
        |w| w.broken_later(&image("etc/passwd", "[\"/nothing\"]")).options("--image mine:1")
        => fails "container-run" "entrypoint-not-executable";
    image_of_another_architecture: &[Trixie],
        |w| w.broken_later(OTHER).broken(&image("tmp/other", "[\"/tmp/other\"]")).options("--image mine:1")
        => fails "container-run" "image-for-other-architecture";
}

each_engine! {
    next_run_removes_what_a_killed_daemon_kept: Trixie, of SUITES;
}

fn next_run_removes_what_a_killed_daemon_kept(suite: Suite) {
    let first = "timeout 60 dindcheck verify --only daemon-start,image,container-run,teardown >/dev/null 2>&1\n\
        mv /usr/sbin/runc.real /usr/sbin/runc";
    World::new(suite).broken(&runc("kill -9 $(pidof dockerd)")).broken(first).play().is_sound();
}

#[test]
#[ignore = "needs root and the test bed"]
fn expected_exit_code_is_sound() {
    World::new(Trixie).profile(&format!("{UNKNOWN_ORDER}\n  exit_code: 64")).play().is_sound();
}
