//! Faults of `daemon-state`: what an earlier daemon, another one, or the outer one left.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, Repair};

const STATE: Fault = Fault { step: "daemon-state", ..FAULT };

/// A socket that nobody listens on any more.
macro_rules! dead_socket {
    ($path:literal) => {
        concat!(
            "mkdir -p $(dirname ",
            $path,
            "); perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"",
            $path,
            "\", Listen => 1) or die'"
        )
    };
}

/// A socket on which somebody answers every request as a daemon would.
macro_rules! live_socket {
    ($path:literal) => {
        concat!(
            "perl -MIO::Socket::UNIX -e 'my $l = IO::Socket::UNIX->new(Local => \"", $path, "\", Listen => 8) or die; $SIG{PIPE} = \"IGNORE\"; exit if fork; ",
            "while (my $c = $l->accept) { while (<$c>) { last if /^\\r$/ } ",
            "print $c \"HTTP/1.1 200 OK\\r\\nApi-Version: 1.45\\r\\nServer: Docker/26.1.5 (linux)\\r\\nContent-Length: 2\\r\\n\\r\\nOK\"; close $c }' </dev/null >/dev/null 2>&1"
        )
    };
}

/// Starts a daemon and waits until it answers.
macro_rules! daemon {
    ($args:literal) => {
        concat!("dockerd ", $args, " >/var/log/other.log 2>&1 & i=0; until grep -q 'API listen' /var/log/other.log; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.05; done")
    };
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "pid-file-names-another-process",
        breaks: "echo 1 >/run/docker.pid; touch -d '2 hours ago' /run/docker.pid",
        cause: "stale-docker-pid-file",
        repair: Repair::Repaired,
        suites: EVERY_ENGINE,
        ..STATE
    },
    Fault {
        name: "containerd-pid-file-names-another-process",
        breaks: "mkdir -p /run/docker/containerd; sleep 300 & echo $! >/run/docker/containerd/containerd.pid; touch -d '2 hours ago' /run/docker/containerd/containerd.pid",
        profile: "daemon: {start_timeout: 10s}",
        cause: "stale-containerd-pid-file",
        repair: Repair::Repaired,
        suites: EVERY_ENGINE,
        ..STATE
    },
    Fault {
        name: "socket-is-a-directory",
        breaks: "mkdir -p /run/docker.sock",
        cause: "docker-socket-is-a-directory",
        ..STATE
    },
    Fault {
        name: "socket-of-the-outer-daemon",
        breaks: concat!(
            live_socket!("/opt/outer.sock"),
            "; : >/run/docker.sock; mount --bind /opt/outer.sock /run/docker.sock"
        ),
        cause: "docker-socket-is-the-outer-daemons",
        ..STATE
    },
    Fault {
        name: "socket-path-bind-mounted",
        breaks: ": >/opt/file; : >/run/docker.sock; mount --bind /opt/file /run/docker.sock",
        cause: "docker-socket-path-bind-mounted",
        ..STATE
    },
    Fault {
        name: "containerd-socket-dead",
        breaks: dead_socket!("/run/containerd/containerd.sock"),
        profile: IMPATIENT,
        cause: "containerd-socket-not-answering",
        suites: EVERY_ENGINE,
        ..STATE
    },
    Fault {
        name: "port-in-use",
        breaks: "perl -MIO::Socket::INET -e 'my $l = IO::Socket::INET->new(LocalAddr => \"127.0.0.1:2375\", Listen => 1) or die; exit if fork; sleep 300' </dev/null >/dev/null 2>&1",
        dockerd: &["--host=tcp://127.0.0.1:2375", "--tls=false"],
        cause: "listen-port-in-use",
        ..STATE
    },
    Fault {
        name: "daemon-runs-already",
        breaks: daemon!(""),
        cause: "daemon-already-running",
        suites: EVERY_ENGINE,
        ..STATE
    },
    Fault {
        name: "another-daemon-on-the-data-root",
        breaks: daemon!(
            "--exec-root /run/other --pidfile /run/other.pid --host unix:///run/other.sock --bridge none --iptables=false"
        ),
        profile: IMPATIENT,
        cause: "data-root-shared-by-two-daemons",
        ..STATE
    },
];
