//! The options of dockerd by version: names in daemon.json, flags, types.
//!
//! The table is from moby's cmd/dockerd/{config,config_unix,options}.go (daemon/command/ from 29) and the JSON tags of
//! daemon/config/*.go, compared over every minor version from 20.10.0 to 29.7.2.

use crate::facts::version::Version;

/// The newest version that was compared. A newer dockerd may know options that are missing here.
pub const NEWEST: Version = Version::new(29, 7, 2);

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; as a flag it needs no value.
    Bool,
    /// A whole number.
    Int,
    /// A string.
    Text,
    /// A list of strings; the flag may be repeated.
    List,
    /// An object with members of this type; the flag is repeated as `key=value`.
    Map(Member),
    /// A size: a number or a string such as `64m`.
    Size,
    /// A list of `{"base", "size"}`.
    Pools,
    /// Only a flag; in the file it is accepted and has no effect. The value is whether the flag is a boolean.
    FlagOnly(bool),
}

/// The type of the members of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `true` or `false`.
    Bool,
    /// Strings.
    Text,
    /// Objects.
    Object,
    /// Anything.
    Any,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Its name in daemon.json.
    pub key: &'static str,
    /// The name of its flag; empty where it has none.
    pub flag: &'static str,
    /// Its one-letter flag.
    pub short: Option<char>,
    /// The type of its value.
    pub kind: Kind,
    /// The first version that knows it.
    pub since: Version,
    /// The first version that does not know it anymore.
    pub until: Version,
    /// The option may be in both the file and the flags: dockerd merges the two.
    pub merges: bool,
}

impl Opt {
    /// Whether this version knows it.
    pub fn is_known_to(&self, version: Version) -> bool {
        self.since <= version && version < self.until
    }

    /// Whether its flag needs no value.
    pub fn is_switch(&self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::FlagOnly(true))
    }
}

const ALWAYS: Version = Version::new(0, 0, 0);
const NEVER: Version = Version::new(u32::MAX, 0, 0);

/// An option of the same name in file and flag, in every version.
const fn opt(name: &'static str, kind: Kind) -> Opt {
    Opt { key: name, flag: name, short: None, kind, since: ALWAYS, until: NEVER, merges: false }
}

/// An option whose name in the file differs from its flag.
const fn named(key: &'static str, flag: &'static str, kind: Kind) -> Opt {
    Opt { key, ..opt(flag, kind) }
}

impl Opt {
    const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn since(self, major: u32, minor: u32) -> Self {
        Self { since: Version::new(major, minor, 0), ..self }
    }

    const fn until(self, major: u32) -> Self {
        Self { until: Version::new(major, 0, 0), ..self }
    }

    const fn merges(self) -> Self {
        Self { merges: true, ..self }
    }
}

use Kind::{Bool, FlagOnly, Int, List, Map, Pools, Size, Text};

/// Objects by the type of their members.
const SWITCHES: Kind = Map(Member::Bool);
const TEXTS: Kind = Map(Member::Text);
const OBJECTS: Kind = Map(Member::Object);

/// Every option.
pub const ALL: &[Opt] = &[
    named("runtimes", "add-runtime", OBJECTS).merges(),
    opt("allow-direct-routing", Bool).since(28, 2),
    opt("allow-nondistributable-artifacts", List).until(29),
    opt("api-cors-header", Text).until(29),
    named("authorization-plugins", "authorization-plugin", List),
    opt("bip", Text),
    opt("bip6", Text).since(28, 0),
    opt("bridge", Text).short('b'),
    opt("bridge-accept-fwmark", Text).since(29, 0),
    named("cdi-spec-dirs", "cdi-spec-dir", List).since(25, 0),
    opt("cgroup-parent", Text),
    opt("cluster-advertise", Text).until(24),
    opt("cluster-store", Text).until(24),
    named("cluster-store-opts", "cluster-store-opt", TEXTS).until(24),
    opt("config-file", FlagOnly(false)),
    opt("containerd", Text),
    opt("containerd-namespace", Text),
    opt("containerd-plugins-namespace", FlagOnly(false)),
    opt("cpu-rt-period", Int),
    opt("cpu-rt-runtime", Int),
    opt("cri-containerd", Bool),
    opt("data-root", Text),
    opt("debug", Bool).short('D'),
    named("default-address-pools", "default-address-pool", Pools),
    opt("default-cgroupns-mode", Text),
    opt("default-gateway", Text),
    opt("default-gateway-v6", Text),
    opt("default-ipc-mode", Text),
    named("default-network-opts", "default-network-opt", OBJECTS).since(24, 0),
    opt("default-runtime", Text),
    opt("default-shm-size", Size),
    opt("default-stop-timeout", Int).since(29, 7),
    named("default-ulimits", "default-ulimit", OBJECTS),
    opt("dns", List),
    named("dns-opts", "dns-opt", List),
    opt("dns-search", List),
    named("exec-opts", "exec-opt", List),
    opt("exec-root", Text),
    opt("experimental", Bool),
    Opt { until: Version::new(27, 3, 0), ..named("features", "", SWITCHES) },
    named("features", "feature", SWITCHES).since(27, 3),
    opt("firewall-backend", Text).since(29, 0),
    opt("fixed-cidr", Text),
    opt("fixed-cidr-v6", Text),
    opt("graph", Text).short('g').until(24),
    opt("group", Text).short('G'),
    opt("help", FlagOnly(true)).short('h'),
    named("hosts", "host", List).short('H'),
    opt("host-gateway-ip", Text).until(28),
    named("host-gateway-ips", "host-gateway-ip", List).since(28, 0),
    opt("http-proxy", FlagOnly(false)).since(23, 0),
    opt("https-proxy", FlagOnly(false)).since(23, 0),
    opt("no-proxy", FlagOnly(false)).since(23, 0),
    opt("icc", Bool),
    opt("init", Bool),
    opt("init-path", Text),
    named("insecure-registries", "insecure-registry", List),
    opt("ip", Text),
    opt("ip-forward", Bool),
    opt("ip-forward-no-drop", Bool).since(28, 0),
    opt("ip-masq", Bool),
    opt("ip6tables", Bool),
    opt("iptables", Bool),
    opt("ipv6", Bool),
    named("labels", "label", List),
    opt("live-restore", Bool),
    opt("log-driver", Text),
    opt("log-format", Text).since(25, 0),
    opt("log-level", Text).short('l'),
    named("log-opts", "log-opt", TEXTS),
    opt("max-concurrent-downloads", Int),
    opt("max-concurrent-uploads", Int),
    opt("max-download-attempts", Int),
    opt("metrics-addr", Text),
    opt("mtu", Int),
    opt("network-control-plane-mtu", Int),
    opt("network-diagnostic-port", Int),
    opt("no-new-privileges", Bool),
    named("node-generic-resources", "node-generic-resource", List),
    opt("nri-opts", Map(Member::Any)).since(29, 2),
    opt("oom-score-adjust", Int).until(26),
    opt("pidfile", Text).short('p'),
    opt("raw-logs", Bool),
    named("registry-mirrors", "registry-mirror", List),
    opt("restart", FlagOnly(true)).short('r'),
    opt("rootless", Bool),
    opt("seccomp-profile", Text),
    opt("selinux-enabled", Bool),
    opt("shutdown-timeout", Int),
    opt("storage-driver", Text).short('s'),
    named("storage-opts", "storage-opt", List),
    opt("swarm-default-advertise-addr", Text),
    opt("tls", Bool),
    opt("tlscacert", Text),
    opt("tlscert", Text),
    opt("tlskey", Text),
    opt("tlsverify", Bool),
    opt("userland-proxy", Bool),
    opt("userland-proxy-path", Text),
    opt("userns-remap", Text),
    opt("validate", FlagOnly(true)).since(23, 0),
    opt("version", FlagOnly(true)).short('v'),
    // Known in the file only (`skipValidateOptions` of daemon/config/config.go).
    named("builder", "", Map(Member::Any)),
    named("deprecated-key-path", "", Text),
    named("min-api-version", "", Text).since(29, 0),
    // Removed as a flag, and still accepted in the file.
    named("allow-nondistributable-artifacts", "", List).since(29, 0),
];

