//! The secrets in a daemon's options and in the environment, so that nothing that repeats them is shown.

use serde_json::Value;

use super::{Invocation, config_file, flags, options};
use crate::host::SystemReader;
use crate::redact::KnownSecrets;

/// The variables with the addresses of proxies (moby `daemon/config/config.go`, Go `net/http/httpproxy`).
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ftp_proxy",
];

/// The secrets of the arguments, of daemon.json and of the proxies' variables. A file that cannot be read or parsed has
/// none: dockerd does not repeat its values either.
pub fn secrets(host: &dyn SystemReader, daemon: &Invocation<'_>) -> KnownSecrets {
    let mut known = KnownSecrets::default();
    known.add_arguments(daemon.args);
    let (config, _) = config_file(host, &flags::parse(daemon.args, options::NEWEST));
    let text = host.read_text(&config).unwrap_or_default();
    if let Ok(json) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
        known.add_json(&mut Vec::new(), &json);
    }
    for proxy in PROXIES.iter().filter_map(|name| host.env(name)) {
        known.add(&["http-proxy"], &proxy);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn secrets_of_arguments_file_and_variables_are_known() {
        let json = r#"{"log-opts": {"splunk-token": "canary-1-file"}, "data-root": "/canary-data"}"#;
        let host = Fake::new()
            .file("/etc/docker/daemon.json", json)
            .variable("HTTPS_PROXY", "http://me:canary-2-env@proxy:3128");
        let args = ["--label".to_owned(), "a=canary-3-flag".to_owned()];
        let daemon = Invocation { command: "dockerd", args: &args, data_root: None, debug: true };
        let said = secrets(&host, &daemon).hide("canary-1-file me:canary-2-env canary-3-flag /canary-data");
        assert_eq!(said, "withheld me:withheld withheld /canary-data");
    }
}
