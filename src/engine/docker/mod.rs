//! The Docker API: a connection, the version agreed on, and plain requests.
//!
//! bollard 0.21.1 never puts a version into the path, and a daemon answers an unversioned path at its newest version. So
//! the version is agreed on here (`GET /version`, itself unversioned), and put into every path.

use bollard::{ClientVersion, Docker};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use self::http::{Answer, BadAnswer};
use self::reason::Reason;
use self::unreached::Unreached;
use crate::engine::Versions;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::tls::Fault;
use crate::facts::endpoint::Endpoint;

pub mod error;
pub mod http;
pub mod names;
mod reason;
mod sniffed;
pub mod tls;
mod transport;
pub mod unreached;

/// The newest API version that was tested with every request made here.
const OUR_MAX: (u32, u32) = (1, 52);
/// The oldest API version (Docker 1.12): requests need nothing newer.
const OUR_MIN: (u32, u32) = (1, 24);
/// bollard's own timeout for response heads, in seconds; the callers' deadlines are shorter.
const HEAD_TIMEOUT: u64 = 3600;

/// What the query of a request may hold unescaped (RFC 3986, unreserved characters).
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Sends `GET path`; any status is an answer.
///
/// # Errors
///
/// `Unreachable`, `Tls`, or `Junk` where the answer is not HTTP.
pub async fn ask(endpoint: &Endpoint, doing: &str, path: &str) -> EngineResult<Answer> {
    let answer =
        http::request(endpoint, "GET", path).await.map_err(|error| of_io(endpoint, doing, &error))?;
    if answer.wants_tls() {
        return Err(of_tls(endpoint, doing, Fault::Wanted));
    }
    Ok(answer)
}

/// Classifies an error of a connection.
pub fn of_io(endpoint: &Endpoint, doing: &str, error: &std::io::Error) -> EngineError {
    if let Some(fault) = Fault::behind(error) {
        return of_tls(endpoint, doing, fault);
    }
    of_reason(endpoint, doing, &Reason::of(error))
}

/// The error for a reason: something that is no daemon answers, or nothing does.
fn of_reason(endpoint: &Endpoint, doing: &str, reason: &Reason) -> EngineError {
    let doing = doing.to_owned();
    match reason {
        Reason::Bad(bad @ (BadAnswer::NotHttp | BadAnswer::TooLong)) => {
            EngineError::Junk { doing, reason: format!("{endpoint}: {bad}") }
        }
        reason => {
            let why = Box::new(Unreached::by(endpoint, reason));
            EngineError::Unreachable { doing, endpoint: endpoint.clone(), why }
        }
    }
}

/// A failure of TLS.
fn of_tls(endpoint: &Endpoint, doing: &str, fault: Fault) -> EngineError {
    EngineError::Tls { doing: doing.to_owned(), endpoint: endpoint.clone(), fault: Box::new(fault) }
}

/// Sends `GET path` and parses the answer as JSON.
///
/// # Errors
///
/// As [`ask`]; `Refused` for any status but 200, `Junk` where it is not JSON.
pub async fn ask_json(endpoint: &Endpoint, doing: &str, path: &str) -> EngineResult<serde_json::Value> {
    let answer = ask(endpoint, doing, path).await?;
    let doing = doing.to_owned();
    match answer.status {
        200 => serde_json::from_slice(&answer.body)
            .map_err(|error| EngineError::Junk { doing, reason: error.to_string() }),
        status => Err(EngineError::Refused { doing, status, message: answer.message() }),
    }
}

/// Reads the answer to `/version`, and chooses the version to use.
pub fn versions(json: &serde_json::Value) -> Versions {
    let text = |key: &str| json.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (max, min) = (text("ApiVersion"), text("MinAPIVersion"));
    let used = choose(parse(&max), parse(&min)).map(|(major, minor)| format!("{major}.{minor}"));
    Versions { engine: text("Version"), max, min, used }
}

/// The newest version that both sides know. A daemon before 1.24 reports no oldest version.
fn choose(max: Option<(u32, u32)>, min: Option<(u32, u32)>) -> Option<(u32, u32)> {
    let used = OUR_MAX.min(max?);
    (used >= OUR_MIN && min.is_none_or(|min| used >= min)).then_some(used)
}

/// `1.45`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// bollard's client, at this version of the API.
pub fn client(endpoint: &Endpoint, version: &str) -> EngineResult<Docker> {
    let unused = ClientVersion { major_version: 1, minor_version: 41 };
    let docker = match endpoint {
        Endpoint::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), HEAD_TIMEOUT, &unused),
        Endpoint::Tcp(address) => transport::client(address, HEAD_TIMEOUT, &unused),
        #[cfg(feature = "tls")]
        Endpoint::Tls(secured) => crate::engine::docker::tls::client::client(secured, HEAD_TIMEOUT, &unused),
        #[cfg(not(feature = "tls"))]
        Endpoint::Tls(_) => Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into()),
    };
    let docker = docker.map_err(|error| of_bollard(endpoint, "connect", &error))?;
    let prefix = format!("/v{version}");
    Ok(docker.with_request_modifier(move |mut request| {
        let path = request.uri().path().to_owned();
        if !path.starts_with("/v1.") {
            let pinned = request.uri().to_string().replacen(&path, &format!("{prefix}{path}"), 1);
            if let Ok(uri) = pinned.parse() {
                *request.uri_mut() = uri;
            }
        }
        request
    }))
}

