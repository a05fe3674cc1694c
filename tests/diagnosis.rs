//! Does the diagnosis hold on logs of real engines, in every wrapper, and on any bytes?
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests look at the machine and speak for themselves"
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dindcheck::diagnosis::{self, CauseId, Diagnoser, Diagnosis, NO_ERROR_FOUND, UNKNOWN};
use dindcheck::yaml::{self, Limits};
use proptest::prelude::{ProptestConfig, any, proptest};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    log: String,
    cause: String,
    line: Option<u64>,
}

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logs")
}

fn expected() -> Vec<Expected> {
    let text = std::fs::read_to_string(logs().join("expected.yaml")).unwrap();
    yaml::from_str(&text, Limits::HAND_WRITTEN).unwrap()
}

fn diagnose(text: impl AsRef<[u8]>) -> Diagnosis {
    diagnosis::diagnose(text.as_ref()).unwrap()
}

#[test]
fn logs_of_real_engines_mean_what_was_broken() {
    for expected in expected() {
        let found = diagnose(std::fs::read(logs().join(&expected.log)).unwrap());
        let line = found.first_error.as_ref().map(|first| first.line);
        assert_eq!(
            (found.cause.id.as_str(), line),
            (expected.cause.as_str(), expected.line),
            "{}",
            expected.log
        );
    }
}

#[test]
fn every_fixture_is_listed() {
    let listed: HashSet<PathBuf> = expected().iter().map(|expected| logs().join(&expected.log)).collect();
    for version in
        std::fs::read_dir(logs()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for log in std::fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(listed.contains(&log), "{}", log.display());
        }
    }
}

