//! HTTP/2 as an attacker speaks it: calls that are begun and not finished.

use std::future::poll_fn;
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use tokio::net::TcpStream;

use super::CATEGORIZE;

/// A connection.
pub(in crate::bench) struct Connection(SendRequest<Bytes>);

/// An open call.
pub(in crate::bench) type Open = (ResponseFuture, SendStream<Bytes>);

// === impl Connection ===

impl Connection {
    pub(in crate::bench) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Self(requests))
    }

    /// Begins a small call with this credential.
    pub(in crate::bench) async fn present(&self, bearer: &str) -> anyhow::Result<Open> {
        let headers = [(AUTHORIZATION, HeaderValue::from_str(bearer)?)].into_iter().collect();
        self.begin_with(CATEGORIZE, headers).await
    }

    /// Begins a gRPC call.
    pub(super) async fn begin(&self, path: &str) -> anyhow::Result<Open> {
        self.begin_with(path, HeaderMap::new()).await
    }

    /// The same with these headers, of which `content-type` replaces that of gRPC.
    pub(super) async fn begin_with(&self, path: &str, headers: HeaderMap) -> anyhow::Result<Open> {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut request = request.body(())?;
        request.headers_mut().extend(headers);
        Ok(self.0.clone().ready().await?.send_request(request, false)?)
    }
}

/// Sends these bytes as fast as the service takes them; the body stays open. An error if the service ends the stream.
pub(super) async fn send_all(body: &mut SendStream<Bytes>, mut bytes: Bytes) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let capacity = poll_fn(|cx| body.poll_capacity(cx)).await.context("the stream has ended")??;
        body.send_data(bytes.split_to(capacity.min(bytes.len())), false)?;
    }
    Ok(())
}
