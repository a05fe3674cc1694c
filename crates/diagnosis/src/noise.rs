//! Recognises harmless messages that read like failures.
//!
//! Each kind has a name, which the diagnosis reports with the line that it ignores.

use std::sync::LazyLock;

use super::log::{Level, Record};
use super::matcher::Matcher;

/// A kind of harmless message.
struct Kind {
    name: &'static str,
    /// The loudest level at which it still is harmless.
    up_to: Level,
    text: &'static str,
}

const fn always(name: &'static str, text: &'static str) -> Kind {
    Kind { name, up_to: Level::Error, text }
}

/// As an error by its own account it is none of these.
const fn mild(name: &'static str, text: &'static str) -> Kind {
    Kind { name, up_to: Level::Unmarked, text }
}

/// Only a warning is harmless.
const fn warned(name: &'static str, text: &'static str) -> Kind {
    Kind { name, up_to: Level::Warning, text }
}

const KINDS: &[Kind] = &[
    always(
        "plugin not configured",
        r"skip(ping|ped)? (loading )?plugin|devmapper not configured|skip loading plugin",
    ),
    always(
        "unused snapshotter",
        r"(could not use|failed to load) .*(snapshotter|differ|plugin).*(aufs|btrfs|zfs|devmapper|blockfile|erofs|overlaybd|stargz)",
    ),
    always(
        "devicemapper as it is",
        r"udev sync is not supported|usage of loopback devices|no --storage-opt dm\.",
    ),
    always("aufs absent", r"aufs (was )?not found|module aufs"),
    always(
        "no CNI network",
        r"\bcni\b.*(fail|no network config|not initialized|unable)|no network config found",
    ),
    mild(
        "modprobe attempt",
        concat!(
            r"\bmodprobe: |running modprobe|\bip: (can.t find device|either)|^lsmod|",
            r"(^|\s), error: exit status \d+$|could not load necessary modules|module [a-z_0-9]+ not found in directory|trying to load .*module"
        ),
    ),
    always("tracing not configured", r"\b(otlp|otel|opentelemetry|tracing processor|tracing endpoint)\b"),
    mild("deprecation notice", r"deprecat(ed|ion)\b"),
    mild(
        "TCP without TLS warning",
        concat!(
            r"without setting --tls|--tlsverify|api is accessible on|remote api is equivalent to root|",
            r"startup is intentionally being slowed|without tls is not recommended"
        ),
    ),
    mild(
        "securityfs not mounted",
        concat!(
            r"could not mount /sys/kernel/security|--privileged mode might break|",
            r"/sys/kernel/security\b.*(permission denied|not permitted|already mounted)|securityfs"
        ),
    ),
    always("statistics of an unmounted hierarchy", r"loading cgroup for \d+"),
    mild("key quota not raised", r"unable to modify root key limit"),
    mild(
        "kernel without a limit",
        concat!(
            r"your kernel does not support|unable to find [a-z]+ (cgroup|controller)|",
            r"no (blkio|swap|memory|kernel memory|cpu|cpuset|oom kill|io|pids)\b.* support|(blkio|io)\.?(weight| throttle)|",
            r"limitation discarded|mountpoint not found for"
        ),
    ),
    warned("hierarchy not mounted", r"^mountpoint for \w+ not found$"),
    mild("wrapper's link", r"\bln: failed to create symbolic link .*/sys/fs/cgroup"),
    mild(
        "tables looked for",
        r"\bcat: .*/proc/net/\w+_tables_names|(^|\s)device .?\w+.? does not exist\.?$|xtables contention detected",
    ),
    always(
        "end of an event stream",
        r"event stream.*(graceful|canceled)|failed to get event.*(transport is closing|canceled)|containerd api is ready.*canceled|following graceful shutdown|context canceled$|processing signal|error=<nil>$",
    ),
    always(
        "gRPC reconnect",
        r"pickfirstbalancer|handlesubconnstatechange|clientconn switching|addrconn.*(transient_failure|createtransport).*context canceled",
    ),
    warned(
        "gRPC reconnect warning",
        r"addrconn\.createtransport failed to connect.*(docker/containerd|no such file|deadline|canceled|closed|eof|reset|broken pipe|timeout|timed out)",
    ),
    always(
        "clean-up",
        concat!(
            r"cleaning up (after|dead)|cleanup warnings?|failed to clean up after shim|dead shim|shim (disconnected|reaped)|",
            r"failed to (delete|remove|unmount|umount)\b.*(not found|no such|not exist)|ignoring event|error saving dying container"
        ),
    ),
    always("nft rules that were not there", r"deleting nftables ipv[46] rules"),
    always("rules that were not there", r"ip6?tables\S* (-\S+ )*(-t \w+ )?(-D|-F|-X|--delete|--flush) "),
    always("fs-verity not supported", r"fsverity|fs-verity"),
    always("optional program absent", r"git source cannot be enabled|failed to find git binary"),
    always("image signature not checked", r"failed to validate image signature|resolving signature chain"),
    always("CDI directory absent", r"cdi (directory|devices|spec)"),
    always("native diff not used", r"not using native diff"),
    mild("resolver default", r"no non-localhost dns nameservers|not found in resolv|dns settings"),
    always(
        "object looked up before it exists",
        concat!(
            r"(handler for|error response for|got an api|returned error).*(no such (image|container|volume|network|plugin|exec|config|service)|",
            r"reference does not exist|page not found)|unable to find image .* locally"
        ),
    ),
    mild(
        "wrapper waits",
        concat!(
            r"(did not|does not|not yet|never) (become|became) (ready|available|healthy)|waiting for (the )?(docker|dockerd|daemon)|",
            r"is not running yet|still waiting|retrying in \d|probably didn.t start properly|health ?check (error|container logs)|wait-for-service.* timeout"
        ),
    ),
    always("systemd device list", r"failed to reset devices\.list"),
    always(
        "health check by connection",
        r"tls handshake error from .*: (eof|read tcp|local error: tls: bad record|.*connection reset)",
    ),
    mild("fallback", r"falling back to|fallback to default|could not change group .*docker\.sock"),
    mild("experimental build", r"running experimental build|experimental features"),
    mild("option ignored", r"ignoring unknown key in toml|configuration migrated"),
    mild("firewalld absent", r"firewalld.*(not running|disconnected)|iptables supports xlock"),
    mild("client variable", r"variable is not set\. defaulting|orphan containers"),
    mild("security module absent", r"(seccomp|apparmor) is not enabled in your kernel"),
    always("missing release file", r"could not get operating system name|/etc/os-release"),
    always(
        "stream closed by the client",
        concat!(
            r"(attach|\blogs?\b|stream|hijack|event|stdin|stdout|stderr).*(broken pipe|use of closed|connection reset by peer|file already closed)|",
            r"superfluous response|error (streaming|attaching)|closed fifo|copy (shim log|stream failed)|stream copy error"
        ),
    ),
    always(
        "statistics not available",
        r"collecting (stats|metrics) for|no metrics received|add cg to oom monitor|failed to (get|collect|retrieve) (stats|metrics)|error collecting",
    ),
    always("swarm not joined", r"this node is not a swarm manager"),
    warned(
        "module or program looked for in vain",
        r"modprobe|executable file not found|could not find .*in path",
    ),
];

