//! Single messages and short logs: what they mean, and what is harmless.
#![expect(clippy::unwrap_used, reason = "tests panic on what cannot be")]

use dindcheck_diagnosis::{Diagnosis, causes};

fn diagnose(text: impl AsRef<[u8]>) -> Diagnosis {
    dindcheck_diagnosis::diagnose(text.as_ref()).unwrap()
}

#[test]
fn journal_export_is_read() {
    let error = "failed to start daemon: pid file found, ensure docker is not running";
    let bytes = format!("\u{1b}[31m{error}\u{1b}[0m").into_bytes();
    let json = |message: serde_json::Value| {
        serde_json::json!({"__CURSOR": "s=1", "MESSAGE": message, "PRIORITY": "6"}).to_string()
    };
    let info = r#"time="2024-01-02T03:04:05Z" level=info msg="Starting up""#;
    let ended = "docker.service: Main process exited, code=exited, status=1/FAILURE";
    let export = |message: &str| format!("__CURSOR=s=1\nPRIORITY=6\nMESSAGE={message}\n_COMM=dockerd\n\n");
    let exports = [
        (json(info.into()) + "\n" + &json(error.into()) + "\n" + &json(ended.into()), 2),
        (json(info.into()) + "\n" + &json(bytes.into()) + "\n" + &json(ended.into()), 2),
        ([info, error, ended].map(export).concat(), 8),
    ];
    for (log, line) in exports {
        let diagnosis = diagnose(&log);
        let first = diagnosis.first_error.as_ref().expect(&log);
        assert_eq!((diagnosis.cause.id.as_str(), first.line), ("stale-docker-pid-file", line), "{log}");
        assert!(first.text.contains("pid file found"), "{}", first.text);
    }
    let healthy = [info, "Daemon has completed initialization"].map(export).concat();
    assert_eq!(diagnose(&healthy).cause.id.as_str(), "no-error-found");
}

#[test]
fn one_refusal_is_a_missing_capability_and_several_are_a_missing_privilege() {
    let bridge =
        "level=error msg=\"Failed to create bridge docker0 via netlink\" error=\"operation not permitted\"\n";
    let nat = "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)\n";
    assert_eq!(diagnose(bridge).cause.id.as_str(), "net-admin-capability-missing");
    assert_eq!(diagnose(format!("{bridge}{nat}")).cause.id.as_str(), "outer-container-not-privileged");
}

#[test]
fn refused_securityfs_is_harmless_alone_and_the_first_error_of_more() {
    let securityfs = "mount: permission denied (are you root?)\nCould not mount /sys/kernel/security.\n\
                      AppArmor detection and --privileged mode might break.\n";
    assert_eq!(diagnose(securityfs).cause.id, causes::NO_ERROR_FOUND);
    let found = diagnose(format!("{securityfs}mount: /tmp: permission denied\n"));
    assert_eq!(
        (found.cause.id.as_str(), found.first_error.unwrap().line),
        ("outer-container-not-privileged", 1)
    );
}

#[test]
fn error_of_the_client_counts_only_without_one_of_the_daemon() {
    let client =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
    let daemon = "failed to start daemon: Devices cgroup isn't mounted\n";
    assert_eq!(diagnose(client).cause.id.as_str(), "daemon-not-reachable");
    let found = diagnose(format!("{client}{daemon}{client}"));
    assert_eq!(
        (found.cause.id.as_str(), found.first_error.unwrap().line),
        ("cgroup-v1-devices-not-mounted", 2)
    );
    assert_eq!(found.last_error.unwrap().line, 3);
}

#[test]
fn failed_overlay_mount_counts_unless_a_better_driver_takes_over() {
    let failed = "level=error msg=\"failed to mount overlay: invalid argument\" storage-driver=overlay2\n";
    let chosen =
        |driver| format!("{failed}level=info msg=\"Docker daemon\" storage-driver={driver} version=26\n");
    assert_eq!(diagnose(chosen("vfs")).cause.id.as_str(), "overlay-on-overlay-data-root");
    assert_eq!(diagnose(chosen("fuse-overlayfs")).cause.id, causes::NO_ERROR_FOUND);
}

#[test]
fn wrapped_message_is_read_as_one() {
    for text in [
        "docker: Error response from daemon: failed to create task for container:\nfailed to create shim task:\n\
         unable to start container process:\nunable to apply caps:\ncan't apply capabilities:\noperation not permitted\n",
        "Error response from daemon: OCI runtime create failed: unable to apply caps: operation\n  not permitted",
    ] {
        let found = diagnose(text);
        assert_eq!(
            (found.cause.id.as_str(), found.first_error.unwrap().line),
            ("capability-missing-for-container", 1)
        );
    }
    let other = "Error response from daemon: the moon is in the wrong phase\nfailed to find runc binary\n";
    assert_eq!(diagnose(other).first_error.unwrap().line, 2);
}

#[test]
fn messages_of_the_dind_entrypoint_are_harmless() {
    let text = "cat: can't open '/proc/net/arp_tables_names': No such file or directory\n\
                Device \"ip_tables\" does not exist.\niptables v1.8.10 (nf_tables)\n\
                time=\"x\" level=warning msg=\"mountpoint for pids not found\"\n";
    assert_eq!(diagnose(text).cause.id, causes::NO_ERROR_FOUND);
    let found = diagnose(format!("{text}failed to start daemon: Devices cgroup isn't mounted\n"));
    assert_eq!(found.first_error.unwrap().line, 5);
}