/// The options whose value is an object (`flatOptions`). Any other object in the file only groups options.
pub const WHOLE: &[&str] = &[
    "cluster-store-opts",
    "default-network-opts",
    "log-opts",
    "runtimes",
    "default-ulimits",
    "features",
    "builder",
    "nri-opts",
];

/// The versions in which an option came or went, newest first; the last one stands for everything before the first change.
pub fn changes() -> Vec<Version> {
    let versions = ALL.iter().flat_map(|option| [option.since, option.until]);
    let mut versions: Vec<_> = versions.filter(|version| *version <= NEWEST).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.dedup();
    versions
}

/// The option of a long flag (`--NAME`) in this version.
pub fn by_flag(name: &str, version: Version) -> Option<&'static Opt> {
    ALL.iter().find(|option| !name.is_empty() && option.flag == name && option.is_known_to(version))
}

/// The option of a short flag (`-N`) in this version.
pub fn by_short(letter: char, version: Version) -> Option<&'static Opt> {
    ALL.iter().find(|option| option.short == Some(letter) && option.is_known_to(version))
}

/// The option with this name in the file, in this version.
pub fn by_key(name: &str, version: Version) -> Option<&'static Opt> {
    ALL.iter().find(|option| option.key == name && option.is_known_to(version))
}

/// Whether dockerd accepts the name in the file. It accepts the names of flags as well, which then have no effect
/// (`{"host": [...]}`).
pub fn is_tolerated(name: &str, version: Version) -> bool {
    by_key(name, version).is_some() || by_flag(name, version).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_every_version() {
        for major in [20, 23, 24, 25, 26, 27, 28, 29] {
            let version = Version::new(major, 9, 0);
            let known: Vec<_> = ALL.iter().filter(|option| option.is_known_to(version)).collect();
            for (index, option) in known.iter().enumerate() {
                for other in &known[index + 1..] {
                    assert_ne!(option.key, other.key, "{major}");
                    assert!(option.flag.is_empty() || option.flag != other.flag, "{major} {}", option.flag);
                    assert!(option.short.is_none() || option.short != other.short, "{major} {}", option.key);
                }
            }
        }
    }

    #[test]
    fn of_every_option_it_is_known_whether_it_is_shown() {
        for option in ALL {
            for name in [option.key, option.flag].iter().filter(|name| !name.is_empty()) {
                assert!(crate::redact::is_known(name), "{name}");
            }
        }
    }

    #[test]
    fn switches_are_those_of_the_redaction() {
        for option in ALL.iter().filter(|option| !option.flag.is_empty()) {
            assert_eq!(crate::redact::is_switch(option.flag), option.is_switch(), "{}", option.flag);
        }
    }

    #[test]
    fn options_depend_on_the_version() {
        let (old, new) = (Version::new(20, 10, 24), Version::new(29, 7, 2));
        assert!(by_key("graph", old).is_some() && by_key("graph", new).is_none());
        assert!(by_key("firewall-backend", old).is_none() && by_key("firewall-backend", new).is_some());
        assert!(by_flag("host", old).is_some_and(|option| option.key == "hosts"));
        assert!(is_tolerated("host", old) && by_key("host", old).is_none());
    }
}
