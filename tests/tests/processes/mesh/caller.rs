//! A client at the level of HTTP/2 frames, to see and do what gRPC clients hide or do not do.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use dataflow_proto::cache::v1 as pb;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderName, Request, Response};
use prost::Message;
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(crate) const GET: &str = "/dataflow.cache.v1.CacheService/GetEntry";

/// A connection.
pub(crate) struct Caller {
    requests: SendRequest<Bytes>,
}

// === impl Caller ===

impl Caller {
    /// Connects. The client reads only `window` bytes of a response, unless a test releases more flow-control capacity.
    pub(crate) async fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        let (requests, connection) = builder.initial_window_size(window).handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { requests }
    }

    /// Calls a method with the bytes of one message.
    pub(crate) async fn send(
        &self,
        path: &str,
        message: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Response<RecvStream>, h2::Error> {
        self.send_with_trailers(path, message, headers, &[]).await
    }

    /// Calls a method with the bytes of one message, and trailers if there are any.
    pub(crate) async fn send_with_trailers(
        &self,
        path: &str,
        message: &[u8],
        headers: &[(&str, &str)],
        trailers: &[(&'static str, &str)],
    ) -> Result<Response<RecvStream>, h2::Error> {
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut body) = requests.send_request(request.body(()).unwrap(), false)?;
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.extend_from_slice(message);
        body.send_data(framed.freeze(), trailers.is_empty())?;
        if !trailers.is_empty() {
            let parsed =
                trailers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            body.send_trailers(parsed.collect())?;
        }
        answer.await
    }

    /// Begins this many calls and resets each at once, without a pause in which the server could accept one.
    pub(crate) async fn hang_up(&self, path: &str, calls: usize) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        for _ in 0..calls {
            let request = Request::post(format!("http://localhost{path}")).header("te", "trailers");
            let (_, mut body) = requests.send_request(request.body(()).unwrap(), false).unwrap();
            body.send_reset(h2::Reason::CANCEL);
        }
    }

    /// Calls GetEntry of the stub with a key.
    pub(crate) async fn get(&self, key: &str, headers: &[(&str, &str)]) -> Response<RecvStream> {
        let message = pb::GetEntryRequest { key: key.to_owned() }.encode_to_vec();
        self.send(GET, &message, headers).await.unwrap()
    }
}

/// Code and reason of a trailers-only response: one HEADERS frame with END_STREAM.
#[track_caller]
pub(crate) fn trailers_only(answer: &Response<RecvStream>) -> (Code, String) {
    assert!(answer.body().is_end_stream(), "more frames follow {answer:?}");
    code_and_reason(answer.headers())
}

/// Code and reason in headers or trailers.
#[track_caller]
pub(crate) fn code_and_reason(headers: &HeaderMap) -> (Code, String) {
    let status = Status::from_header_map(headers).expect("there is a status");
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}
