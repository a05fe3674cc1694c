//! Messages whose subject is in their words and not in a path or an errno: an option, a name, an image.
//!
//! `{name}` in a hint is what the group of that name matched. The messages are those of moby (20.10 to 28.5), containerd and
//! runc, read from real daemons; the first row that matches counts.

use std::sync::LazyLock;

use crate::matcher::Pattern;
use crate::vocabulary::{CauseId, causes};

/// A message with its cause and what mends it.
pub(super) struct Rule {
    /// What the message says.
    pub(super) says: Pattern,
    /// Its cause; `None` where the caller's stays.
    pub(super) cause: Option<CauseId>,
    /// What to do, with the groups of the pattern.
    pub(super) hint: &'static str,
}

const fn rule(says: &'static str, cause: CauseId, hint: &'static str) -> Rule {
    Rule { says: Pattern::new(says), cause: Some(cause), hint }
}

const LOG: CauseId = causes::LOG_DRIVER_UNUSABLE;
const IMAGE: CauseId = causes::IMAGE_CONFIG_UNUSABLE;
const OPTION: CauseId = causes::DAEMON_OPTION_INVALID;
const RUNTIME: CauseId = causes::OCI_RUNTIME_NOT_REGISTERED;

/// All rules, in order.
pub(super) static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        // Errors of the gRPC transport: dockerd uses gRPC only with containerd, which was running when the daemon started.
        // Which one comes depends on whether the request, the dial or the preface was under way (grpc-go, clientconn.go and
        // internal/transport/http2_client.go). The shim's `ttrpc: closed` is another connection.
        rule(
            "connection error: desc = |connection closed: unavailable|unavailable: connection closed|transport is closing|error reading from server|client connection is closing|grpc: the connection is unavailable",
            causes::CONTAINERD_CRASHED,
            "containerd ended while dockerd used it: restart dockerd; its log says how containerd ended (`dockerd --debug`), and the kernel's whether it was killed for memory (`dmesg | grep -i oom`)",
        ),
        rule(
            "no chain/target/match by that name",
            causes::DOCKER_IPTABLES_CHAINS_FLUSHED,
            "the chains that dockerd made when it started are gone, because something flushed or reloaded the firewall: restart dockerd, which makes them again (`systemctl restart docker`), and let the firewall keep chains that are not its own",
        ),
        // --- log drivers (moby daemon/logger)
        rule(
            "journald is not enabled on this host",
            LOG,
            "the log driver journald needs the socket /run/systemd/journal/socket: start systemd-journald, mount the socket's directory into the outer container (`-v /run/systemd/journal:/run/systemd/journal`), or set `\"log-driver\": \"json-file\"` in /etc/docker/daemon.json",
        ),
        rule(
            "unix syslog delivery error",
            LOG,
            "the log driver syslog needs a server behind /dev/log: start one (`rsyslogd`), name one in `\"log-opts\": {\"syslog-address\": \"tcp://...\"}`, or set `\"log-driver\": \"json-file\"` in /etc/docker/daemon.json",
        ),
        rule(
            r"logging driver: .*dial \w+:? (?P<address>[^ ]+): .*: (?P<why>[^:]+?)\.?(: unknown)?$|logging driver: .*dial \w+:? .*lookup (?P<host>[^ :]+)",
            LOG,
            "the log server {address}{host} does not accept a connection: start it, correct its address in `log-opts`, or set `\"log-driver\": \"json-file\"` in /etc/docker/daemon.json",
        ),
        rule(
            r"looking up logging plugin (?P<name>[^ :]+):",
            LOG,
            "dockerd knows no log driver {name}, and no plugin of that name is installed (`docker plugin ls`): set `\"log-driver\": \"json-file\"` in /etc/docker/daemon.json",
        ),
        rule(
            r"unknown log opt '(?P<option>[^']+)' for (?P<driver>[^ ]+) log driver",
            LOG,
            "remove `{option}` from `log-opts` in /etc/docker/daemon.json or from `--log-opt`: the log driver {driver} does not know it",
        ),
        rule(
            r"logging driver: (?P<why>.+?)\.?(: unknown)?$|^(.*: )?(?P<why2>must specify a value for log opt .*|[a-z]+-[a-z]+ is a required parameter)\.?$",
            LOG,
            "correct `log-opts` of the log driver ({why}{why2}), or set `\"log-driver\": \"json-file\"` in /etc/docker/daemon.json",
        ),
        // --- what an image asks for
        rule(
            "no command specified",
            IMAGE,
            "the image has neither `CMD` nor `ENTRYPOINT`: give it a command in the profile, `container: {command: [\"/path/of/a/program\"]}`, or a `CMD` in its Dockerfile",
        ),
        rule(
            r"unable to find (?P<kind>user|group) (?P<name>[^ :]+): no matching entries",
            IMAGE,
            "the image has no {kind} {name}, which its `USER` names: add it in its Dockerfile (`RUN useradd {name}`, `RUN groupadd {name}`), or name a number there (`USER 1000`)",
        ),
        rule(
            r"cannot mkdir: (?P<path>.+) is not a directory",
            IMAGE,
            "{path}, which `WORKDIR` of the image names, is a file in it: name a directory in its Dockerfile",
        ),
        rule(
            r#"chdir to cwd \("(?P<path>[^"]+)"\)"#,
            IMAGE,
            "the container has no directory {path}, in which its program is to run: create it in the Dockerfile (`WORKDIR {path}`)",
        ),
        rule(
            "docker-init ended with .* started nothing",
            causes::BINARY_NOT_RUNNABLE,
            "the program docker-init, which runs first in containers with `--init`, does not start the container's own: install tini under that name (package docker-init, tini), or name one with `\"init-path\"` in /etc/docker/daemon.json",
        ),
        rule(
            r"^exec /sbin/docker-init: (?P<why>.+?)\.?$",
            causes::BINARY_NOT_RUNNABLE,
            "docker-init, which runs first in containers with `--init`, does not run in a container ({why}): install a static tini as docker-init (package docker-init, tini-static), or name one with `\"init-path\"` in /etc/docker/daemon.json",
        ),
        rule(
            r#"exec: "?(?P<program>[^" ]*docker-init)"?: .*not found"#,
            causes::DOCKER_INIT_PROGRAM_MISSING,
            "install docker-init (package docker-init, or a static tini under that name in PATH), or name one with `\"init-path\"` in /etc/docker/daemon.json",
        ),
        // --- runtimes
        rule(
            r"(unknown or invalid runtime name: |unknown runtime specified |specified default runtime ')(?P<name>[^' ]+?)('.*)?\.?$",
            RUNTIME,
            "dockerd has no runtime {name}: declare it in /etc/docker/daemon.json, `\"runtimes\": {\"{name}\": {\"path\": \"/path/of/{name}\"}}`, or set `\"default-runtime\": \"runc\"`, and restart dockerd",
        ),
        rule(
            r"could not select device driver .*capabilities: (?P<caps>.+?)\.?$",
            RUNTIME,
            "dockerd has no driver for devices of the kind {caps}: install nvidia-container-toolkit where dockerd runs, `nvidia-ctk runtime configure --runtime=docker`, and restart dockerd",
        ),
        // --- what a container is given
        rule(
            r#"adding custom device "(?P<path>[^"]+)": no such file"#,
            causes::DEV_NODE_MISSING,
            "{path} does not exist where dockerd runs: start the outer container with `--device {path}`, or with `--privileged`",
        ),
        rule(
            r"bind source path does not exist: (?P<path>.+?)\.?$",
            causes::BIND_SOURCE_NOT_ON_DAEMON_HOST,
            "{path} does not exist where dockerd runs, which is where the source of a mount is looked up: `mkdir -p {path}` there, or mount what the daemon has",
        ),
        rule(
            r#"error mounting "(?P<source>[^"]+)" to rootfs at "(?P<target>[^"]+)".*not a directory"#,
            causes::BIND_SOURCE_NOT_ON_DAEMON_HOST,
            "one of {source} (where dockerd runs) and {target} (in the image) is a directory and the other is a file: mount a file onto a file, or a directory onto a directory",
        ),
        rule(
            r#"authorization plugin: plugin "(?P<name>[^"]+)" not found"#,
            causes::AUTHORIZATION_PLUGIN_UNAVAILABLE,
            "dockerd finds no authorization plugin {name}: start it before dockerd, so that /run/docker/plugins/{name}.sock exists, or remove it from `authorization-plugins` in /etc/docker/daemon.json and from `--authorization-plugin`",
        ),
        rule(
            r"exec user process.*: (permission denied|no such file or directory)",
            causes::ENTRYPOINT_NOT_EXECUTABLE,
            "the command of the image, or the interpreter in its first line, does not exist or is not executable: correct `ENTRYPOINT` or `CMD`, or `COPY --chmod=0755` it; a command of the profile takes its place, `container: {command: [\"/path/of/a/program\"]}`",
        ),
        rule(
            r#"plugin "(?P<name>[^"]+)" not found"#,
            OPTION,
            "dockerd finds no plugin {name}: start it, so that /run/docker/plugins/{name}.sock exists, install it with `docker plugin install`, or remove it from dockerd's options and /etc/docker/daemon.json",
        ),
        rule(
            r"error setting rlimit type (?P<type>\d+): operation not permitted",
            causes::RLIMIT_ABOVE_HARD_LIMIT,
            "a limit of the inner container (RLIMIT number {type} of setrlimit(2); 7 is nofile, 6 is nproc) is above the hard limit of dockerd: lower `default-ulimits` in /etc/docker/daemon.json or `--default-ulimit`, or raise that of the outer container, `--ulimit nofile=1048576:1048576`",
        ),
        rule(
            r"(bind host port|userland proxy).*?(?P<address>\d+\.\d+\.\d+\.\d+:\d+).*address already in use",
            causes::LISTEN_PORT_IN_USE,
            "something listens on {address} already: `ss -ltnp` names it; stop it, or publish another port",
        ),
        rule(
            r"seccomp profile \((?P<path>[^)]+)\) failed",
            OPTION,
            "`--seccomp-profile` (`seccomp-profile` in /etc/docker/daemon.json) names {path}, which cannot be read: create that file, or remove the option",
        ),
        // --- options of dockerd (cmd/dockerd, daemon/config, libnetwork)
        rule(
            r#"(?s)invalid argument "(?P<value>[^"]*)" for "(?P<flag>--[^" ]+)" flag: (?P<why>.+?)\s*(see 'dockerd.*?)?(, code: \d+)?\.?$"#,
            OPTION,
            "dockerd does not take {value} for `{flag}` ({why}): correct it; `dockerd --help` shows the form",
        ),
        rule(
            r"(?P<what>insecure registry .+ is not valid|invalid exec-opt \([^)]*\)|parse (bip|fixed-cidr)[a-z0-9-]* failed): (?P<why>.+?)\.?$",
            OPTION,
            "correct that option in /etc/docker/daemon.json or on the command line of dockerd: {what}: {why}",
        ),
        rule(
            r"auxiliary address: \((?P<key>\w+):(?P<address>[^)]+)\) must belong to the master pool: (?P<pool>[^ ]+)",
            OPTION,
            "`default-gateway` is {address}, which is not in the subnet {pool} of the bridge: name an address of it, or set `bip` to a subnet that contains {address}",
        ),
        rule(
            r"could not construct local address space: network at index \d+ \(&\{(?P<base>\S+) (?P<size>\d+)\}\)",
            OPTION,
            "`default-address-pools` has {base} with `size` {size}: the size is the prefix length of each network, and must be larger than that of the base, as in `{\"base\": \"10.200.0.0/16\", \"size\": 24}`",
        ),
        rule(
            r"invalid cidr address: (?P<value>\S+)",
            OPTION,
            "{value} is no subnet: correct `bip` (or `fixed-cidr`) in /etc/docker/daemon.json or on the command line of dockerd; an address and a prefix length, as in `192.168.200.1/24`",
        ),
        rule(
            r"group (?P<name>\S+) not found",
            OPTION,
            "the group {name}, to which `--group` gives the socket, does not exist: `groupadd {name}`, or remove the option",
        ),
        rule(
            r#"during (?P<kind>uid|gid) lookup for "(?P<name>[^"]+)""#,
            OPTION,
            "`userns-remap` names {name}, which does not exist: `useradd -r {name}` and lines for it in /etc/subuid and /etc/subgid (`echo {name}:100000:65536 | tee -a /etc/subuid /etc/subgid`), or set `\"userns-remap\": \"default\"`",
        ),
        rule(
            r"bridge device with non.?default name (?P<name>\S+) must be created",
            causes::DOCKER0_BRIDGE_MISSING,
            "dockerd does not create the bridge {name} of `--bridge`: `ip link add {name} type bridge && ip addr add 192.168.200.1/24 dev {name} && ip link set {name} up` before it starts, or remove the option",
        ),
        rule(
            r"storage.option (?P<option>[a-z0-9_.]+) .*(only supported for backingfs (?P<wanted>\w+)\. found (?P<found>\w+)|does not support project quota)",
            causes::STORAGE_QUOTA_UNSUPPORTED,
            "remove `{option}` from `storage-opts` in /etc/docker/daemon.json (or `--storage-opt`), or put the data root on xfs that is mounted with `pquota`; it is on {found} now",
        ),
        rule(
            r"overlay2: unknown option (?P<option>\S+)",
            causes::STORAGE_OPTION_UNKNOWN_TO_DRIVER,
            "remove `{option}` from `storage-opts` in /etc/docker/daemon.json or from `--storage-opt`: overlay2 does not know it",
        ),
        rule(
            r"listen unix (?P<path>[^:]{108,}): bind: invalid argument",
            causes::UNIX_SOCKET_PATH_TOO_LONG,
            "the path of that socket is longer than the 107 bytes that unix(7) allows: give dockerd a shorter one, `-H unix:///run/docker.sock`",
        ),
        rule(
            r"listen tcp[46]? (?P<address>\S+): bind: cannot assign requested address",
            OPTION,
            "{address} is no address of this machine (`ip addr` lists them): name one of them in `-H`, or `-H tcp://0.0.0.0:2376` with TLS",
        ),
        rule(
            r"listen unix (?P<path>[^:]+): bind: no such file or directory",
            causes::DAEMON_PATH_UNUSABLE,
            "the directory of the socket {path} does not exist: create it (`mkdir -p \"$(dirname {path})\"`), or name another path in `-H`",
        ),
    ]
});
