//! Plain HTTP requests to a daemon, whose answers are kept exactly as they came.
//!
//! Used for what comes before an API version is agreed on, where typed models would drop fields, and where the peer's
//! process must be known. A request has no body, and a connection of its own; deadlines are the callers' matter: to drop
//! the future closes the connection.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::names;
use super::sniffed::Sniffed;
use crate::facts::endpoint::Endpoint;

/// A longer body is an error.
const MAX_BODY: usize = 8 << 20;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Whether it has the form in which Go's server refuses plain HTTP on a port for TLS: a 400 of HTTP/1.0 without headers
    /// (`net/http/server.go`, `tlsRecordHeaderLooksLikeHTTP`). No other answer of a daemon to HTTP/1.1 has it.
    pub refuses_plain: bool,
}

/// What came instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Nothing.
    #[error(
        "it closed the connection without an answer; a port for TLS, or a proxy with nothing behind it, may do so"
    )]
    Closed,
    /// A part of an answer.
    #[error("it closed the connection before the end of its answer")]
    Cut,
    /// Something else.
    #[error("it answers, but not in HTTP, so it is no Docker daemon")]
    NotHttp,
    /// More than is read.
    #[error("the answer is longer than {} MiB", MAX_BODY >> 20)]
    TooLong,
}

/// A connection to a daemon.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects; also returns the process at the other end, where the system knows it.
pub async fn connect(endpoint: &Endpoint) -> io::Result<(Box<dyn Stream>, Option<i32>)> {
    Ok(match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            let peer = stream.peer_cred().ok().and_then(|cred| cred.pid());
            (Box::new(stream), peer)
        }
        Endpoint::Tcp(address) => (Box::new(names::connect(address).await?), None),
        #[cfg(feature = "tls")]
        Endpoint::Tls(secured) => {
            (Box::new(crate::engine::docker::tls::client::connect(secured).await?), None)
        }
        #[cfg(not(feature = "tls"))]
        Endpoint::Tls(_) => return Err(ErrorKind::Unsupported.into()),
    })
}

/// Connects, sends a request without a body, and reads the answer to its end.
///
/// # Errors
///
/// `InvalidData` where what comes is not a whole HTTP answer of at most 8 MiB; otherwise the error of the connection.
pub async fn request(endpoint: &Endpoint, method: &str, path: &str) -> io::Result<Answer> {
    send(connect(endpoint).await?.0, method, path).await
}

/// The same over a connection that stands.
pub async fn send(stream: Box<dyn Stream>, method: &str, path: &str) -> io::Result<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "docker")
        .header(USER_AGENT, "dindcheck")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let (stream, first) = Sniffed::new(stream);
    exchange(stream, request).await.map_err(|error| first.explain(error))
}

/// Sends the request, and reads the answer to its end.
async fn exchange(stream: Sniffed, request: Request<Empty<Bytes>>) -> io::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(of_hyper)?;
    let mut exchange = std::pin::pin!(async move {
        let answer = sender.send_request(request).await.map_err(of_hyper)?;
        let status = answer.status().as_u16();
        let refuses_plain =
            status == 400 && answer.version() == Version::HTTP_10 && answer.headers().is_empty();
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await.map_err(of_body)?;
        Ok(Answer { status, body: body.to_bytes().into(), refuses_plain })
    });
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // What the connection brought before its end is kept for the exchange, its error as well.
        ended = connection => exchange.await.map_err(|error| ended.map_or_else(of_hyper, |()| error)),
    }
}

/// An error while the body is read.
fn of_body(error: Box<dyn std::error::Error + Send + Sync>) -> io::Error {
    match error.downcast::<hyper::Error>() {
        Ok(error) => of_hyper(*error),
        Err(error) if error.is::<LengthLimitError>() => invalid(BadAnswer::TooLong),
        Err(error) => io::Error::other(error),
    }
}

/// hyper's error as one of the connection, or as the answer's own.
fn of_hyper(error: hyper::Error) -> io::Error {
    if error.is_parse() {
        return invalid(BadAnswer::NotHttp);
    }
    // The number of a system call's error says more than hyper's message; an error of TLS is kept as the source.
    let behind = std::error::Error::source(&error).and_then(|inner| inner.downcast_ref::<io::Error>());
    if error.is_incomplete_message() || behind.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
        return invalid(BadAnswer::Cut);
    }
    match behind.and_then(io::Error::raw_os_error) {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error),
    }
}

pub(super) fn invalid(bad: BadAnswer) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, bad)
}

