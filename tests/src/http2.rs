//! HTTP/2 at the level of frames, to see and do what gRPC clients hide or do not do.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use dataflow_proto::cache::v1 as pb;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, Request, Response};
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The method with which most tests call: `GetEntry` of the cache service, or of its stub.
pub const GET: &str = "/dataflow.cache.v1.CacheService/GetEntry";

/// The flow-control window of a client that reads everything, in bytes.
pub const DEFAULT_WINDOW: u32 = 65_535;

/// A connection. Cheap to clone; it closes with the last clone.
#[derive(Debug, Clone)]
pub struct Client {
    requests: SendRequest<Bytes>,
}

// === impl Client ===

impl Client {
    /// Connects. The client reads only `window` bytes of a response, unless a test releases more flow-control capacity.
    ///
    /// # Panics
    ///
    /// If the server does not speak HTTP/2.
    pub async fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts connections");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        // A connection of which most streams are not read: h2 would take it for an attack of the server.
        builder.data_frame_budget(usize::MAX);
        let (requests, connection) = builder.handshake(stream).await.expect("the server speaks HTTP/2");
        tokio::spawn(connection);
        Self { requests }
    }

    /// Begins a gRPC call: its response, and its request body, of which nothing is sent yet. A `content-type` among the
    /// headers replaces that of gRPC.
    ///
    /// # Errors
    ///
    /// If the connection has failed or is closing.
    pub async fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let has_type = headers.iter().any(|(name, _)| *name == "content-type");
        let own = [("content-type", "application/grpc"), ("te", "trailers")];
        let own = own.iter().filter(|(name, _)| !(has_type && *name == "content-type"));
        let mut request = Request::post(format!("http://localhost{path}"));
        for (name, value) in own.chain(headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("tests send valid headers");
        self.requests.clone().ready().await?.send_request(request, false)
    }

    /// Calls a method with the bytes of one message.
    ///
    /// # Errors
    ///
    /// If the stream or the connection fails.
    pub async fn send(
        &self,
        path: &str,
        message: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Response<RecvStream>, h2::Error> {
        self.send_with_trailers(path, message, headers, &[]).await
    }

    /// Calls a method with the bytes of one message, and trailers if there are any.
    ///
    /// # Errors
    ///
    /// If the stream or the connection fails.
    pub async fn send_with_trailers(
        &self,
        path: &str,
        message: &[u8],
        headers: &[(&str, &str)],
        trailers: &[(&'static str, &str)],
    ) -> Result<Response<RecvStream>, h2::Error> {
        let (answer, mut body) = self.open(path, headers).await?;
        // The server may have responded without the body: the answer tells.
        let is_sent = body.send_data(framed(message), trailers.is_empty()).is_ok();
        if is_sent && !trailers.is_empty() {
            let parsed = trailers.iter().map(|(name, value)| {
                (HeaderName::from_static(name), value.parse().expect("tests send valid trailers"))
            });
            body.send_trailers(parsed.collect())?;
        }
        answer.await
    }

    /// Calls [`GET`] with a key.
    ///
    /// # Panics
    ///
    /// If the stream or the connection fails.
    pub async fn get(&self, key: &str, headers: &[(&str, &str)]) -> Response<RecvStream> {
        let message = pb::GetEntryRequest { key: key.to_owned() }.encode_to_vec();
        self.send(GET, &message, headers).await.expect("there is a response")
    }

    /// Begins this many calls and resets each at once, without a pause in which the server could accept one.
    ///
    /// # Errors
    ///
    /// If the connection has failed or is closing.
    pub async fn hang_up(&self, path: &str, calls: usize) -> Result<(), h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        for _ in 0..calls {
            let request = Request::post(format!("http://localhost{path}")).header("te", "trailers");
            let request = request.body(()).expect("a path is a valid target");
            let (_, mut body) = requests.send_request(request, false)?;
            body.send_reset(h2::Reason::CANCEL);
        }
        Ok(())
    }
}

/// One gRPC message with its prefix: not compressed, and the length.
///
/// # Panics
///
/// If it is longer than 4 GiB.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("messages of tests are small"));
    framed.extend_from_slice(message);
    framed.freeze()
}

/// Code and reason of a trailers-only response: one HEADERS frame with END_STREAM.
///
/// # Panics
///
/// If it is another response.
#[track_caller]
pub fn trailers_only(answer: &Response<RecvStream>) -> (Code, String) {
    assert!(answer.body().is_end_stream(), "more frames follow {answer:?}");
    code_and_reason(answer.headers())
}

/// Code and reason in headers or trailers.
///
/// # Panics
///
/// If there is no status in them.
#[track_caller]
pub fn code_and_reason(headers: &HeaderMap) -> (Code, String) {
    let status = Status::from_header_map(headers).expect("there is a status");
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}