/// What a tool prints in front of each line must not matter.
#[test]
fn exports_of_the_journal_are_read() {
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
fn wrappers_do_not_change_the_answer() {
    let wrappers: [fn(&str) -> String; 9] = [
        |line| format!("dind-1  | {line}"),
        |line| format!("2024-05-01T10:00:00.123456789Z {line}"),
        |line| format!("2024-05-01T10:00:00.123456789Z stderr F {line}"),
        |line| format!("Jun 22 19:23:34 host dockerd[180]: {line}"),
        |line| format!("2024-05-01T10:00:00+0200 host dockerd[12]: {line}"),
        |line| format!("#8 2.452 {line}"),
        |line| format!("\u{1b}[33m{line}\u{1b}[0m"),
        |line| format!("{line}\r"),
        |line| serde_json::json!({"log": format!("{line}\n"), "stream": "stderr", "time": "x"}).to_string(),
    ];
    for expected in expected() {
        let text = std::fs::read_to_string(logs().join(&expected.log)).unwrap();
        for wrap in wrappers {
            let wrapped: Vec<String> = text.lines().map(wrap).collect();
            let found = diagnose(wrapped.join("\n"));
            let line = found.first_error.as_ref().map(|first| first.line);
            let about = || format!("{}: {}", expected.log, wrap("x"));
            assert_eq!(
                (found.cause.id.as_str(), line),
                (expected.cause.as_str(), expected.line),
                "{}",
                about()
            );
        }
    }
}

#[test]
fn several_refusals_are_a_missing_privilege_and_one_is_a_missing_capability() {
    let bridge =
        "level=error msg=\"Failed to create bridge docker0 via netlink\" error=\"operation not permitted\"\n";
    let nat = "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (you must be root)\n";
    assert_eq!(diagnose(bridge).cause.id.as_str(), "net-admin-capability-missing");
    assert_eq!(diagnose(format!("{bridge}{nat}")).cause.id.as_str(), "outer-container-not-privileged");
}

#[test]
fn a_refused_securityfs_alone_is_harmless_and_the_first_sign_of_more() {
    let securityfs = "mount: permission denied (are you root?)\nCould not mount /sys/kernel/security.\n\
                      AppArmor detection and --privileged mode might break.\n";
    assert_eq!(diagnose(securityfs).cause.id, NO_ERROR_FOUND);
    let found = diagnose(format!("{securityfs}mount: /tmp: permission denied\n"));
    assert_eq!(
        (found.cause.id.as_str(), found.first_error.unwrap().line),
        ("outer-container-not-privileged", 1)
    );
}

#[test]
fn the_client_counts_only_where_the_daemon_is_silent() {
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
fn a_failed_overlay_mount_counts_unless_a_better_driver_took_over() {
    let failed = "level=error msg=\"failed to mount overlay: invalid argument\" storage-driver=overlay2\n";
    let chosen =
        |driver| format!("{failed}level=info msg=\"Docker daemon\" storage-driver={driver} version=26\n");
    assert_eq!(diagnose(chosen("vfs")).cause.id.as_str(), "overlay-on-overlay-data-root");
    assert_eq!(diagnose(chosen("fuse-overlayfs")).cause.id, NO_ERROR_FOUND);
}

#[test]
fn a_message_that_was_broken_into_lines_is_read_as_one() {
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
fn what_the_entrypoint_of_dind_says_on_its_way_is_harmless() {
    let text = "cat: can't open '/proc/net/arp_tables_names': No such file or directory\n\
                Device \"ip_tables\" does not exist.\niptables v1.8.10 (nf_tables)\n\
                time=\"x\" level=warning msg=\"mountpoint for pids not found\"\n";
    assert_eq!(diagnose(text).cause.id, NO_ERROR_FOUND);
    let found = diagnose(format!("{text}failed to start daemon: Devices cgroup isn't mounted\n"));
    assert_eq!(found.first_error.unwrap().line, 5);
}

/// A wrapper that nobody knows does not make a failure of what is none.
#[test]
fn what_is_harmless_is_so_behind_any_words() {
    let modprobe = "modprobe: can't change directory to '/lib/modules': No such file or directory";
    let mount = "mount: permission denied (are you root?)";
    let handed_on = "ERROR: Failed to Setup IP tables: (iptables failed: iptables -t nat -N DOCKER: modprobe: no modules\n\
                     iptables v1.8.4 (legacy): can't initialize iptables table `nat': Table does not exist";
    assert_eq!(diagnose(handed_on).cause.id.as_str(), "kernel-lacks-legacy-iptables-nat");
    for wrapper in ["dind ", "pod/dind-0 dind ", "Wed May  1 10:00:00 UTC 2024 ", "(dind) ", "ERROR: "] {
        assert_eq!(diagnose(format!("{wrapper}{modprobe}\n")).cause.id, NO_ERROR_FOUND, "{wrapper}");
        let found = diagnose(format!("{wrapper}{modprobe}\n{wrapper}{mount}\n"));
        assert_eq!(
            (found.cause.id.as_str(), found.first_error.unwrap().line),
            ("outer-container-not-privileged", 2),
            "{wrapper}"
        );
    }
}

#[test]
fn a_flag_is_refused_by_the_daemon_or_by_the_client() {
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
    assert_eq!(diagnose(pulled).cause.id, NO_ERROR_FOUND);
}

/// A build that dies in a container, in the words of its tools.
#[test]
fn builds_without_network_memory_or_a_client_say_so() {
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
fn an_error_that_nobody_knows_is_quoted() {
    let found = diagnose("ok\ndocker: Error response from daemon: the moon is in the wrong phase.\n");
    assert_eq!((found.cause.id, found.first_error.unwrap().line), (UNKNOWN, 2));
}

#[test]
fn an_error_that_the_daemon_survived_is_harmless() {
    let text = "level=error msg=\"the moon is in the wrong phase\"\nlevel=info msg=\"Daemon has completed initialization\"\n";
    let found = diagnose(text);
    assert_eq!((found.cause.id, found.ignored_noise.len()), (NO_ERROR_FOUND, 1));
}

#[test]
fn a_log_may_be_asked_while_it_grows() {
    let mut diagnoser = Diagnoser::new();
    diagnoser.push(b"level=info msg=x\nfailed to find run");
    assert_eq!(diagnoser.finish().cause.id, UNKNOWN);
    diagnoser.push(b"c binary");
    assert_eq!(diagnoser.finish().cause.id.as_str(), "runc-program-missing");
    diagnoser.push(b"\nmore\n");
    assert_eq!(diagnoser.finish().first_error.unwrap().line, 2);
}

#[test]
fn the_json_has_the_fields_of_schema_1() {
    let value = serde_json::to_value(diagnose("iptables: not found\n")).unwrap();
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["schema_version", "cause", "first_error", "last_error", "consequences", "ignored_noise", "hint"]
    );
    let cause: Vec<&str> = value["cause"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(cause, ["id", "stage", "meaning", "remedy"]);
    assert_eq!((&value["schema_version"], &value["first_error"]["line"]), (&1.into(), &1.into()));
}

/// Twice the bytes must not take much more than twice the time, whatever they are.
#[test]
fn hostile_streams_take_linear_time() {
    let hostile = [
        "error ".repeat(100),
        "iptables failed: iptables ".repeat(20),
        "\\\\\\\\\\\"".repeat(100),
        "{\"log\":\"{\\\"log\\\":\\\"error\\\"}\"}".to_owned(),
        "level=error msg=\"".repeat(30),
        format!("{} failed", "| ".repeat(200)),
        "overlay mount cgroup /sys/fs/cgroup bridge x509 containerd ".repeat(10),
    ];
    for line in hostile {
        let text = (line + "\n").repeat(400);
        let start = Instant::now();
        diagnose(&text);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {}", start.elapsed(), &text[..60]);
    }
}

#[test]
fn every_cause_can_be_acted_on() {
    let mut ids = HashSet::new();
    for cause in diagnosis::all() {
        assert!(ids.insert(cause.id), "{} twice", cause.id);
        assert!(
            cause
                .id
                .as_str()
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
        for text in [&cause.stage, &cause.meaning, &cause.remedy, &cause.source] {
            assert!(!text.trim().is_empty(), "{}", cause.id);
        }
        assert!(cause.meaning.ends_with('.') && cause.remedy.ends_with(['.', ')', '`']), "{}", cause.id);
        let judged = [NO_ERROR_FOUND, UNKNOWN].contains(&cause.id);
        assert!(
            judged || cause.live.is_some() || !cause.signatures.is_empty(),
            "{} is never found",
            cause.id
        );
        assert!(cause.signatures.is_empty() || cause.shows.is_some(), "{} does not show", cause.id);
        assert!(cause.neighbours.iter().all(|other| diagnosis::find(other).is_some()), "{}", cause.id);
        assert!(diagnosis::explain(cause).contains(&cause.remedy));
    }
}

/// The ids that the source names, with the file.
fn ids_in_the_source() -> Vec<(String, PathBuf)> {
    let mut ids = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let named = text.split("CauseId::new(").skip(1).map(str::trim_start);
                let named = named.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
                ids.extend(named.map(|id| (id.to_owned(), path.clone())));
            }
        }
    }
    ids
}

#[test]
fn every_id_in_the_source_is_in_the_vocabulary() {
    let ids = ids_in_the_source();
    assert!(ids.len() > 100, "only {} found", ids.len());
    for (id, path) in ids {
        assert!(diagnosis::find(&id).is_some(), "{id} in {}", path.display());
    }
}

/// Who says that a check finds a cause must have one that names it.
#[test]
fn every_cause_of_a_check_is_named_by_one() {
    let source = folder_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let steps: HashSet<&str> = dindcheck::steps::ALL.iter().map(|step| step.id).collect();
    for cause in diagnosis::all() {
        let Some(step) = cause.live.as_deref() else { continue };
        assert!(steps.contains(step), "{}: no step is called {step}", cause.id);
        let named = source.contains(&format!("\"{}\"", cause.id)) || cause.id.as_str() == "stale-socket";
        assert!(named, "{}: nothing in src names it", cause.id);
    }
}

fn folder_text(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => folder_text(&path),
        Some(extension) if extension == "rs" => std::fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

/// Causes of logs without a log of ours, and what it would take to have one.
const WITHOUT_A_LOG: &[(&str, &[&str])] = &[
    (
        "needs a user namespace or another user",
        &[
            "no-new-privileges",
            "not-root",
            "subuid-range-overlapping",
            "newuidmap-not-permitted",
            "subuid-range-missing",
            "user-namespaces-disabled",
            "sysfs-mount-denied-in-user-namespace",
            "masked-proc-blocks-proc-mount",
            "overlay-in-user-namespace-unsupported",
            "image-device-node-not-creatable",
            "image-uid-outside-mapped-range",
            "runc-child-namespace-refused",
            "docker-socket-permission-denied",
            "cgroup-v1-not-delegated",
        ],
    ),
    (
        "needs LXC, Sysbox, WSL 1 or another sandbox around",
        &[
            "runc-sysctl-denied-by-lxc-apparmor",
            "sysbox-mount-interception-mismatch",
            "sysbox-daemons-not-running",
            "wsl1-kernel-unsupported",
            "proc-sys-emulation-io-error",
            "outer-device-cgroup-denies-device",
            "netlink-handle-unavailable",
            "umask-not-settable",
            "init-script-ulimit-not-permitted",
        ],
    ),
    (
        "needs another kernel or other limits of the host's kernel",
        &[
            "kernel-lacks-ip6tables-nat",
            "kernel-lacks-iptables-raw",
            "kernel-lacks-nf-tables",
            "kernel-lacks-overlayfs",
            "kernel-lacks-legacy-iptables-nat",
            "kernel-lacks-veth",
            "kernel-lacks-bridge",
            "br-netfilter-unavailable",
            "keyring-quota-exceeded",
            "kernel-too-old-no-sys-fs-cgroup",
            "memory-cgroup-ids-exhausted",
            "data-root-filesystem-unsupported",
            "xfs-without-d-type",
            "loop-devices-unavailable",
            "devicemapper-pool-creation-failed",
            "iptables-backends-mixed",
            "modprobe-program-missing",
        ],
    ),
    (
        "needs AppArmor, SELinux or a seccomp profile of the host",
        &[
            "apparmor-parser-missing",
            "apparmor-denies-nested-profile",
            "seccomp-blocks-keyctl",
            "seccomp-blocks-clone3",
        ],
    ),
    (
        "needs cgroup v2, or cgroup v1 mounted in a way that would change the host's",
        &[
            "cgroup-v2-evacuation-race",
            "cgroup-v2-root-has-processes",
            "cgroup-v2-unsupported-by-docker",
            "cgroup-v2-not-delegated",
            "cgroup-host-namespace",
            "device-cgroup-bpf-not-permitted",
            "cgroup-limit-controller-unavailable",
            "cpuset-mounted-noprefix",
            "cgroup-root-miscomputed",
            "systemd-scope-creation-failed",
            "cgroup-parent-not-a-slice",
            "cgroup-v1-systemd-hierarchy-not-mounted",
        ],
    ),
    (
        "needs a registry or a network outside",
        &[
            "registry-rate-limit",
            "registry-certificate-untrusted",
            "registry-insecure-http",
            "registry-unreachable",
            "system-clock-wrong",
            "embedded-dns-unreachable",
            "container-outbound-network-unreachable",
            "mtu-mismatch",
            "docker-host-name-unresolved",
            "client-tls-certificate-mismatch",
            "client-tls-port-mismatch",
            "image-for-other-architecture",
        ],
    ),
    (
        "needs another version of Docker or containerd than those at hand",
        &[
            "nft-tool-missing",
            "ip-forward-disabled",
            "erofs-snapshotter-mkfs-missing",
            "containerd-snapshotter-not-available",
            "ipv6-subnet-not-configured",
            "data-root-in-image-layer",
            "data-root-refuses-metadata-changes",
        ],
    ),
    (
        "needs a race or a crash",
        &[
            "iptables-resource-busy",
            "iptables-chain-already-exists",
            "containerd-crashed",
            "containerd-start-timeout",
            "oom-killed",
            "client-plugin-crash",
            "net-admin-capability-missing",
            "docker-program-missing",
            "fuse-overlayfs-program-missing",
        ],
    ),
];

#[test]
fn every_cause_of_logs_has_a_log_or_a_reason_why_not() {
    let shown: HashSet<String> = expected().into_iter().map(|expected| expected.cause).collect();
    let excused: HashSet<&str> = WITHOUT_A_LOG.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    for cause in diagnosis::all().iter().filter(|cause| !cause.signatures.is_empty()) {
        let id = cause.id.as_str();
        assert!(
            shown.contains(id) != excused.contains(id),
            "{id}: logs {}, excused {}",
            shown.contains(id),
            excused.contains(id)
        );
    }
    assert!(excused.iter().all(|id| diagnosis::find(id).is_some()));
}

#[test]
fn an_id_can_be_a_constant() {
    const ID: CauseId = CauseId::new("not-root");
    assert_eq!(diagnosis::cause(ID).id.to_string(), "not-root");
}

const SCRAPS: &[&str] = &[
    "time=\"x\" level=error msg=\"",
    "level=info ",
    "failed",
    "error",
    "\\\"",
    "\"",
    "\n",
    "\r\n",
    "{\"log\":\"",
    "}",
    " | ",
    "overlay",
    "mount",
    "cgroup",
    ": invalid argument",
    "permission denied",
    "\u{1b}[31m",
    "iptables failed: ",
    "\0",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        diagnose(bytes);
    }

    #[test]
    fn pieces_do_not_change_the_answer(
        scraps in proptest::collection::vec(0..SCRAPS.len(), 0..80),
        piece in 1..200_usize,
    ) {
        let text: String = scraps.into_iter().map(|index| SCRAPS[index]).collect();
        let whole = diagnose(&text);
        let mut diagnoser = Diagnoser::new();
        text.as_bytes().chunks(piece).for_each(|bytes| diagnoser.push(bytes));
        let pieces = diagnoser.finish();
        assert_eq!(serde_json::to_string(&whole).unwrap(), serde_json::to_string(&pieces).unwrap());
    }

    #[test]
    fn yaml_of_any_shape_ends_soon(text in "[-a: \\[\\]{},\n\"'#|>&*?]{0,2000}") {
        let start = Instant::now();
        let _ = yaml::from_str::<serde_json::Value>(&text, Limits::HAND_WRITTEN);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
