//! Where is a daemon that runs already: as it was typed, or as the docker CLI's variables say?

use anyhow::{Context, ensure};

use crate::engine::docker::tls;
use crate::facts::endpoint::{Endpoint, TlsEndpoint};
use crate::host::SystemReader;

/// Where a running daemon is; an empty text means `DOCKER_HOST`, else the usual socket. With `DOCKER_TLS_VERIFY` a TCP
/// address is one of TLS, with the files in `DOCKER_CERT_PATH`; a program that speaks none refuses it.
pub fn endpoint(host: &dyn SystemReader, url: &str) -> anyhow::Result<Endpoint> {
    let from_env = || host.env("DOCKER_HOST").filter(|value| !value.is_empty());
    let url = if url.is_empty() { from_env().unwrap_or_default() } else { url.to_owned() };
    let endpoint = Endpoint::parse(&url).context("--attach")?;
    let tls = host.env("DOCKER_TLS_VERIFY").is_some_and(|value| !value.is_empty());
    match endpoint {
        Endpoint::Tcp(address) if tls => with_tls(host, address),
        other => Ok(other),
    }
}

/// A TCP address that is meant for TLS.
fn with_tls(host: &dyn SystemReader, address: String) -> anyhow::Result<Endpoint> {
    ensure!(
        tls::SUPPORTED,
        "DOCKER_TLS_VERIFY is set, and this dindcheck, built without the feature `tls`, speaks no TLS to \
         tcp://{address}: name the daemon's unix socket (unix:///PATH) instead"
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

    fn meant_for_tls() -> Fake {
        let host = Fake::new().variable("DOCKER_HOST", "tcp://h:2376").variable("HOME", "/home/me");
        assert_eq!(endpoint(&host, "").unwrap(), Endpoint::Tcp("h:2376".into()));
        let host = host.variable("DOCKER_TLS_VERIFY", "1");
        assert!(matches!(endpoint(&host, "unix:///run/docker.sock"), Ok(Endpoint::Unix(_))));
        host
    }

    #[test]
    #[cfg(feature = "tls")]
    fn an_address_that_is_meant_for_tls_has_the_clis_certificates() {
        let keys = |host: &Fake| match endpoint(host, "").unwrap() {
            Endpoint::Tls(to) if to.address == "h:2376" => to.keys.display().to_string(),
            other => panic!("{other:?}"),
        };
        let host = meant_for_tls();
        assert_eq!(keys(&host), "/home/me/.docker");
        assert_eq!(keys(&host.variable("DOCKER_CERT_PATH", "/certs")), "/certs");
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn an_address_that_is_meant_for_tls_is_refused() {
        let refused = endpoint(&meant_for_tls(), "").unwrap_err().to_string();
        assert!(refused.contains("speaks no TLS to tcp://h:2376"), "{refused}");
    }
}
