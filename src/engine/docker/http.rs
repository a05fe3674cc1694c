//! How is a plain question asked, whose answer must be had exactly as it came?
//!
//! A request without a body over HTTP/1.0: the daemon answers without chunks and closes, so the answer is what is read to the
//! end. Used for what comes before an API version is agreed on, and where typed models would drop fields.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::facts::endpoint::Endpoint;

/// The most that is read of an answer.
const MAX_ANSWER: u64 = 8 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A connection to a daemon.
pub trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// Connects; also tells the process at the other end, where the system knows it.
pub async fn connect(endpoint: &Endpoint) -> std::io::Result<(Pin<Box<dyn Stream>>, Option<i32>)> {
    Ok(match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            let peer = stream.peer_cred().ok().and_then(|cred| cred.pid());
            (Box::pin(stream), peer)
        }
        Endpoint::Tcp(address) => (Box::pin(TcpStream::connect(address).await?), None),
        #[cfg(feature = "tls")]
        Endpoint::Tls(secured) => {
            (Box::pin(crate::engine::docker::tls::client::connect(secured).await?), None)
        }
        #[cfg(not(feature = "tls"))]
        Endpoint::Tls(_) => return Err(std::io::ErrorKind::Unsupported.into()),
    })
}

/// Connects and sends a request without a body.
pub async fn request(endpoint: &Endpoint, method: &str, path: &str) -> std::io::Result<Answer> {
    send(connect(endpoint).await?.0, method, path).await
}

/// Sends a request, and reads the answer to its end.
pub async fn send(mut stream: Pin<Box<dyn Stream>>, method: &str, path: &str) -> std::io::Result<Answer> {
    let request = format!("{method} {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: dindcheck\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes).await?;
    parse(&bytes).ok_or_else(|| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, "the connection closed without an HTTP answer")
    })
}

/// Takes an answer apart.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let status = first.next().filter(|word| word.starts_with("HTTP/1")).and(first.next())?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}

impl Answer {
    /// Whether it is the one of a daemon that expects TLS (Go `net/http/server.go`, `tlsRecordHeaderLooksLikeHTTP`).
    pub fn wants_tls(&self) -> bool {
        self.status == 400 && self.message().contains("HTTP request to an HTTPS server")
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The words of a refusal: `message` of the daemon's JSON, else the body itself.
    pub fn message(&self) -> String {
        let json = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let said = json.as_ref().and_then(|json| json.get("message")?.as_str());
        said.map_or_else(|| String::from_utf8_lossy(&self.body).trim().to_owned(), ToOwned::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let answer = parse(b"HTTP/1.0 200 OK\r\nApi-Version: 1.45\r\n\r\nOK").unwrap();
        assert_eq!((answer.status, answer.header("api-version")), (200, Some("1.45")));
        assert_eq!(answer.body, b"OK");
        let plain =
            parse(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
        assert!(plain.unwrap().wants_tls());
        let refused = parse(b"HTTP/1.1 400 Bad Request\r\n\r\n{\"message\":\"too old\"}").unwrap();
        assert_eq!(refused.message(), "too old");
    }

    #[test]
    fn junk_is_no_answer() {
        for junk in [&b""[..], b"OK\r\n\r\n", b"HTTP/1.0 abc\r\n\r\n", b"HTTP/1.0 200 OK\r\n"] {
            assert_eq!(parse(junk), None);
        }
    }
}
