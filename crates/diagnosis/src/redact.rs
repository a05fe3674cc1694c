//! Keeps secrets out of what is shown: logins in URLs, and the values of dockerd's options that are not known to be safe.
//!
//! What may be shown is listed ([`SAFE_OPTIONS`]); everything else is withheld, so that an option that is not known yet
//! gives nothing away.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What replaces a secret of which nothing is known.
pub const WITHHELD: &str = "withheld";

/// The options of dockerd whose values are shown, by their names in daemon.json and as flags: switches, numbers, choices,
/// addresses, names and paths. `labels`, `log-opts`, `runtimes`, proxies, registries, cluster stores and whatever is
/// missing here may hold secrets.
pub const SAFE_OPTIONS: &[&str] = &[
    "allow-direct-routing",
    "authorization-plugin",
    "authorization-plugins",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "cdi-spec-dir",
    "cdi-spec-dirs",
    "cgroup-parent",
    "config-file",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cri-containerd",
    "data-root",
    "debug",
    "default-address-pool",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "default-ulimit",
    "deprecated-key-path",
    "dns",
    "dns-opt",
    "dns-opts",
    "dns-search",
    "exec-root",
    "experimental",
    "feature",
    "features",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "graph",
    "group",
    "help",
    "host",
    "host-gateway-ip",
    "host-gateway-ips",
    "hosts",
    "icc",
    "init",
    "init-path",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "min-api-version",
    "mtu",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "no-new-privileges",
    "oom-score-adjust",
    "pidfile",
    "raw-logs",
    "restart",
    "rootless",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
    "validate",
    "version",
];

/// Whether the value of an option of dockerd may be shown.
pub fn is_safe_option(name: &str) -> bool {
    SAFE_OPTIONS.binary_search(&name).is_ok()
}

/// Covers the user and the password of every URL and address, and the query of a URL, letter by letter, so that line and
/// column numbers stay the same. Colons stay: they decide whether an address is valid.
pub fn without_logins(text: &str) -> Cow<'_, str> {
    static LOGINS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let patterns = [
            // The login ends at the last @ before the path.
            r#"://(?<secret>[^/?#\s"']*)@"#,
            // A password with an unescaped slash: what follows the colon is no port.
            r#"://(?<secret>[^/?#\s"'@\[]*:[0-9]*[^0-9/?#\s"'@\\,;)][^\s"']*)@"#,
            // An address without a scheme, such as that of a proxy.
            r#"(?:^|[\s"'=(,\[])(?<secret>[^\s"'=@/:(,\[]+:[^\s"'@/]+)@[\w.-]+:[0-9]+"#,
            r#"://[^\s"'?]*\?(?<secret>[^\s"']+)"#,
            r#"(?i)\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?<secret>(?:basic|bearer)?\s*[^\s"']+)"#,
        ];
        patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
    });
    let mut text = Cow::Borrowed(text);
    if !text.contains("://") && !text.contains('@') && !text.contains("uthorization") {
        return text;
    }
    for pattern in LOGINS.iter() {
        if let Cow::Owned(covered) = pattern.replace_all(&text, cover_secret) {
            text = Cow::Owned(covered);
        }
    }
    text
}

/// A match with its group `secret` covered. What looks like a login before a digest is the tag of an image.
fn cover_secret(found: &Captures<'_>) -> String {
    let (whole, secret) = (&found[0], &found["secret"]);
    let Some(at) = whole.find(secret).filter(|_| !whole.contains("@sha256:")) else {
        return whole.to_owned();
    };
    let (before, rest) = whole.split_at(at);
    let covered: Vec<_> = secret.split(':').map(cover).collect();
    format!("{before}{}{}", covered.join(":"), &rest[secret.len()..])
}

/// A text with every character but white space replaced by as many `x` as it has bytes, so that its shape stays.
pub fn cover(text: &str) -> String {
    let each = |letter: char| {
        if letter.is_whitespace() { letter.to_string() } else { "x".repeat(letter.len_utf8()) }
    };
    text.chars().map(each).collect()
}

