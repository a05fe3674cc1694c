//! The endpoint of a running daemon, from what was typed or from the docker CLI's environment variables.

use anyhow::{Context, ensure};

use crate::engine::docker::tls;
use crate::facts::endpoint::{Endpoint, TlsEndpoint};
use crate::host::SystemReader;

/// The endpoint of the URL that an option has; if that is empty, of `DOCKER_HOST`, else the usual socket. With
/// `DOCKER_TLS_VERIFY`, TCP means TLS with the certificates in `DOCKER_CERT_PATH`; a program without TLS refuses it.
pub fn endpoint(host: &dyn SystemReader, option: &'static str, url: &str) -> anyhow::Result<Endpoint> {
    let from_env = || host.env("DOCKER_HOST").filter(|value| !value.is_empty());
    let (source, url) = match url {
        "" => ("DOCKER_HOST", from_env().unwrap_or_default()),
        url => (option, url.to_owned()),
    };
    let endpoint = Endpoint::parse(&url).context(source)?;
    let tls = host.env("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
    match endpoint {
        Endpoint::Tcp(address) if tls => with_tls(host, address),
        other => Ok(other),
    }
}

/// The TLS endpoint of a TCP address, with the certificates that the docker CLI would use.
fn with_tls(host: &dyn SystemReader, address: String) -> anyhow::Result<Endpoint> {
    ensure!(
        tls::SUPPORTED,
        "DOCKER_TLS_VERIFY is set, but this dindcheck was built without the feature `tls` and cannot connect to \
         tcp://{address}: use the daemon's unix socket (unix:///PATH) instead"
    );
    let set = |name| host.env(name).filter(|value| !value.is_empty());
    let home = || set("HOME").map(|home| format!("{home}/.docker"));
    let keys = set("DOCKER_CERT_PATH").or_else(|| set("DOCKER_CONFIG")).or_else(home);
    let keys = keys.unwrap_or_else(|| "/root/.docker".to_owned()).into();
    Ok(Endpoint::Tls(Box::new(TlsEndpoint { address, keys })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    fn tls_by_variable() -> Fake {
        let host = Fake::new().variable("DOCKER_HOST", "tcp://h:2376").variable("HOME", "/home/me");
        assert_eq!(endpoint(&host, "--attach", "").unwrap(), Endpoint::Tcp("h:2376".into()));
        let host = host.variable("DOCKER_TLS_VERIFY", "1");
        assert!(matches!(endpoint(&host, "--attach", "unix:///run/docker.sock"), Ok(Endpoint::Unix(_))));
        host
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_endpoint_has_the_certificates_of_the_docker_cli() {
        let keys = |host: &Fake| match endpoint(host, "--attach", "").unwrap() {
            Endpoint::Tls(to) if to.address == "h:2376" => to.keys.display().to_string(),
            other => panic!("{other:?}"),
        };
        let host = tls_by_variable();
        assert_eq!(keys(&host), "/home/me/.docker");
        assert_eq!(keys(&host.variable("DOCKER_CERT_PATH", "/certs")), "/certs");
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_endpoint_is_refused_without_the_feature() {
        let refused = endpoint(&tls_by_variable(), "--attach", "").unwrap_err().to_string();
        assert!(refused.contains("cannot connect to tcp://h:2376"), "{refused}");
    }
}
