//! What can be wrong between a client and a daemon that are to speak TLS?
//!
//! The speaking itself is in [`speak`], where this program was built with the feature `tls`.

use std::error::Error;

use crate::diagnosis::causes;
use crate::facts::endpoint::Endpoint;
use crate::finding::Finding;
use crate::host::HostError;

#[cfg(feature = "tls")]
pub mod client;

/// Whether TLS is spoken at all.
pub const SPOKEN: bool = cfg!(feature = "tls");

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file of the client's own is not there, or cannot be read.
    #[error("{0}")]
    File(HostError),
    /// A file of the client's own holds nothing that can be used.
    #[error("{0}")]
    Content(String),
    /// The daemon's certificate is not accepted.
    #[error("the daemon's certificate is not accepted: {0}")]
    Server(String),
    /// The daemon does not accept the client's.
    #[error("the daemon does not accept this client's certificate: {0}")]
    Client(String),
    /// The daemon speaks plain HTTP.
    #[error("the daemon answers without TLS: {0}")]
    Plain(String),
    /// The daemon speaks TLS, and was asked without.
    #[error("the daemon speaks TLS, and was asked without")]
    Wanted,
    /// They do not come together.
    #[error("TLS: {0}")]
    Other(String),
}

impl Fault {
    /// The fault behind an error, if it is one of TLS.
    pub fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // What an io::Error was made of is not among its sources.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let known = error.downcast_ref::<Self>().or_else(|| inner?.downcast_ref::<Self>());
            if let Some(fault) = known {
                return Some(fault.clone());
            }
            #[cfg(feature = "tls")]
            if let Some(told) = inner.and_then(client::told) {
                return Some(told);
            }
            next = error.source();
        }
        None
    }

    /// Whether time may heal it: certificates that somebody is about to make.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File(error) => error.is_absent(),
            Self::Content(_) => true,
            _ => false,
        }
    }

    /// What it means, and what to do. An error where nothing can be said of the daemon: a file may not be read.
    pub fn finding(&self, what: String, endpoint: &Endpoint) -> anyhow::Result<Finding> {
        let cause = match self {
            Self::File(error) if !error.is_absent() => return Err(error.clone().into()),
            Self::Plain(_) | Self::Wanted => causes::CLIENT_TLS_PORT_MISMATCH,
            Self::Other(_) => causes::DAEMON_NOT_REACHABLE,
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

    /// What to do, where the cause's own remedy is not exact enough.
    fn hint(&self, endpoint: &Endpoint) -> Option<String> {
        let dir = match endpoint {
            Endpoint::Tls(secured) => secured.keys.display().to_string(),
            _ => "the directory of your certificates".to_owned(),
        };
        match self {
            Self::File(_) | Self::Content(_) => Some(format!(
                "put ca.pem, cert.pem and key.pem into {dir}, or name their directory by DOCKER_CERT_PATH"
            )),
            Self::Server(why) if why.contains("xpired") => Some(
                "have the daemon's certificate made anew, or set this machine's clock right (`date -u`)".to_owned(),
            ),
            Self::Server(_) => Some(format!(
                "{dir}/ca.pem must be the certificate authority that signed the daemon's certificate, and that one must name the host of {endpoint}"
            )),
            Self::Client(_) => Some(format!(
                "{dir}/cert.pem and key.pem must be signed by the daemon's --tlscacert, for clients (extendedKeyUsage = clientAuth), and not be over"
            )),
            Self::Wanted => Some(
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem".to_owned(),
            ),
            Self::Plain(_) => Some(format!(
                "unset DOCKER_TLS_VERIFY for {endpoint}, or ask the port where the daemon speaks TLS (2376 as a rule)"
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
        let fault = Fault::Plain("x".into());
        let error = std::io::Error::other(fault.clone());
        assert_eq!(Fault::behind(&error), Some(fault));
        assert_eq!(Fault::behind(&std::io::Error::from(std::io::ErrorKind::BrokenPipe)), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_finding_and_one_that_may_not_be_read_is_none() {
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
    fn who_speaks_tls_alone_has_the_wrong_port() {
        for fault in [Fault::Wanted, Fault::Plain("x".into())] {
            let finding = fault.finding("x".into(), &endpoint()).unwrap();
            assert_eq!(finding.cause, Some(causes::CLIENT_TLS_PORT_MISMATCH));
        }
    }
}
