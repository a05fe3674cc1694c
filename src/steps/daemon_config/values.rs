//! Finds values that dockerd refuses (`Validate` of daemon/config/config.go, by version).

use std::net::IpAddr;

use crate::diagnosis::causes;
use crate::facts::daemon::Daemon;
use crate::facts::daemon::given::{given, instead};
use crate::facts::version::Version;
use crate::finding::Finding;
use crate::redact;

/// Checks every value that dockerd checks.
pub(super) fn judge(daemon: &Daemon) -> Vec<Finding> {
    let refusals = [
        choices(daemon),
        numbers(daemon),
        lists(daemon),
        addresses(daemon),
        exec_options(daemon),
        runtime(daemon),
        hosts(daemon),
        removed(daemon),
    ];
    refusals.into_iter().flatten().collect()
}

/// A value that dockerd refuses, and where it is set.
pub(super) fn refused(daemon: &Daemon, key: &str, what: impl Into<String>) -> Finding {
    let what = what.into();
    let finding = if daemon.file.values.contains_key(key) {
        Finding::fail(causes::DAEMON_JSON_INVALID, format!("{}: {what}", daemon.config.display()))
            .with("path", daemon.config.display())
            .with("key", key)
    } else {
        Finding::fail(causes::DAEMON_OPTION_INVALID, what).with("option", key)
    };
    finding.hint(given(daemon, key).undo)
}

/// Parses a boolean as Go's strconv.ParseBool does.
pub(super) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Options that accept a few values.
fn choices(daemon: &Daemon) -> Vec<Finding> {
    let since = |major| daemon.version >= Version::new(major, 0, 0);
    let mut levels = vec!["panic", "fatal", "error", "warn", "info", "debug", "trace"];
    if !since(25) {
        levels.push("warning");
    }
    let values = &daemon.settings.values;
    let level = values.text("log-level").map(str::to_lowercase);
    let lists: [(&str, Option<&str>, &[&str], bool); 5] = [
        ("log-level", level.as_deref(), &levels, true),
        ("log-format", values.text("log-format"), &["text", "json"], since(25)),
        ("firewall-backend", values.text("firewall-backend"), &["iptables", "nftables"], since(29)),
        ("default-ipc-mode", values.text("default-ipc-mode"), &["private", "shareable"], true),
        ("default-cgroupns-mode", values.text("default-cgroupns-mode"), &["private", "host"], true),
    ];
    let wrong = lists.into_iter().filter_map(|(key, value, good, checked)| {
        let value = value.filter(|value| checked && !good.contains(value))?;
        Some(refused(daemon, key, format!("{key} is `{value}`; valid values are {}", good.join(", "))))
    });
    wrong.collect()
}