/// Classifies an error of bollard.
pub fn of_bollard(endpoint: &Endpoint, doing: &str, error: &bollard::errors::Error) -> EngineError {
    use bollard::errors::Error;
    let fault = Fault::behind(error);
    let (own, doing) = (doing, doing.to_owned());
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            EngineError::Refused { doing, status: *status_code, message: message.trim().to_owned() }
        }
        Error::DockerStreamError { error } => {
            EngineError::Refused { doing, status: 0, message: error.trim().to_owned() }
        }
        Error::JsonDataError { message, .. } => EngineError::Junk { doing, reason: message.clone() },
        other => match fault {
            Some(fault) => of_tls(endpoint, own, fault),
            None => of_reason(endpoint, own, &Reason::of(other)),
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "certificates of a test")]

    use super::*;

    /// An authority that signed nothing.
    #[cfg(feature = "tls")]
    const CA: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBiDCCAS+gAwIBAgIURlmlNMIpBtq/qoCRLn8DHeAdvM8wCgYIKoZIzj0EAwIw\n\
        GTEXMBUGA1UEAwwOZGluZGNoZWNrLXRlc3QwIBcNMjYxMTMwMjAyMTAzWhgPMjEy\n\
        NjExMDYyMDIxMDNaMBkxFzAVBgNVBAMMDmRpbmRjaGVjay10ZXN0MFkwEwYHKoZI\n\
        zj0CAQYIKoZIzj0DAQcDQgAExcms70aul1CdPHjtCKVDoupA6NOCOYuVFDHLpHiR\n\
        iKExmn0Ohd0WPWjk4pnCeicz2fBn4z5cdd5UErPBtUeyraNTMFEwHQYDVR0OBBYE\n\
        FO+uXNggnLZOo1fUpBgkkIlFTfpVMB8GA1UdIwQYMBaAFO+uXNggnLZOo1fUpBgk\n\
        kIlFTfpVMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIge4PmJj7+\n\
        8JcCcKI94B1jNS1qPLd2Qu7kZjEpTvjHqbcCIG+g2KDk5O5qFpFJ/C9frEhaXQNT\n\
        0DaniFcj2pMyHcRi\n\
        -----END CERTIFICATE-----";

    /// The error of bollard's client at this endpoint.
    fn error_at(endpoint: &Endpoint) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = match client(endpoint, "1.45") {
                Ok(client) => client,
                Err(error) => return error.to_string(),
            };
            let error = client.start_container("x", None).await.unwrap_err();
            of_bollard(endpoint, "start the container", &error).to_string()
        })
    }

    #[test]
    fn errors_of_the_client_have_the_words_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let socket = Endpoint::Unix(dir.path().join("sock"));
        let missing = error_at(&socket);
        assert!(missing.contains("(ENOENT); start the daemon"), "{missing}");
        drop(std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap());
        let stale = error_at(&socket);
        assert!(stale.contains("(ECONNREFUSED); nothing listens there"), "{stale}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let closes = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let tcp = Endpoint::Tcp(address);
        let closed = error_at(&tcp);
        closes.join().unwrap();
        assert!(closed.contains("closed the connection") || closed.contains("ECONNRESET"), "{closed}");
        let refused = error_at(&tcp);
        assert!(refused.contains("(ECONNREFUSED); nothing listens there"), "{refused}");
        for said in [missing, stale, closed, refused] {
            assert!(!said.to_lowercase().contains("hyper"), "{said}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn plain_http_and_silence_on_a_port_for_tls_are_told_apart() {
        use crate::facts::endpoint::TlsEndpoint;
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), CA).unwrap();
        for (answer, fault) in
            [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Fault::Plain), (b"", Fault::Closed)]
        {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                let _ = stream.write_all(answer);
            });
            let endpoint = Endpoint::Tls(Box::new(TlsEndpoint { address, keys: dir.path().to_owned() }));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let error = runtime.block_on(ask(&endpoint, "ping", "/_ping")).unwrap_err();
            server.join().unwrap();
            assert!(matches!(&error, EngineError::Tls { fault: found, .. } if **found == fault), "{error}");
        }
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let used = |max: &str, min: &str| {
            versions(&serde_json::json!({"Version": "x", "ApiVersion": max, "MinAPIVersion": min})).used
        };
        assert_eq!(used("1.41", "1.12").as_deref(), Some("1.41"));
        assert_eq!(used("1.55", "1.40").as_deref(), Some("1.52"));
        assert_eq!(used("1.60", "1.53"), None, "too new");
        assert_eq!(used("1.23", ""), None, "too old");
        assert_eq!(used("1.24", "").as_deref(), Some("1.24"));
        assert_eq!(used("", ""), None);
    }
}
