//! Messages of real daemons (20.10.24, 26.1.5, 28.5.2), and what they mean.

use super::*;
use crate::causes;

/// What runc's errors are wrapped in by dockerd 28.5.
const CREATE: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
/// The same of 20.10.
const CREATE_20: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";

#[test]
fn innermost_part_has_operation_path_errno_and_program() {
    let of = |message: &str| {
        let Reason { operation, path, errno, program, .. } = Reason::of(message);
        (operation, path, errno.map(|errno| errno.name), program)
    };
    let own = |text: &str| text.to_owned();
    let some = |text: &str| Some(text.to_owned());
    for (message, operation, path, errno, program) in [
        (
            "mkdir /var/run/docker/containerd: read-only file system",
            "mkdir",
            some("/var/run/docker/containerd"),
            Some("EROFS"),
            None,
        ),
        (
            "OCI runtime exec failed: open /tmp/runc-process1278522429: no such file or directory",
            "open",
            some("/tmp/runc-process1278522429"),
            Some("ENOENT"),
            None,
        ),
        (
            &format!(
                "{CREATE_20}error during container init: error mounting \"/etc\" to rootfs at \"/usr/bin/busybox\": mount /etc:/usr/bin/busybox (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
            ),
            "mount",
            some("/usr/bin/busybox"),
            Some("ENOTDIR"),
            None,
        ),
        (
            &format!(
                "{CREATE}error during container init: error mounting \"/etc\" to rootfs at \"/x\": mount src=/etc, dst=/x, dstFd=/proc/thread-self/fd/14, flags=MS_BIND|MS_REC: not a directory"
            ),
            "mount",
            some("/x"),
            Some("ENOTDIR"),
            None,
        ),
        (
            &format!(
                "{CREATE}error spawning mount remapping thread: mount source thread: join container mntns: setns: operation not permitted"
            ),
            "setns",
            None,
            Some("EPERM"),
            None,
        ),
        (
            &format!(
                "{CREATE}error during container init: exec: \"nosuchprog\": executable file not found in $PATH: unknown"
            ),
            "exec",
            None,
            Some("ENOENT"),
            some("nosuchprog"),
        ),
        (
            "fork/exec /usr/sbin/runc: exec format error: unknown",
            "fork/exec",
            some("/usr/sbin/runc"),
            Some("ENOEXEC"),
            some("/usr/sbin/runc"),
        ),
        (
            "failed to initialize logging driver: dial tcp 127.0.0.1:24224: connect: connection refused",
            "connect",
            some("127.0.0.1:24224"),
            Some("ECONNREFUSED"),
            None,
        ),
        (
            "failed to load listeners: can't create unix socket /a/d.sock: listen unix /a/d.sock: bind: no such file or directory",
            "bind",
            some("/a/d.sock"),
            Some("ENOENT"),
            None,
        ),
        ("ttrpc: closed: unavailable", "unavailable", None, None, None),
        ("", "", None, None, None),
    ] {
        assert_eq!(of(message), (own(operation), path, errno, program), "{message}");
    }
}

/// A message, its cause (`-` where the caller's stays), and a part of what mends it.
#[track_caller]
fn means(message: &str, cause: &str, hint: &str) {
    let (found, said) = advise(message).or(causes::CONTAINER_START_FAILED);
    let said = said.unwrap_or_default();
    assert_eq!(found.as_str(), cause, "{message}: {said}");
    assert!(said.contains(hint), "{message}: {said}");
    assert!(!said.contains('{') || said.contains("{\"") || said.contains("{command"), "{message}: {said}");
}