#[test]
fn harmless_message_stays_harmless_behind_an_unknown_prefix() {
    let modprobe = "modprobe: can't change directory to '/lib/modules': No such file or directory";
    let mount = "mount: permission denied (are you root?)";
    let handed_on = "ERROR: Failed to Setup IP tables: (iptables failed: iptables -t nat -N DOCKER: modprobe: no modules\n\
                     iptables v1.8.4 (legacy): can't initialize iptables table `nat': Table does not exist";
    assert_eq!(diagnose(handed_on).cause.id.as_str(), "kernel-lacks-legacy-iptables-nat");
    for wrapper in ["dind ", "pod/dind-0 dind ", "Wed May  1 10:00:00 UTC 2024 ", "(dind) ", "ERROR: "] {
        assert_eq!(diagnose(format!("{wrapper}{modprobe}\n")).cause.id, causes::NO_ERROR_FOUND, "{wrapper}");
        let found = diagnose(format!("{wrapper}{modprobe}\n{wrapper}{mount}\n"));
        assert_eq!(
            (found.cause.id.as_str(), found.first_error.unwrap().line),
            ("outer-container-not-privileged", 2),
            "{wrapper}"
        );
    }
}

#[test]
fn refused_flag_is_assigned_to_the_daemon_or_the_client() {
    for (refused, see, cause) in [
        ("Status: unknown flag: --no-such", "See 'dockerd --help'., Code: 125", "daemon-option-invalid"),
        ("flag provided but not defined: --no-such", "See 'docker daemon --help'.", "daemon-option-invalid"),
        ("unknown shorthand flag: 'x' in -x", "See 'dockerd --help'.", "daemon-option-invalid"),
        ("unknown shorthand flag: 'f' in -f", "See 'docker --help'.", "unknown"),
        ("unknown flag: --no-such", "See 'docker run --help'.", "unknown"),
        (
            "Status: invalid argument \"x\" for \"--mtu\" flag: bad",
            "See 'dockerd --help'.",
            "daemon-option-invalid",
        ),
    ] {
        let found = diagnose(format!("{refused}\n{see}\n"));
        assert_eq!((found.cause.id.as_str(), found.first_error.unwrap().line), (cause, 1), "{refused}");
    }
    let pulled = "Status: Downloaded newer image for error/unknown-flag:1\n";
    assert_eq!(diagnose(pulled).cause.id, causes::NO_ERROR_FOUND);
}

/// The messages of build tools in a container.
#[test]
fn build_without_network_memory_or_client_has_that_cause() {
    for (text, cause) in [
        ("npm ERR! code ETIMEDOUT", "container-outbound-network-unreachable"),
        ("error: \"https://mirror/x.tgz: ESOCKETTIMEDOUT\"", "container-outbound-network-unreachable"),
        (
            "WARNING: Retrying after connection broken by 'ReadTimeoutError(Read timed out.)': /simple/",
            "container-outbound-network-unreachable",
        ),
        (
            "request to https://mirror/ failed, reason: getaddrinfo EAI_AGAIN mirror",
            "dns-resolver-not-answering",
        ),
        ("wget: bad address 'mirror'", "dns-resolver-not-answering"),
        ("wget: bad address 'docker:2375'", "docker-host-name-unresolved"),
        ("Error: getaddrinfo ENOTFOUND docker docker:2375", "docker-host-name-unresolved"),
        ("HTTPConnectionPool(host='localhost', port=2375): Max retries exceeded", "client-wrong-docker-host"),
        ("HTTPConnectionPool(host='docker', port=2375): Max retries exceeded", "client-tls-port-mismatch"),
        ("The command '/bin/sh -c make' returned a non-zero code: 137", "oom-killed"),
        ("ERROR: process \"make\" did not complete successfully: exit code: 137", "oom-killed"),
        ("The command '/bin/sh -c make' returned a non-zero code: 2", "unknown"),
        (
            "java.io.IOException: Cannot run program \"docker\": error=2, No such file",
            "docker-program-missing",
        ),
        ("Error: spawn docker ENOENT", "docker-program-missing"),
        ("[FATAL init (1)] Unexpected error in sigtimedwait: 'Function not implemented'", "unknown"),
    ] {
        let found = diagnose(format!("Step 3/9\n{text}\nERROR: Job failed: exit code 1\n"));
        let line = found.first_error.as_ref().map(|first| first.line);
        assert_eq!((found.cause.id.as_str(), line), (cause, Some(2)), "{text}");
    }
}

#[test]
fn unexplained_error_is_quoted() {
    let found = diagnose("ok\ndocker: Error response from daemon: the moon is in the wrong phase.\n");
    assert_eq!((found.cause.id, found.first_error.unwrap().line), (causes::UNKNOWN, 2));
}

#[test]
fn error_before_a_completed_start_is_harmless() {
    let text = "level=error msg=\"the moon is in the wrong phase\"\nlevel=info msg=\"Daemon has completed initialization\"\n";
    let found = diagnose(text);
    assert_eq!((found.cause.id, found.ignored_noise.len()), (causes::NO_ERROR_FOUND, 1));
}
