//! The remedy of every fault of the workload: a text that the report prints and that mends the world, or why these worlds do
//! not show it.

use crate::shared::remedy::Remedy::{self, Argument, Command, Flag, NotHere};

const BY_THE_MATRIX: Remedy =
    NotHere("the fault matrix applies it, where its step looks before dockerd is started");
const PROGRAM: Remedy = NotHere("the program comes from a package, and these worlds reach no archive");
const RUNTIME: Remedy =
    NotHere("a runtime that was made to fail is mended by nothing that a report could know");
const RESTART: Remedy = NotHere("dockerd is started again, which is what the next run does");
const REGISTRY: Remedy = NotHere("only who runs the registry can mend it");
const IMAGE: Remedy = NotHere("the image is built again by its author");
const PROFILE: Remedy = NotHere("what the container should do is known to the author of the profile");
const BUILTIN: Remedy = Flag("--image builtin");

const REMEDIES: &[(&str, Remedy)] = &[
    ("runtime_fails", RUNTIME),
    ("runtime_prints_junk", RUNTIME),
    ("runtime_exec_fails", RUNTIME),
    ("runtime_hangs", RUNTIME),
    ("build_container_fails", RUNTIME),
    ("shim_killed", RUNTIME),
    ("seccomp_profile_too_tight", RUNTIME),
    ("runtime_missing", PROGRAM),
    ("shim_missing", PROGRAM),
    ("docker_init_missing", PROGRAM),
    ("docker_init_broken", PROGRAM),
    ("docker_proxy_missing", PROGRAM),
    ("daemon_stopped_by_sigstop", RESTART),
    ("containerd_killed", RESTART),
    ("daemon_killed_between_create_and_start", RESTART),
    ("docker0_removed", RESTART),
    ("iptables_chains_flushed", RESTART),
    ("ulimit_above_the_outer_containers", NotHere("no outer container may have a limit as high as that")),
    ("log_driver_without_service", BY_THE_MATRIX),
    ("log_server_absent", BY_THE_MATRIX),
    ("temporary_directory_missing", Command("mkdir -m 1777 /tmp")),
    ("image_without_a_command", IMAGE),
    ("image_with_an_unknown_user", IMAGE),
    ("outer_device_cgroup_denies_device", BY_THE_MATRIX),
    ("unexpected_exit_code", PROFILE),
    ("unexpected_output", PROFILE),
    ("entrypoint_not_executable", IMAGE),
    ("entrypoint_missing", IMAGE),
    ("image_of_another_architecture", IMAGE),
    ("registry_answers_manifest_unknown", BUILTIN),
    ("registry_answers_name_unknown", BUILTIN),
    ("registry_answers_unauthorized", BUILTIN),
    ("registry_answers_denied", BUILTIN),
    ("registry_answers_too_many_requests", BUILTIN),
    ("registry_answers_service_unavailable", BUILTIN),
    ("registry_refuses_connections", BUILTIN),
    (
        "registry_never_answers",
        NotHere("the deadline that the row gives to a pull is short for an image as well"),
    ),
    ("registry_without_tls", BUILTIN),
    ("registry_name_does_not_resolve", REGISTRY),
    ("required_pids_limit_dropped", BY_THE_MATRIX),
    ("required_memory_limit_dropped", BY_THE_MATRIX),
    ("required_cpu_limit_dropped", BY_THE_MATRIX),
    ("outer_pids_limit_reached", BY_THE_MATRIX),
    ("docker0_down", Command("ip link set docker0 up")),
    ("docker0_without_address", RESTART),
    (
        "published_ports_dropped",
        Command(
            "iptables -D OUTPUT -o lo -p tcp -m tcp --dport 32768:60999 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
        ),
    ),
    ("output_to_docker0_dropped", Command("iptables -D OUTPUT -o docker0 -j DROP")),
    ("outer_mtu_below_the_bridge", Argument("--mtu 1400")),
    ("large_packets_dropped", Command("iptables -D FORWARD -m length --length 1401:65535 -j DROP")),
    ("forwarding_off", Command("sysctl -w net.ipv4.ip_forward=1")),
    (
        "masquerade_rules_flushed",
        Command("iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o docker0 -j MASQUERADE"),
    ),
    ("forward_to_outside_dropped", Command("iptables -D FORWARD -o eth0 -j DROP")),
    ("resolver_on_loopback_only", NotHere("which name servers containers reach is known outside only")),
    ("required_name_unknown", PROFILE),
    ("required_endpoint_closed", PROFILE),
    ("address_pool_used_up", BY_THE_MATRIX),
    ("data_root_on_overlay", BY_THE_MATRIX),
    ("disk_full_at_image_load", BY_THE_MATRIX),
    ("disk_full_at_container_start", BY_THE_MATRIX),
    ("disk_without_inodes", BY_THE_MATRIX),
    ("run_directory_full", BY_THE_MATRIX),
    ("data_root_turned_read_only", BY_THE_MATRIX),
    ("volumes_directory_read_only", BY_THE_MATRIX),
];

/// The remedy of a row.
#[track_caller]
pub(crate) fn of(name: &str) -> Remedy {
    let found = REMEDIES.iter().find(|(row, _)| *row == name);
    found.unwrap_or_else(|| panic!("{name} has no line in tests/worlds/remedies.rs")).1
}

#[test]
fn every_row_has_a_remedy_or_a_reason() {
    let rows = crate::workload::rows();
    for (name, _, _) in &rows {
        let remedy = of(name);
        assert!(!matches!(remedy, NotHere(why) if why.len() < 20), "{name}");
    }
    for (name, _) in REMEDIES {
        assert!(rows.iter().any(|(row, _, _)| row == name), "{name} is no row");
    }
}