#[test]
fn log_drivers_are_named_with_what_they_need() {
    let log = "log-driver-unusable";
    for wrapper in ["", "failed to create task for container: "] {
        let says = |text: &str| format!("{wrapper}failed to initialize logging driver: {text}");
        means(
            &says("journald is not enabled on this host"),
            log,
            "-v /run/systemd/journal:/run/systemd/journal",
        );
        means(
            &says("dial tcp 127.0.0.1:24224: connect: connection refused"),
            log,
            "the log server 127.0.0.1:24224 does not accept",
        );
        means(
            &says("dial tcp: lookup logs.example on 8.8.8.8:53: no such host"),
            log,
            "the log server logs.example does not",
        );
        means(
            &says(
                "gelf: cannot connect to GELF endpoint: 127.0.0.1:9 dial tcp 127.0.0.1:9: connect: connection refused",
            ),
            log,
            "127.0.0.1:9 does not accept",
        );
        means(&says("Unix syslog delivery error"), log, "/dev/log");
        means(&says("splunk: splunk-url is expected"), log, "(splunk: splunk-url is expected)");
        means(&says("invalid size: 'abc'"), log, "(invalid size: 'abc')");
    }
    means(
        "error looking up logging plugin nosuch: plugin \"nosuch\" not found",
        log,
        "knows no log driver nosuch",
    );
    means("unknown log opt 'nosuch' for json-file log driver", log, "remove `nosuch` from `log-opts`");
    means("gelf-address is a required parameter", log, "(gelf-address is a required parameter)");
    means("must specify a value for log opt 'awslogs-group'", log, "awslogs-group");
}

#[test]
fn what_an_image_names_and_lacks_is_told() {
    let image = "image-config-unusable";
    means("no command specified", image, "container: {command: [");
    means("No command specified", image, "container: {command: [");
    means("unable to find user nosuchuser: no matching entries in passwd file", image, "no user nosuchuser");
    means(
        "unable to find group nosuchgroup: no matching entries in group file",
        image,
        "no group nosuchgroup",
    );
    means("Cannot mkdir: /usr/bin/busybox is not a directory", image, "/usr/bin/busybox, which `WORKDIR`");
    means(
        "OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd (\"/nosuch/x\") set in config.json failed: no such file or directory",
        image,
        "`WORKDIR /nosuch/x`",
    );
}

#[test]
fn programs_that_do_not_run_are_named() {
    let executable = "entrypoint-not-executable";
    let init = |text: &str| format!("{CREATE}error during container init: {text}");
    means(&init("exec: \"usr\": executable file not found in $PATH"), executable, "there is no usr");
    means(&init("exec: \"/usr/bin\": is a directory: permission denied"), executable, "`chmod +x /usr/bin`");
    means(
        &format!("{CREATE_20}exec: \"/usr/bin\": permission denied: unknown"),
        executable,
        "`chmod +x /usr/bin`",
    );
    means(
        &init("exec: \"/nothing\": stat /nothing: no such file or directory"),
        executable,
        "there is no /nothing",
    );
    means("exec /tmp/scr: no such file or directory\n", executable, "there is no /tmp/scr");
    means(
        "exec /tmp/other: exec format error",
        "image-for-other-architecture",
        "/tmp/other is built for another processor",
    );
    means("exec /sbin/docker-init: exec format error", "binary-not-runnable", "static tini");
    means(
        "exec /sbin/docker-init: no such file or directory",
        "binary-not-runnable",
        "(no such file or directory)",
    );
    means(
        "exec: \"docker-init\": executable file not found in $PATH",
        "docker-init-program-missing",
        "install docker-init",
    );
    let retrieve = "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/x/log.json: no such file or directory): ";
    means(
        &format!("{retrieve}exec: \"runc\": executable file not found in $PATH"),
        "runc-program-missing",
        "package runc",
    );
    means(
        &format!("{retrieve}fork/exec /usr/sbin/runc: exec format error: unknown"),
        "binary-not-runnable",
        "/usr/sbin/runc cannot be executed",
    );
    means(
        &format!("{retrieve}fork/exec /opt/kata: no such file or directory"),
        "oci-runtime-program-missing",
        "the program /opt/kata of the runtime",
    );
    means(
        &format!("{retrieve}runc did not terminate successfully: exit status 1: unknown"),
        "container-start-failed",
        "dindcheck does not know this message: runc did not terminate successfully; ",
    );
    let shim = "failed to create task for container: failed to start shim: start failed: : fork/exec /usr/bin/containerd-shim-runc-v2: ";
    means(
        &format!("{shim}no such file or directory"),
        "containerd-shim-program-missing",
        "package containerd",
    );
    means(
        &format!("{shim}exec format error: unknown"),
        "binary-not-runnable",
        "containerd-shim-runc-v2 cannot be executed",
    );
    means(
        "failed to start shim: start failed: no luck\n: exit status 1: unknown",
        "container-start-failed",
        "start failed: no luck;",
    );
    means(
        "failed to start userland proxy: fork/exec /usr/sbin/docker-proxy: no such file or directory",
        "docker-proxy-program-missing",
        "/usr/sbin/docker-proxy",
    );
    means(
        "exec: \"docker-proxy\": executable file not found in $PATH",
        "docker-proxy-program-missing",
        "docker-proxy",
    );
    means(
        "unknown or invalid runtime name: nosuch",
        "oci-runtime-not-registered",
        "{\"nosuch\": {\"path\": \"/path/of/nosuch\"}}",
    );
    means("Unknown runtime specified nosuch", "oci-runtime-not-registered", "no runtime nosuch");
    means(
        "failed to start daemon: specified default runtime 'nosuch' does not exist",
        "oci-runtime-not-registered",
        "no runtime nosuch",
    );
}

