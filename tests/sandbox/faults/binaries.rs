//! Faults of `binaries`: programs that are missing, or there and useless.

use crate::fault::{EVERY_ENGINE, FAULT, Fault, IMPATIENT, WARNING};
use crate::world::Suite;

const BINARIES: Fault = Fault { step: "binaries", ..FAULT };
const WARNED: Fault = Fault { step: "binaries", ..WARNING };
const BROKEN: Fault = Fault { cause: "binary-not-runnable", ..BINARIES };

pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "no-dockerd",
        breaks: "rm /usr/sbin/dockerd",
        cause: "docker-program-missing",
        suites: EVERY_ENGINE,
        ..BINARIES
    },
    Fault {
        name: "no-containerd",
        breaks: "rm /usr/bin/containerd",
        cause: "containerd-program-missing",
        suites: EVERY_ENGINE,
        ..BINARIES
    },
    Fault {
        name: "no-shim",
        breaks: "rm /usr/bin/containerd-shim-runc-v2",
        cause: "containerd-shim-program-missing",
        suites: EVERY_ENGINE,
        ..BINARIES
    },
    Fault {
        name: "no-runc",
        breaks: "rm -f /usr/bin/runc /usr/sbin/runc",
        cause: "runc-program-missing",
        suites: EVERY_ENGINE,
        ..BINARIES
    },
    Fault {
        name: "no-docker-proxy",
        breaks: "rm /usr/sbin/docker-proxy",
        cause: "docker-proxy-program-missing",
        suites: &[Suite::Trixie, Suite::Forky],
        ..BINARIES
    },
    Fault {
        name: "no-docker-proxy-in-20-10",
        breaks: "rm /usr/sbin/docker-proxy",
        cause: "docker-proxy-program-missing",
        suites: &[Suite::Bookworm],
        ..BINARIES
    },
    Fault {
        name: "no-docker-init",
        breaks: "rm /usr/bin/docker-init",
        cause: "docker-init-program-missing",
        ..WARNED
    },
    // The machine's clock is everybody's, so the engine is from the future.
    Fault {
        name: "clock-before-the-engine",
        breaks: "touch -d 2100-01-01 /usr/sbin/dockerd",
        cause: "system-clock-wrong",
        ..WARNED
    },
    Fault {
        name: "no-iptables",
        breaks: "rm /usr/sbin/iptables",
        cause: "iptables-program-missing",
        suites: EVERY_ENGINE,
        ..BINARIES
    },
    Fault {
        name: "iptables-dangling",
        breaks: "ln -sf /nowhere /etc/alternatives/iptables",
        cause: "iptables-program-missing",
        ..BINARIES
    },
    Fault {
        name: "no-ip6tables",
        breaks: "rm /usr/sbin/ip6tables",
        cause: "iptables-program-missing",
        suites: &[Suite::Forky],
        ..WARNED
    },
    Fault { name: "dockerd-not-executable", breaks: "chmod a-x /usr/sbin/dockerd", ..BROKEN },
    Fault { name: "containerd-empty", breaks: ": >/usr/bin/containerd", ..BROKEN },
    Fault { name: "runc-not-executable", breaks: "chmod a-x $(readlink -f $(command -v runc))", ..BROKEN },
    Fault {
        name: "runc-of-another-machine",
        breaks: "f=$(readlink -f $(command -v runc)); printf '\\267\\000' | dd of=$f bs=1 seek=18 conv=notrunc 2>&1",
        ..BROKEN
    },
    Fault { name: "shim-cut-short", breaks: "truncate -s 4096 /usr/bin/containerd-shim-runc-v2", ..BROKEN },
    Fault {
        name: "dockerd-without-its-loader",
        breaks: "sed -i s,/lib64/ld-linux-x86-64.so.2,/lib64/ld-linux-x86-64.so.9, /usr/sbin/dockerd",
        ..BROKEN
    },
    Fault {
        name: "containerd-crashes",
        breaks: "printf '#!/bin/sh\\nkill -SEGV $$\\n' >/usr/bin/containerd",
        profile: IMPATIENT,
        ..BROKEN
    },
    Fault {
        name: "iptables-of-a-broken-version",
        breaks: "mv /usr/sbin/iptables /usr/sbin/iptables.real; printf '#!/bin/sh\\ncase $1 in --version|-V) echo \"iptables v1.8.2 (nf_tables)\";; *) exec xtables-nft-multi iptables \"$@\";; esac\\n' >/usr/sbin/iptables; chmod +x /usr/sbin/iptables",
        cause: "iptables-version-broken",
        ..WARNED
    },
    Fault {
        name: "dockerd-not-in-path",
        env: &[("PATH", "/usr/local/bin:/usr/bin:/bin")],
        cause: "docker-program-missing",
        ..BINARIES
    },
];