/// A line of a log, or a message of a daemon, without secrets. Where dockerd repeats the values of an option that is both
/// a flag and in daemon.json (`findConfigurationConflicts` of moby daemon/config/config.go), those of unsafe options are
/// withheld.
pub fn message(text: &str) -> Cow<'_, str> {
    static CONFLICT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?<option>[\w-]+): \(from flag: ").ok());
    let Some(conflict) = CONFLICT.as_ref().filter(|_| text.contains("(from flag: ")) else {
        return without_logins(text);
    };
    let starts: Vec<_> = conflict.captures_iter(text).collect();
    let mut shown = String::new();
    let mut end = 0;
    for (index, start) in starts.iter().enumerate() {
        let from = start.get(0).map_or(end, |whole| whole.start());
        let next = starts.get(index + 1).and_then(|next| next.get(0));
        let to = next.map_or(text.len(), |next| next.start());
        shown.push_str(&text[end..from]);
        if is_safe_option(&start["option"]) {
            shown.push_str(&text[from..to]);
        } else {
            let separator = if next.is_some() { ", " } else { "" };
            let option = &start["option"];
            shown.push_str(&format!("{option}: (from flag: {WITHHELD}, from file: {WITHHELD}){separator}"));
        }
        end = to;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(without_logins(&shown).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sorted_for_the_search() {
        assert!(SAFE_OPTIONS.is_sorted());
        assert!(is_safe_option("data-root") && is_safe_option("hosts") && !is_safe_option("log-opts"));
        for secret in
            ["labels", "label", "http-proxy", "registry-mirrors", "runtimes", "cluster-store-opts", "new"]
        {
            assert!(!is_safe_option(secret), "{secret}");
        }
    }

    #[test]
    fn logins_are_covered_and_columns_stay() {
        for (text, shown) in [
            ("http://sam:p%40ss@proxy:3128 x", "http://xxx:xxxxxx@proxy:3128 x"),
            ("\"https://token@r/v2\"", "\"https://xxxxx@r/v2\""),
            ("proxy http://sam:p@ss@proxy:1/", "proxy http://xxx:xxxx@proxy:1/"),
            ("http://sam:p/ss@proxy:1", "http://xxx:xxxx@proxy:1"),
            ("proxy=sam:pass@proxy:3128", "proxy=xxx:xxxx@proxy:3128"),
            ("https://r/v2?token=abc&x=1 end", "https://r/v2?xxxxxxxxxxxxx end"),
            ("Authorization: Basic abc=", "Authorization: xxxxx xxxx"),
        ] {
            assert_eq!(without_logins(text), shown);
            assert_eq!(text.len(), shown.len());
        }
    }

    #[test]
    fn what_is_no_login_stays() {
        let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for plain in [
            "Get \"https://r:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
            "http://[::1]:80/a@b",
            "https://r:5000/x@y",
            "me@host",
            "0::/a@b",
            &format!("localhost:5000/x:1@sha256:{digest}"),
            &format!("x:1@sha256:{digest}"),
            "unix:///var/run/docker.sock",
        ] {
            assert_eq!(without_logins(plain), plain);
        }
    }

    #[test]
    fn values_of_a_conflict_are_shown_for_safe_options_only() {
        let said = "the following directives are specified both as a flag and in the configuration file: \
            debug: (from flag: true, from file: false), log-opts: (from flag: map[splunk-token:canary), from file: \
            map[a:canary]), hosts: (from flag: [unix:///a], from file: [unix:///b]), labels: (from flag: [a=canary], \
            from file: [b=canary])";
        let shown = message(said);
        assert!(!shown.contains("canary"), "{shown}");
        for kept in
            ["debug: (from flag: true, from file: false), log-opts: (from flag: withheld", "unix:///b"]
        {
            assert!(shown.contains(kept), "{shown}");
        }
        assert_eq!(message("a plain line"), "a plain line");
    }
}