#[test]
fn temporary_directories_are_named() {
    let exec = |path: &str, errno: &str| {
        format!("OCI runtime exec failed: open {path}/runc-process1278522429: {errno}: unknown")
    };
    means(&exec("/tmp", "no such file or directory"), "tmp-not-writable", "`mkdir -m 1777 /tmp`");
    means(
        &exec("/nosuch", "no such file or directory"),
        "tmp-not-writable",
        "`mkdir -m 1777 /nosuch`, or start dockerd without TMPDIR",
    );
    means(&exec("/tmp", "not a directory"), "tmp-not-writable", "`rm /tmp && mkdir -m 1777 /tmp`");
    means(&exec("/tmp", "read-only file system"), "tmp-not-writable", "`mount -t tmpfs tmpfs /tmp`");
    means("write /tmp/runc-process17: no space left on device", "disk-full", "`df -h /tmp; df -i /tmp`");
    means(
        "mkdir /tmp/containerd-mount3812: no such file or directory",
        "tmp-not-writable",
        "mkdir -m 1777 /tmp",
    );
}

#[test]
fn files_and_devices_of_containers_are_named() {
    let bind = "bind-source-not-on-daemon-host";
    means(
        "error gathering device information while adding custom device \"/dev/nosuch\": no such file or directory",
        "dev-node-missing",
        "--device /dev/nosuch",
    );
    means(
        "invalid mount config for type \"bind\": bind source path does not exist: /nosuch",
        bind,
        "`mkdir -p /nosuch`",
    );
    means(
        &format!(
            "{CREATE}error during container init: error mounting \"/etc\" to rootfs at \"/x\": mount src=/etc, dst=/x, dstFd=/proc/thread-self/fd/14, flags=MS_BIND|MS_REC: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
        ),
        bind,
        "/etc (where dockerd runs) and /x",
    );
    means(
        "mkdir /var/run/docker/containerd: read-only file system",
        "data-root-read-only",
        "findmnt -T /var/run/docker/containerd",
    );
    means("write /var/lib/docker/x: no space left on device", "disk-full", "df -h /var/lib/docker/x");
    means(
        &format!(
            "{CREATE}error setting rlimits for ready process: error setting rlimit type 7: operation not permitted"
        ),
        "rlimit-above-hard-limit",
        "default-ulimits",
    );
    means(
        "failed to bind host port for 0.0.0.0:4321:172.18.0.2:80/tcp: address already in use",
        "listen-port-in-use",
        "0.0.0.0:4321",
    );
    means(
        "could not select device driver \"\" with capabilities: [[gpu]]",
        "oci-runtime-not-registered",
        "[[gpu]]",
    );
}

