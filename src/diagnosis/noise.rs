//! Which messages look like failures and are none?
//!
//! Each kind has a name, which the diagnosis shows, so that nobody has to guess why a line was passed over.

use std::sync::LazyLock;

use regex::bytes::RegexSet;

use super::log::{Level, Record};
use super::signatures;

/// A kind of harmless message.
struct Kind {
    name: &'static str,
    text: &'static str,
}

const fn kind(name: &'static str, text: &'static str) -> Kind {
    Kind { name, text }
}

/// Harmless whatever level they come at.
const ALWAYS: &[Kind] = &[
    kind(
        "plugin not configured",
        r"skip(ping|ped)? (loading )?plugin|devmapper not configured|skip loading plugin",
    ),
    kind(
        "unused snapshotter",
        r"(could not use|failed to load) .*(snapshotter|differ|plugin).*(aufs|btrfs|zfs|devmapper|blockfile|erofs|overlaybd|stargz)",
    ),
    kind("aufs absent", r"aufs (was )?not found|module aufs"),
    kind(
        "no CNI network",
        r"\bcni\b.*(fail|no network config|not initialized|unable)|no network config found",
    ),
    kind(
        "modprobe attempt",
        r"^modprobe: |^(iptables|ip6tables|nft)?:? ?modprobe: |running modprobe|^ip: (can.t find device|either)|^lsmod|could not load necessary modules|module [a-z_0-9]+ not found in directory|trying to load .*module",
    ),
    kind("tracing not configured", r"\b(otlp|otel|opentelemetry|tracing processor|tracing endpoint)\b"),
    kind("deprecation notice", r"deprecat(ed|ion)\b"),
    kind(
        "TCP without TLS warning",
        r"without setting --tls|--tlsverify|api is accessible on|remote api is equivalent to root|startup is intentionally being slowed|without tls is not recommended",
    ),
    kind(
        "securityfs not mounted",
        r"could not mount /sys/kernel/security|--privileged mode might break|/sys/kernel/security\b.*(permission denied|not permitted|already mounted)|securityfs",
    ),
    kind("statistics of an unmounted hierarchy", r"loading cgroup for \d+"),
    kind("key quota not raised", r"unable to modify root key limit"),
    kind(
        "kernel without a limit",
        r"your kernel does not support|unable to find [a-z]+ (cgroup|controller)|no (blkio|swap|memory|kernel memory|cpu|cpuset|oom kill|io|pids)\b.* support|(blkio|io)\.?(weight| throttle)|limitation discarded|mountpoint not found for",
    ),
    kind(
        "end of an event stream",
        r"event stream.*(graceful|canceled)|following graceful shutdown|context canceled$|processing signal|error=<nil>$",
    ),
    kind(
        "gRPC reconnect",
        r"pickfirstbalancer|handlesubconnstatechange|clientconn switching|addrconn.*(transient_failure|createtransport).*context canceled",
    ),
    kind(
        "clean-up",
        r"cleaning up (after|dead)|cleanup warnings?|failed to clean up after shim|dead shim|shim (disconnected|reaped)|failed to (delete|remove|unmount|umount)\b.*(not found|no such|not exist)|ignoring event",
    ),
    kind("nft rules that were not there", r"deleting nftables ipv[46] rules"),
    kind("fs-verity not supported", r"fsverity|fs-verity"),
    kind(
        "optional program absent",
        r"git source cannot be enabled|failed to find git binary|failed to (find|load) .*(crun|buildkit-qemu)",
    ),
    kind("image signature not checked", r"failed to validate image signature|resolving signature chain"),
    kind("CDI directory absent", r"cdi (directory|devices|spec)"),
    kind("native diff not used", r"not using native diff"),
    kind("resolver default", r"no non-localhost dns nameservers|not found in resolv|dns settings"),
    kind(
        "object looked up before it exists",
        r"(handler for|error response for|got an api|returned error).*(no such (image|container|volume|network|plugin|exec|config|service)|reference does not exist|not found: manifest|page not found)|unable to find image .* locally",
    ),
    kind(
        "wrapper waits",
        r"(did not|does not|not yet|never) (become|became) (ready|available|healthy)|waiting for (the )?(docker|dockerd|daemon)|is not running yet|still waiting|retrying in \d",
    ),
    kind("systemd device list", r"failed to reset devices\.list"),
    kind(
        "health check by connection",
        r"tls handshake error from .*: (eof|read tcp|local error: tls: bad record|.*connection reset)",
    ),
    kind("experimental build", r"running experimental build|experimental features"),
    kind("option ignored", r"ignoring unknown key in toml|configuration migrated"),
    kind(
        "docker0 address kept",
        r"firewalld is not running|firewalld.*(not running|disconnected)|iptables supports xlock",
    ),
    kind("client variable", r"variable is not set\. defaulting|can be only accessed|orphan containers"),
    kind("seccomp or AppArmor not in the kernel", r"(seccomp|apparmor) is not enabled in your kernel"),
    kind("missing release file", r"could not get operating system name|/etc/os-release"),
    kind(
        "stream closed by the client",
        r"(attach|logs?|stream|hijack|copying|event).*(broken pipe|use of closed|connection reset by peer|file already closed)|superfluous response|error (streaming|attaching)",
    ),
    kind(
        "statistics not available",
        r"collecting stats for|no metrics received|failed to (get|collect|retrieve) (stats|metrics)|error collecting",
    ),
    kind("swarm not joined", r"this node is not a swarm manager"),
];

/// Harmless as long as they are no errors by their own account.
const QUIET: &[Kind] = &[
    kind(
        "module or program looked for in vain",
        r"modprobe|executable file not found|lookpath|could not find .*in path",
    ),
    kind("container output", r"level=(debug|info)"),
];

static SETS: LazyLock<[RegexSet; 2]> =
    LazyLock::new(|| [ALWAYS, QUIET].map(|kinds| signatures::set(kinds.iter().map(|kind| kind.text))));

/// The name of the kind of harmless message that this is.
pub(super) fn name(record: &Record) -> Option<&'static str> {
    let text = record.text.as_bytes();
    if is_verdict(&record.text) {
        return None;
    }
    let first =
        |which: usize, kinds: &[Kind]| SETS[which].matches(text).iter().next().map(|index| kinds[index].name);
    first(0, ALWAYS).or_else(|| if record.level == Level::Warning { first(1, QUIET) } else { None })
}

/// What a program says when it gives up is no noise, whatever it quotes.
pub(super) fn is_verdict(text: &str) -> bool {
    [
        "failed to start daemon",
        "Error starting daemon",
        "failed to create NAT chain",
        "OCI runtime create failed",
    ]
    .iter()
    .any(|verdict| text.contains(verdict))
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, QUIET};
    use crate::diagnosis::signatures::regex;

    #[test]
    fn every_kind_compiles_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = ALWAYS.iter().chain(QUIET).map(|kind| kind.name).collect();
        assert!(ALWAYS.iter().chain(QUIET).all(|kind| regex(kind.text).is_some()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALWAYS.len() + QUIET.len());
    }
}
