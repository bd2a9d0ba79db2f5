//! An upstream that gives one answer to every call.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use dataflow_tests::http2::framed;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use prost::Message;
use prost_types::Any;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tonic_types::{ErrorDetails, StatusExt};

type Pings = Arc<Mutex<PingPong>>;

/// An answer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// One of HTTP, which is not gRPC.
    Http(u16),
    /// A head that is all: code, message and details, as they are in the headers.
    Status {
        code: &'static str,
        message: Vec<u8>,
        details: Vec<u8>,
    },
    /// A head, a message, and a status as it is in the trailers.
    StatusAfterMessage(HeaderMap),
    /// A message, and a status in the trailers, if there are any.
    Message {
        bytes: Vec<u8>,
        status: Option<&'static str>,
    },
    Reset(Reason),
    ResetAfterHead(Reason),
    ResetAfterMessage(Reason),
    /// The head, and then the connection ends.
    LostAfterHead,
}

// === impl Answer ===

impl Answer {
    pub(super) fn raw(code: &'static str, message: &[u8], details: &[u8]) -> Self {
        Self::Status { code, message: message.to_vec(), details: details.to_vec() }
    }

    /// The same status, in trailers after a message.
    pub(super) fn after_message(self) -> Self {
        let Self::Status { code, message, details } = self else { panic!("{self:?} is no status") };
        let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
        let fields = [("grpc-status", value(code.as_bytes())), ("grpc-message", value(&message))];
        let details = Some(("grpc-status-details-bin", value(&details))).filter(|_| !details.is_empty());
        let named = |(name, value)| (HeaderName::from_static(name), value);
        Self::StatusAfterMessage(fields.into_iter().chain(details).map(named).collect())
    }

    pub(super) fn status(code: &'static str, message: &str, details: &[Any]) -> Self {
        let status = tonic_types::pb::Status {
            code: code.parse().unwrap(),
            message: message.to_owned(),
            details: details.to_vec(),
        };
        let encoded =
            if details.is_empty() { String::new() } else { STANDARD_NO_PAD.encode(status.encode_to_vec()) };
        Self::raw(code, message.as_bytes(), encoded.as_bytes())
    }
}

/// Thirteen details: those of `google.rpc`, one of the service, one well-known type, and one that no caller can know.
pub(super) fn details() -> Vec<Any> {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.set_debug_info(vec!["here".to_owned()], "why");
    details.add_quota_failure_violation("subject", "too much");
    details.set_error_info("ODD", "odd.v1", [("key".to_owned(), "value".to_owned())]);
    details.add_precondition_failure_violation("TOS", "subject", "not accepted");
    details.add_bad_request_violation("field", "wrong");
    details.set_request_info("of the service", "");
    details.set_resource_info("type", "name", "owner", "gone");
    details.add_help_link("docs", "https://example.org");
    details.set_localized_message("en", "no");
    let status = tonic::Status::with_error_details(tonic::Code::FailedPrecondition, "no", details);
    let mut all = tonic_types::pb::Status::decode(status.details()).unwrap().details;
    let own = |name: &str, value: &[u8]| Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: value.to_vec(),
    };
    all.push(own("odd.v1.Inner", b"\x0a\x03own"));
    all.push(own("google.protobuf.Duration", b"\x08\x03"));
    all.push(own("no.such.Type", b"\x08\x03"));
    all
}

/// Starts an upstream that answers like this, and returns its address.
pub(super) async fn start(answer: Answer) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let (sender, connection) = tokio::sync::oneshot::channel::<AbortHandle>();
            let serving = tokio::spawn(async move {
                let this = connection.await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let pings = Arc::new(Mutex::new(connection.ping_pong().unwrap()));
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(give(answer.clone(), request, respond, (this.clone(), pings.clone())));
                }
            });
            sender.send(serving.abort_handle()).unwrap();
        }
    });
    url
}

async fn give(
    answer: Answer,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    (connection, pings): (AbortHandle, Pings),
) {
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    let head = || Response::builder().header("content-type", "application/grpc");
    match answer {
        Answer::Http(status) => {
            let response = Response::builder().status(status).header("content-type", "text/html");
            let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(b"<p>a proxy</p>"), true).unwrap();
        }
        Answer::Status { code, message, details } => {
            let mut response = head().header("grpc-status", code).header("grpc-message", &message[..]);
            if !details.is_empty() {
                response = response.header("grpc-status-details-bin", &details[..]);
            }
            respond.send_response(response.body(()).unwrap(), true).unwrap();
        }
        Answer::StatusAfterMessage(trailers) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(framed(b"\x0a\x01m"), false).unwrap();
            stream.send_trailers(trailers).unwrap();
        }
        Answer::Message { bytes, status } => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(framed(&bytes), status.is_none()).unwrap();
            if let Some(status) = status {
                let trailers = HeaderMap::from_iter([(
                    HeaderName::from_static("grpc-status"),
                    HeaderValue::from_static(status),
                )]);
                stream.send_trailers(trailers).unwrap();
            }
        }
        Answer::Reset(reason) => respond.send_reset(reason),
        Answer::ResetAfterHead(reason) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            received(&pings).await;
            stream.send_reset(reason);
        }
        Answer::ResetAfterMessage(reason) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(framed(b"\x0a\x01m"), false).unwrap();
            received(&pings).await;
            stream.send_reset(reason);
        }
        Answer::LostAfterHead => {
            let _stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            received(&pings).await;
            connection.abort();
        }
    }
}

/// Resolves when the client has received all that was sent: a reset would take its place.
async fn received(pings: &Pings) {
    pings.lock().await.ping(Ping::opaque()).await.unwrap();
}