#[test]
fn options_of_dockerd_are_named() {
    let option = "daemon-option-invalid";
    means(
        "failed to validate authorization plugin: plugin \"nosuch\" not found",
        "authorization-plugin-unavailable",
        "/run/docker/plugins/nosuch.sock",
    );
    means(
        "Status: invalid argument \"nosuch=1\" for \"--default-ulimit\" flag: invalid ulimit type: nosuch\nSee 'dockerd --help'., Code: 125",
        option,
        "for `--default-ulimit` (invalid ulimit type: nosuch)",
    );
    means(
        "Status: invalid argument \"abc\" for \"--mtu\" flag: strconv.ParseInt: parsing \"abc\": invalid syntax\n, Code: 125",
        option,
        "for `--mtu`",
    );
    means(
        "failed to start daemon: insecure registry :::: is not valid: invalid host \"::::\"",
        option,
        "insecure registry :::: is not valid",
    );
    means(
        "failed to start daemon: opening seccomp profile (/nosuch) failed: open /nosuch: no such file or directory",
        option,
        "names /nosuch",
    );
    means("invalid exec-opt (nosuch=1): unknown option: 'nosuch'", option, "invalid exec-opt (nosuch=1)");
    means("failed to load listeners: group nosuch not found", option, "`groupadd nosuch`");
    means(
        "failed to start daemon: Error initializing network controller: error creating default \"bridge\" network: auxiliary address: (DefaultGatewayIPv4:10.99.99.99) must belong to the master pool: 10.1.2.0/24",
        option,
        "`default-gateway` is 10.99.99.99",
    );
    means(
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: could not construct local address space: network at index 0 (&{10.0.0.0/8 4}) has a smaller prefix (/8) than the target size of that pool (/4)",
        option,
        "10.0.0.0/8 with `size` 4",
    );
    means(
        "failed to start daemon: Error initializing network controller: invalid CIDR address: 10.1.2.0/24x",
        option,
        "10.1.2.0/24x is no subnet",
    );
    means(
        "Error during uid lookup for \"nosuch\": getent unable to find entry \"nosuch\" in passwd database",
        option,
        "`useradd -r nosuch`",
    );
    means(
        &format!(
            "failed to load listeners: can't create unix socket /{0}: listen unix /{0}: bind: invalid argument",
            "x".repeat(120)
        ),
        "unix-socket-path-too-long",
        "107 bytes",
    );
    means(
        "failed to load listeners: can't create unix socket /nosuch/d.sock: listen unix /nosuch/d.sock: bind: no such file or directory",
        "daemon-path-unusable",
        "the directory of the socket /nosuch/d.sock",
    );
    means(
        "failed to load listeners: listen tcp 10.255.255.1:2399: bind: cannot assign requested address",
        option,
        "10.255.255.1:2399 is no address",
    );
    means(
        "error creating default \"bridge\" network: bridge device with non default name nosuch must be created manually",
        "docker0-bridge-missing",
        "ip link add nosuch type bridge",
    );
    means(
        "failed to start daemon: error initializing graphdriver: Storage Option overlay2.size only supported for backingFS XFS. Found extfs",
        "storage-quota-unsupported",
        "remove `overlay2.size`",
    );
    means(
        "failed to start daemon: error initializing graphdriver: overlay2: unknown option nosuch",
        "storage-option-unknown-to-driver",
        "remove `nosuch`",
    );
    means(
        "mkdir /root/dangling: file exists",
        "daemon-path-unusable",
        "`mkdir -p \"$(readlink -m /root/dangling)\"`",
    );
    means(
        "failed to start daemon: Unable to get the TempDir under /var/lib/docker: mkdir /dev/null: not a directory",
        "daemon-path-unusable",
        "/dev/null",
    );
}

#[test]
fn unknown_message_is_shown_first() {
    means("something new", "container-start-failed", "dindcheck does not know this message: something new; ");
    means(
        "openat /x/y: permission denied",
        "container-start-failed",
        "openat /x/y: permission denied; look at the owner, mode and mount of /x/y",
    );
    let (one, other) = (advise("one").or(causes::DAEMON_EXITED), advise("other").or(causes::DAEMON_EXITED));
    assert_ne!(one, other);
}

#[test]
fn refused_system_calls_are_named() {
    let call = |message: &str| Reason::of(message).refused_call();
    for (message, wanted) in [
        ("join container mntns: setns: operation not permitted", Some("setns")),
        ("join container mntns: setns: function not implemented", Some("setns")),
        (
            "unable to join session keyring: unable to create session key: operation not permitted",
            Some("keyctl"),
        ),
        ("setns: no such file or directory", None),
        ("open /etc/x: permission denied", None),
        ("failed to mount overlay: operation not permitted storage-driver=overlay2", Some("mount")),
        ("unmount dst=., flags=MS_NOSUID: operation not permitted", Some("umount2")),
        ("no luck", None),
    ] {
        assert_eq!(call(message), wanted, "{message}");
    }
}

#[test]
fn every_rule_compiles() {
    for rule in rules::RULES.iter() {
        assert!(rule.says.regex().is_some(), "{}", rule.hint);
    }
}
