//! Outer containers: limits down to a tenth of a processor, namespaces of the host, read-only roots, other first processes.

use crate::harness::{ENDS, Forky, Outer, SUITES, Suite, Trixie, each_engine};
use crate::unusual::{Row, play, row};

/// A row, with further arguments of `docker run` for its outer container.
type Place = (Row, &'static [&'static str]);

const LIMITED: &[Place] = &[
    (row("a_third_of_a_processor"), &["--cpus=0.3"]),
    (row("a_tenth_of_a_processor"), &["--cpus=0.1"]),
    // dockerd 20.10 itself is killed there, with one container beside it.
    (row("96_mib_of_memory").of(&[Forky]), &["-m", "96m"]),
    (row("128_mib_of_memory_without_swap"), &["-m", "128m", "--memory-swap", "128m"]),
    (row("two_hundred_processes"), &["--pids-limit", "200"]),
    (row("one_processor"), &["--cpuset-cpus=0"]),
    (
        row("few_open_files_and_processes").warns(&[("privileges", "open-files-limit-reached")]),
        &["--ulimit", "nofile=256:256", "--ulimit", "nproc=200:200"],
    ),
    (row("no_core_files_and_small_shared_memory"), &["--shm-size", "1m", "--ulimit", "core=0"]),
];

const NAMESPACES: &[Place] = &[
    (row("cgroup_namespace_of_the_outer_host"), &["--cgroupns=host"]),
    (row("processes_of_the_outer_host"), &["--pid=host"]),
    (row("ipc_and_name_of_the_outer_host"), &["--ipc=host", "--uts=host"]),
    (row("no_network"), &["--network", "none"]),
    (row("ipv6_off_from_the_start"), &["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"]),
    (row("other_name_servers"), &["--dns", "10.9.9.9", "--dns-search", "a.b", "--dns-opt", "ndots:3"]),
];

const ROOTS: &[Place] = &[
    (row("data_root_in_memory"), &["--tmpfs", "/var/lib/docker:exec,dev"]),
    (
        row("read_only_root"),
        &["--read-only", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/etc/docker", "--tmpfs", "/root"],
    ),
    (row("init_as_the_first_process"), &["--init"]),
    (
        row("no_new_privileges_outside").warns(&[("privileges", "no-new-privileges")]),
        &["--security-opt", "no-new-privileges"],
    ),
    (row("name_with_dots"), &["--hostname", "a.b.c-d.example"]),
];

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [LIMITED, NAMESPACES, ROOTS].concat().into_iter().map(|(row, _)| row).collect()
}

each_engine! {
    limited: Forky, of ENDS;
    namespaces_of_others: Trixie, of SUITES;
    other_roots: Forky, of SUITES;
}

/// Each place is an outer container of its own.
fn play_each(suite: Suite, places: &[Place]) {
    for (row, args) in places {
        play(suite, &Outer::new(suite).args(args), &[*row]);
    }
}

fn limited(suite: Suite) {
    play_each(suite, LIMITED);
}

fn namespaces_of_others(suite: Suite) {
    play_each(suite, NAMESPACES);
}

fn other_roots(suite: Suite) {
    play_each(suite, ROOTS);
}