/// Numbers that must not be negative.
fn numbers(daemon: &Daemon) -> Vec<Finding> {
    let keys = ["mtu", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"];
    let negative = keys.iter().filter_map(|key| {
        let number = daemon.settings.values.number(key).filter(|number| *number < 0)?;
        Some(refused(daemon, key, format!("{key} is {number}; it must not be negative")))
    });
    negative.collect()
}

/// Lists whose members have a syntax.
fn lists(daemon: &Daemon) -> Vec<Finding> {
    let values = &daemon.settings.values;
    let mut wrong = Vec::new();
    for label in values.list("labels").into_iter().filter(|label| !label.contains('=')) {
        let shown = redact::option_text("labels", label);
        wrong.push(refused(daemon, "labels", format!("label `{shown}` is not of the form key=value")));
    }
    for server in values.list("dns").into_iter().filter(|server| server.trim().parse::<IpAddr>().is_err()) {
        wrong.push(refused(daemon, "dns", format!("dns `{server}` is not an IP address")));
    }
    wrong
}

/// Addresses and networks of the default bridge (`ParseCIDR` and `ParseIP` of Go's net, in `initBridgeDriver`).
fn addresses(daemon: &Daemon) -> Vec<Finding> {
    type Form = fn(&str) -> bool;
    let network: Form = |text| {
        let address = |(address, bits): (&str, &str)| {
            let most = if address.parse::<IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
            Some(bits.parse::<u8>().ok()? <= most)
        };
        text.split_once('/').and_then(address).unwrap_or(false)
    };
    let address: Form = |text| text.parse::<IpAddr>().is_ok();
    let all = [
        ("bip", network, "a network such as 172.30.0.1/16"),
        ("bip6", network, "a network such as fd00:1::1/64"),
        ("fixed-cidr", network, "a network such as 172.30.1.0/24"),
        ("fixed-cidr-v6", network, "a network such as fd00:1::/80"),
        ("default-gateway", address, "an IP address"),
        ("default-gateway-v6", address, "an IP address"),
        ("ip", address, "an IP address"),
    ];
    let wrong = all.into_iter().filter_map(|(key, form, wanted)| {
        let text = daemon.settings.values.text(key).filter(|text| !text.is_empty() && !form(text))?;
        let finding = refused(daemon, key, format!("{key} is `{text}`; it must be {wanted}"));
        let likely = likely_network(text).filter(|_| wanted.starts_with("a network"));
        Some(match likely {
            Some(network) => finding.hint(instead(daemon, key, &network.into())),
            None => finding,
        })
    });
    wrong.collect()
}

/// The network that an address without a prefix length was probably meant for.
fn likely_network(text: &str) -> Option<String> {
    let bits = if text.parse::<IpAddr>().ok()?.is_ipv4() { 16 } else { 64 };
    Some(format!("{text}/{bits}"))
}

/// `--exec-opt`. dockerd refuses unknown names since 28.0, and unknown cgroup drivers in every version.
fn exec_options(daemon: &Daemon) -> Vec<Finding> {
    let refuse = |what| refused(daemon, "exec-opts", what);
    let strict = daemon.version >= Version::new(28, 0, 0);
    let judge = |option: &str| match option
        .split_once('=')
        .map(|(key, value)| (key.trim().to_lowercase(), value.trim()))
    {
        Some((key, value)) if key == "native.cgroupdriver" => (!["systemd", "cgroupfs"].contains(&value))
            .then(|| {
                refuse(format!("native.cgroupdriver is `{value}`; valid values are systemd and cgroupfs"))
            }),
        Some((key, value)) if !key.is_empty() && !value.is_empty() => strict
            .then(|| refuse(format!("exec-opt `{key}` is unknown; the only one is native.cgroupdriver"))),
        _ => {
            let shown = redact::option_text("exec-opts", option);
            Some(refuse(format!("exec-opt `{shown}` is not of the form name=value")))
        }
    };
    daemon.settings.values.list("exec-opts").into_iter().filter_map(judge).collect()
}

/// `--default-runtime` must be one of `runtimes`, or built into containerd.
fn runtime(daemon: &Daemon) -> Vec<Finding> {
    let values = &daemon.settings.values;
    let Some(name) = values.text("default-runtime") else { return Vec::new() };
    // Before 23.0 only those that dockerd itself registers.
    let shim = if daemon.version >= Version::new(23, 0, 0) {
        name.starts_with("io.containerd.")
    } else {
        ["io.containerd.runc.v1", "io.containerd.runc.v2", "io.containerd.runtime.v1.linux"].contains(&name)
    };
    let known = name == "runc" || shim || values.member("runtimes", name).is_some();
    let finding = || {
        let what = format!("default-runtime is `{name}`, but that runtime is not registered");
        Finding {
            cause: Some(causes::OCI_RUNTIME_NOT_REGISTERED),
            ..refused(daemon, "default-runtime", what)
        }
        .hint(format!(
            "{}; or register it: \"runtimes\": {{\"{name}\": {{\"path\": \"/usr/bin/{name}\"}}}}",
            given(daemon, "default-runtime").undo
        ))
    };
    (!known).then(finding).into_iter().collect()
}

/// Addresses.
fn hosts(daemon: &Daemon) -> Vec<Finding> {
    daemon.settings.bad_hosts.iter().map(|why| refused(daemon, "hosts", why.clone())).collect()
}

/// Removed options, which dockerd refuses.
fn removed(daemon: &Daemon) -> Vec<Finding> {
    let given = |key: &str| daemon.settings.values.get(key).is_some_and(|value| value.as_str() != Some(""));
    let mut wrong = Vec::new();
    if daemon.version.major == 28 && given("api-cors-header") {
        wrong.push(refused(daemon, "api-cors-header", "api-cors-header was removed in 28.0"));
    }
    if daemon.version.major == 23 && given("graph") {
        wrong.push(refused(daemon, "graph", "\"graph\" was removed in 23.0: it is \"data-root\""));
    }
    wrong
}
