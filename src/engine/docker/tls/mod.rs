//! TLS failures between client and daemon, and what to do about them.
//!
//! The TLS client itself is in `client`, in a build with the feature `tls`.

use std::error::Error;

use super::reason::chain;
use crate::diagnosis::causes;
use crate::facts::endpoint::Endpoint;
use crate::finding::Finding;
use crate::host::HostError;

#[cfg(feature = "tls")]
pub mod client;

/// Whether this build has the TLS client.
pub const SUPPORTED: bool = cfg!(feature = "tls");

/// What is wrong with the daemon's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateProblem {
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It does not name the host.
    Name,
    /// Another authority signed it.
    Issuer,
    /// Anything else.
    Other,
}

/// A failure of TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file of the client's is missing or cannot be read.
    #[error("{0}")]
    File(HostError),
    /// A file of the client's has invalid content.
    #[error("{0}")]
    Content(String),
    /// The client does not accept the daemon's certificate.
    #[error("the daemon's certificate is not accepted: {1}")]
    Server(CertificateProblem, String),
    /// The daemon does not accept the client's certificate.
    #[error("the daemon does not accept this client's certificate: {0}")]
    Client(String),
    /// The two have no version of TLS or no cipher in common.
    #[error("the daemon and this client have no version of TLS or no cipher in common: {0}")]
    Incompatible(String),
    /// The daemon answers, and not in TLS.
    #[error("the daemon answers without TLS")]
    Plain,
    /// The daemon closed the connection during the handshake.
    #[error("the connection was closed during the TLS handshake, without a word")]
    Closed,
    /// The daemon expects TLS, and the request came without.
    #[error("the daemon expects TLS, and the request came without")]
    Wanted,
    /// Any other failure.
    #[error("TLS: {0}")]
    Other(String),
}

impl Fault {
    /// The TLS failure among an error and its sources, if there is one.
    pub fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        chain(error).into_iter().find_map(|error| {
            #[cfg(feature = "tls")]
            let classified = || client::classify_error(error);
            #[cfg(not(feature = "tls"))]
            let classified = || None;
            error.downcast_ref::<Self>().cloned().or_else(classified)
        })
    }

    /// Whether waiting may help: certificates may still be being created.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File(error) => error.is_absent(),
            // A proxy closes the connection while nothing listens behind it.
            Self::Content(_) | Self::Closed => true,
            _ => false,
        }
    }

    /// The finding, with what to do.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, which says nothing about the daemon.
    pub fn finding(&self, what: String, endpoint: &Endpoint) -> anyhow::Result<Finding> {
        let cause = match self {
            Self::File(error) if !error.is_absent() => return Err(error.clone().into()),
            Self::Plain | Self::Wanted | Self::Closed => causes::CLIENT_TLS_PORT_MISMATCH,
            Self::Incompatible(_) | Self::Other(_) => causes::DAEMON_NOT_REACHABLE,
            _ => causes::CLIENT_TLS_CERTIFICATE_MISMATCH,
        };
        let mut finding = Finding::fail(cause, what).with("endpoint", endpoint);
        if let Self::File(error) = self {
            finding = finding.with("path", error.path.display()).with("errno", error.errno);
        }
        Ok(match self.hint(endpoint) {
            Some(hint) => finding.hint(hint),
            None => finding,
        })
    }

    /// What to do, where it is more exact than the cause's remedy.
    fn hint(&self, endpoint: &Endpoint) -> Option<String> {
        let dir = match endpoint {
            Endpoint::Tls(secured) => secured.keys.display().to_string(),
            _ => "the directory of your certificates".to_owned(),
        };
        match self {
            Self::File(_) | Self::Content(_) => Some(format!(
                "put ca.pem, cert.pem and key.pem into {dir}, or set DOCKER_CERT_PATH to their directory"
            )),
            Self::Server(CertificateProblem::Expired | CertificateProblem::NotYetValid, _) => Some(
                "renew the daemon's certificate, or correct this machine's clock (`date -u`)".to_owned(),
            ),
            Self::Server(CertificateProblem::Name, _) => Some(format!(
                "connect by a name that the daemon's certificate has, or create one with the host of {endpoint} as a subjectAltName"
            )),
            Self::Server(CertificateProblem::Issuer, _) => Some(format!(
                "{dir}/ca.pem must be the certificate authority that signed the daemon's certificate"
            )),
            Self::Server(CertificateProblem::Other, _) => Some(format!(
                "{dir}/ca.pem must be the certificate authority that signed the daemon's certificate, and that certificate must name the host of {endpoint}"
            )),
            Self::Client(_) => Some(format!(
                "{dir}/cert.pem and key.pem must be signed by the daemon's --tlscacert, for clients (extendedKeyUsage = clientAuth), and must not have expired"
            )),
            Self::Wanted => Some(
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem".to_owned(),
            ),
            Self::Closed => Some(format!(
                "check that a daemon with TLS listens at {endpoint}: a program that does not speak TLS, or a proxy with nothing behind it, closes the connection"
            )),
            Self::Incompatible(_) => Some("use a daemon and a client that both speak TLS 1.2 or later".to_owned()),
            Self::Plain => Some(format!(
                "unset DOCKER_TLS_VERIFY for {endpoint}, or use the port where the daemon serves TLS (usually 2376)"
            )),
            Self::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::endpoint::TlsEndpoint;
    use nix::errno::Errno;

    fn endpoint() -> Endpoint {
        Endpoint::Tls(Box::new(TlsEndpoint { address: "h:2376".into(), keys: "/certs".into() }))
    }

    #[test]
    fn a_fault_is_found_behind_other_errors() {
        let fault = Fault::Plain;
        let error = std::io::Error::other(fault.clone());
        assert_eq!(Fault::behind(&error), Some(fault));
        assert_eq!(Fault::behind(&std::io::Error::from(std::io::ErrorKind::BrokenPipe)), None);
    }

    #[test]
    fn a_missing_file_is_a_finding_and_an_unreadable_one_an_error() {
        let fault = |errno| Fault::File(HostError::new("open", "/certs/ca.pem", errno));
        let finding = fault(Errno::ENOENT).finding("x".into(), &endpoint()).unwrap();
        assert_eq!(finding.cause, Some(causes::CLIENT_TLS_CERTIFICATE_MISMATCH));
        assert!(finding.evidence.contains(&("path", "/certs/ca.pem".to_owned())));
        assert!(finding.evidence.contains(&("errno", "2".to_owned())));
        assert!(finding.hint.unwrap().contains("/certs"));
        assert!(fault(Errno::EACCES).finding("x".into(), &endpoint()).is_err());
        assert!(fault(Errno::ENOENT).may_pass() && !fault(Errno::EACCES).may_pass());
    }

    #[test]
    fn tls_on_one_side_only_is_a_port_mismatch() {
        for fault in [Fault::Wanted, Fault::Plain, Fault::Closed] {
            let finding = fault.finding("x".into(), &endpoint()).unwrap();
            assert_eq!(finding.cause, Some(causes::CLIENT_TLS_PORT_MISMATCH));
        }
    }
}
