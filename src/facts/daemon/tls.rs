//! TLS of the daemon's API: whether it is on, and its certificates.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::flags::Flags;
use super::values::Values;
use crate::host::SystemReader;

/// The TLS settings of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether the API is served with TLS.
    pub on: bool,
    /// Whether clients must present a certificate.
    pub verify: bool,
    /// Whether TLS was turned on or off explicitly. Otherwise dockerd waits 16 s before it listens without TLS.
    pub chosen: bool,
    /// Certificate authority, certificate, key.
    pub files: [Option<PathBuf>; 3],
}

impl Tls {
    /// Derives them as `loadDaemonCliConfig` and `setDefaultOptions` of dockerd do. The default files are used only where a
    /// flag turned TLS on.
    pub(super) fn read(host: &dyn SystemReader, flags: &Flags, values: &Values) -> Self {
        let flag = |name: &str| flags.values.get(name).and_then(Value::as_bool);
        let verify = values.switch("tlsverify");
        let tls = if values.has("tlsverify") { Some(true) } else { values.switch("tls") };
        let by_flag = flag("tls") == Some(true) || flag("tlsverify").is_some();
        let dir = || {
            let home = || host.env_os("HOME").map(|home| Path::new(&home).join(".docker"));
            let set = |name| host.env_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
            set("DOCKER_CERT_PATH")
                .or_else(|| set("DOCKER_CONFIG"))
                .or_else(home)
                .unwrap_or_else(|| "/root/.docker".into())
        };
        let file = |key: &str, name: &str| {
            let default = || by_flag.then(|| dir().join(name));
            values.text(key).map(PathBuf::from).or_else(default)
        };
        Self {
            on: tls == Some(true),
            verify: verify.or(tls).unwrap_or(false),
            chosen: tls.is_some(),
            files: [file("tlscacert", "ca.pem"), file("tlscert", "cert.pem"), file("tlskey", "key.pem")],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::hosts::Listen;
    use super::super::tests::{daemon, machine};

    #[test]
    fn tls_by_flag_has_default_files_and_tls_by_file_has_none() {
        let host = machine("26.1.5").variable("DOCKER_CERT_PATH", "/certs");
        let by_flag = daemon(&host, &["--tlsverify"]).settings;
        assert!(by_flag.tls.on && by_flag.tls.verify);
        assert_eq!(by_flag.tls.files[1].as_deref(), Some(Path::new("/certs/cert.pem")));
        assert_eq!(by_flag.hosts, [Listen::Tcp("localhost".into(), 2376)]);
        let host = host.file("/etc/docker/daemon.json", r#"{"tls": true}"#);
        let by_file = daemon(&host, &[]).settings.tls;
        assert!(by_file.on && by_file.verify && by_file.files == [None, None, None]);
    }
}