static MATCHER: LazyLock<Matcher> = LazyLock::new(|| Matcher::new(KINDS.iter().map(|kind| kind.text)));

/// The kind of a harmless message; `None` for any other.
pub(super) fn name(record: &Record) -> Option<&'static str> {
    if is_verdict(&record.text) {
        return None;
    }
    let fitting = MATCHER.fitting(record.text.as_bytes());
    let mut kinds = fitting.map(|index| &KINDS[index]).filter(|kind| record.level <= kind.up_to);
    kinds.next().map(|kind| kind.name)
}

/// Whether a program reports that it gives up; such a message is no noise, whatever it quotes.
fn is_verdict(text: &str) -> bool {
    const VERDICTS: [&str; 11] = [
        "failed to start daemon",
        "Error starting daemon",
        "failed to create NAT chain",
        "OCI runtime create failed",
        "starting container process",
        "Error response from daemon",
        "Cannot start service",
        "Cannot create container",
        "can not be set",
        "failed to create endpoint",
        "find nft tool",
    ];
    // iptables hands on what modprobe said before it gave up itself.
    let handed_on = text.contains("iptables failed") && text.contains("modprobe: ");
    handed_on || VERDICTS.iter().any(|verdict| text.contains(verdict))
}

#[cfg(test)]
mod tests {
    use super::KINDS;
    use crate::matcher::Pattern;

    #[test]
    fn every_kind_compiles_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert!(KINDS.iter().all(|kind| Pattern::new(kind.text).regex().is_some()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
    }
}