impl Answer {
    /// Whether it is the one of a daemon that expects TLS.
    pub fn wants_tls(&self) -> bool {
        self.refuses_plain
    }

    /// The reason of a refusal: `message` of the daemon's JSON, else the body itself.
    pub fn message(&self) -> String {
        let json = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
        message.map_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned(), ToOwned::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use super::super::tls::Fault;
    use super::*;

    /// The answer to a request at a server that writes these bytes and closes; and the request that it read.
    fn answered(bytes: &[u8]) -> (io::Result<Answer>, String) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut read = [0; 4096];
                let length = stream.read(&mut read).unwrap();
                // The client may have hung up on an answer that is too long.
                let _ = stream.write_all(bytes);
                String::from_utf8_lossy(&read[..length]).into_owned()
            });
            let answer = runtime().block_on(request(&endpoint, "GET", "/x?y=1"));
            (answer, server.join().unwrap())
        })
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn an_answer_is_kept_as_it_came_however_its_length_is_given() {
        for bytes in [
            &b"HTTP/1.0 200 OK\r\nApi-Version: 1.45\r\n\r\n{ \"a\" :1}"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{ \"a\" :1}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{ \"a\r\n5\r\n\" :1}\r\n0\r\n\r\n",
        ] {
            let (answer, asked) = answered(bytes);
            assert_eq!(
                answer.unwrap(),
                Answer { status: 200, body: b"{ \"a\" :1}".to_vec(), refuses_plain: false }
            );
            assert!(asked.starts_with("GET /x?y=1 HTTP/1.1\r\nhost: docker\r\n"), "{asked}");
        }
    }

    #[test]
    fn a_refusal_has_the_daemons_message_and_a_daemon_with_tls_is_recognized() {
        let (plain, _) =
            answered(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
        assert!(plain.unwrap().wants_tls());
        let (refused, _) = answered(b"HTTP/1.1 400 Bad Request\r\n\r\n{\"message\":\"too old\"}");
        let refused = refused.unwrap();
        assert!(refused.message() == "too old" && !refused.wants_tls());
    }

    #[test]
    fn an_answer_that_is_not_http_or_not_whole_is_invalid_data() {
        for junk in [
            &b""[..],
            b"OK\r\n\r\n",
            b"HTTP/1.0 abc\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        ] {
            let error = answered(junk).0.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{}: {error}", String::from_utf8_lossy(junk));
        }
    }

    #[test]
    fn what_answers_instead_of_a_daemon_is_told_apart() {
        // An alert of TLS, and the start of a handshake.
        for record in [&b"\x15\x03\x01\x00\x02\x02\x46"[..], b"\x16\x03\x03\x00\x01\x00"] {
            let error = answered(record).0.unwrap_err();
            assert_eq!(Fault::behind(&error), Some(Fault::Wanted));
        }
        for (bytes, bad) in [
            (&b""[..], BadAnswer::Closed),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", BadAnswer::Cut),
            (b"SSH-2.0-OpenSSH_9.2\r\n", BadAnswer::NotHttp),
        ] {
            let error = answered(bytes).0.unwrap_err();
            let found = error.get_ref().and_then(|inner| inner.downcast_ref::<BadAnswer>());
            assert_eq!(found, Some(&bad));
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_reported_and_not_cut() {
        let mut long = b"HTTP/1.0 200 OK\r\n\r\n".to_vec();
        long.resize(long.len() + MAX_BODY + 1, b'x');
        let error = answered(&long).0.unwrap_err();
        assert_eq!(error.to_string(), "the answer is longer than 8 MiB");
        long.pop();
        assert_eq!(answered(&long).0.unwrap().body.len(), MAX_BODY);
    }

    #[test]
    fn a_daemon_that_accepts_and_does_not_answer_yet_is_waited_for_and_left_by_a_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let endpoint = Endpoint::Unix(path);
        runtime().block_on(async {
            let (stream, peer) = connect(&endpoint).await.unwrap();
            assert_eq!(peer, i32::try_from(std::process::id()).ok());
            let sent = tokio::time::timeout(Duration::from_millis(50), send(stream, "GET", "/_ping"));
            assert!(sent.await.is_err(), "the server did not answer");
        });
        let (mut accepted, _) = listener.accept().unwrap();
        let mut request = String::new();
        accepted.read_to_string(&mut request).unwrap();
        assert!(request.starts_with("GET /_ping HTTP/1.1\r\n"), "{request}");
    }
}
