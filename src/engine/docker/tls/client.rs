//! The TLS client, by rustls, with the files that the docker CLI uses.
//!
//! ca.pem is the only authority that is trusted. cert.pem and key.pem are the client's certificate; without either of them
//! the client has none, which a daemon with `--tls` alone accepts (docker/cli `cli/flags/options.go`,
//! `SetDefaultOptions`).
#![expect(clippy::disallowed_methods, reason = "the client's own certificates")]

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bollard::{BollardRequest, ClientVersion, Docker};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{CertificateProblem, Fault};
use crate::engine::docker::{names, transport};
use crate::facts::endpoint::TlsEndpoint;
use crate::host::input;

/// The largest file of certificates that is read, in bytes.
const MAX_CERTIFICATES: u64 = 4 << 20;

/// Where to connect, and with which certificates.
#[derive(Clone)]
struct TlsDialer {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
}

/// Connects with the certificates of the endpoint's directory.
///
/// # Errors
///
/// An `io::Error` around a [`Fault`] or an error of rustls.
pub async fn connect(to: &TlsEndpoint) -> io::Result<TlsStream<TcpStream>> {
    TlsDialer::new(to).map_err(io::Error::other)?.connect().await
}

/// bollard's client, with a TLS connection of its own for each request.
pub fn client(
    to: &TlsEndpoint,
    timeout: u64,
    version: &ClientVersion,
) -> Result<Docker, bollard::errors::Error> {
    let dialer = TlsDialer::new(to).map_err(|fault| bollard::errors::Error::from(io::Error::other(fault)))?;
    let transport = move |request: BollardRequest| {
        let dialer = dialer.clone();
        async move { transport::send(dialer.connect().await?, &dialer.address, request).await }
    };
    Docker::connect_with_custom_transport(
        transport,
        Some(format!("https://{}", to.address)),
        timeout,
        version,
    )
}

impl TlsDialer {
    fn new(to: &TlsEndpoint) -> Result<Self, Fault> {
        let TlsEndpoint { address, keys } = to;
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host)
            .map_err(|error| Fault::Other(format!("{address} has no valid host name: {error}")))?;
        let connector = TlsConnector::from(Arc::new(config(keys)?));
        Ok(Self { address: address.clone(), name, connector })
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = names::connect(&self.address).await?;
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other(Fault::Closed),
            _ => error,
        })
    }
}

/// The trusted authority and the client's certificate.
fn config(keys: &Path) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    let ca = keys.join("ca.pem");
    for certificate in certificates(&ca)? {
        roots.add(certificate).map_err(|error| unusable(&ca, &error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::Other(error.to_string()))?
        .with_root_certificates(roots);
    let (cert, key) = (keys.join("cert.pem"), keys.join("key.pem"));
    if is_absent(&cert) && is_absent(&key) {
        return Ok(builder.with_no_client_auth());
    }
    let key_der = PrivateKeyDer::from_pem_slice(&read(&key)?).map_err(|error| unusable(&key, &error))?;
    builder.with_client_auth_cert(certificates(&cert)?, key_der).map_err(|error| unusable(&key, &error))
}

/// The certificates in a file; none is an error.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bytes = read(path)?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unusable(path, &error))?;
    if all.is_empty() {
        return Err(Fault::Content(format!("{} contains no certificate", path.display())));
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    input::read(path, MAX_CERTIFICATES).map_err(Fault::File)
}

fn is_absent(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn unusable(path: &Path, error: &dyn Error) -> Fault {
    Fault::Content(format!("{} cannot be used: {error}", path.display()))
}

/// Classifies an error of rustls by its type; `None` for any other error.
pub(super) fn classify_error(error: &(dyn Error + 'static)) -> Option<Fault> {
    use rustls::AlertDescription as Alert;
    use rustls::Error as Tls;
    let error = error.downcast_ref::<Tls>()?;
    let text = error.to_string();
    Some(match error {
        Tls::InvalidCertificate(problem) => Fault::Server(certificate_problem(problem), text),
        Tls::NoCertificatesPresented => Fault::Server(CertificateProblem::Other, text),
        Tls::AlertReceived(
            Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => Fault::Client(text),
        Tls::AlertReceived(Alert::UnrecognisedName) => Fault::Server(CertificateProblem::Name, text),
        Tls::AlertReceived(
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
        )
        | Tls::PeerIncompatible(_) => Fault::Incompatible(text),
        Tls::InvalidMessage(_) => Fault::Plain,
        _ => Fault::Other(text),
    })
}

/// What is wrong with the daemon's certificate.
fn certificate_problem(error: &rustls::CertificateError) -> CertificateProblem {
    use rustls::CertificateError as Error;
    match error {
        Error::Expired | Error::ExpiredContext { .. } => CertificateProblem::Expired,
        Error::NotValidYet | Error::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        Error::NotValidForName | Error::NotValidForNameContext { .. } => CertificateProblem::Name,
        Error::UnknownIssuer | Error::BadSignature => CertificateProblem::Issuer,
        _ => CertificateProblem::Other,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, InvalidMessage};

    use super::*;

    fn classified(error: rustls::Error) -> Fault {
        // As tokio-rustls hands it out, and hyper after it.
        let io = io::Error::new(io::ErrorKind::InvalidData, error);
        Fault::behind(&io::Error::other(io)).unwrap()
    }

    #[test]
    fn errors_of_rustls_are_told_apart_by_type() {
        use rustls::Error as Tls;
        let problem = |error| match classified(Tls::InvalidCertificate(error)) {
            Fault::Server(problem, _) => problem,
            other => panic!("{other:?}"),
        };
        assert_eq!(problem(CertificateError::Expired), CertificateProblem::Expired);
        assert_eq!(problem(CertificateError::NotValidYet), CertificateProblem::NotYetValid);
        assert_eq!(problem(CertificateError::NotValidForName), CertificateProblem::Name);
        assert_eq!(problem(CertificateError::UnknownIssuer), CertificateProblem::Issuer);
        assert_eq!(problem(CertificateError::Revoked), CertificateProblem::Other);
        let alert = |alert| classified(Tls::AlertReceived(alert));
        assert!(matches!(alert(AlertDescription::CertificateRequired), Fault::Client(_)));
        assert!(matches!(alert(AlertDescription::UnknownCA), Fault::Client(_)));
        assert!(matches!(alert(AlertDescription::HandshakeFailure), Fault::Incompatible(_)));
        assert!(matches!(alert(AlertDescription::InternalError), Fault::Other(_)));
        assert_eq!(classified(Tls::InvalidMessage(InvalidMessage::InvalidContentType)), Fault::Plain);
    }
}
