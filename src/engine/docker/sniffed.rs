//! Connections whose first bytes tell what else than a daemon answers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http::{BadAnswer, Stream, invalid};
use super::tls::Fault;

/// A connection whose first bytes are remembered: they tell what else than a daemon answers.
pub(super) struct Sniffed {
    stream: Box<dyn Stream>,
    first: FirstBytes,
}

/// The first bytes that came, at most three.
#[derive(Clone, Default)]
pub(super) struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl Sniffed {
    pub(super) fn new(stream: Box<dyn Stream>) -> (Self, FirstBytes) {
        let first = FirstBytes::default();
        (Self { stream, first: first.clone() }, first)
    }
}

impl FirstBytes {
    /// The error, by what came before it: an alert of TLS (RFC 8446, 5.1), or nothing at all.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = error.get_ref().and_then(|inner| inner.downcast_ref::<BadAnswer>());
        match (bad, &first[..]) {
            (Some(_), [0x15 | 0x16, 3, _]) => io::Error::other(Fault::Wanted),
            (Some(BadAnswer::Cut), []) => invalid(BadAnswer::Closed),
            _ => error,
        }
    }
}

impl AsyncRead for Sniffed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let mut first = self.first.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = 3_usize.saturating_sub(first.len());
        first.extend(buffer.filled()[before..].iter().take(missing));
        drop(first);
        read
    }
}

impl AsyncWrite for Sniffed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
