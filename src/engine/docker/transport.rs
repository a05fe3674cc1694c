//! The connections of bollard's client to a daemon behind TCP: one for each request, made here, so that names are resolved
//! and TLS is spoken as everywhere else.

use std::io;

use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::{Response, Uri};
use hyper_util::rt::TokioIo;

use super::http::Stream;
use super::names;

/// bollard's client for a TCP address without TLS.
pub(super) fn client(
    address: &str,
    timeout: u64,
    version: &ClientVersion,
) -> Result<Docker, bollard::errors::Error> {
    let to = address.to_owned();
    let transport = move |request: BollardRequest| {
        let to = to.clone();
        async move { send(names::connect(&to).await?, &to, request).await }
    };
    Docker::connect_with_custom_transport(transport, Some(format!("http://{address}")), timeout, version)
}

/// Sends one request over a connection, which may be upgraded to a stream (attach, exec).
pub(super) async fn send(
    stream: impl Stream + 'static,
    address: &str,
    mut request: BollardRequest,
) -> Result<Response<Incoming>, bollard::errors::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(io::Error::other)?;
    let host = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("docker"));
    request.headers_mut().insert(HOST, host);
    Ok(sender.send_request(request).await?)
}
