//! An upstream that records the headers of the calls that reach it, and replies with an empty message.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::response::Response;
use dataflow_tests::eventually::TIMEOUT;
use http::HeaderMap;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The upstream.
pub(crate) struct Recorder {
    /// Its address.
    pub(crate) url: String,
    calls: mpsc::UnboundedReceiver<(String, HeaderMap)>,
}

// === impl Recorder ===

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::unbounded_channel();
        let service = axum::Router::new().fallback(async move |request: axum::extract::Request| {
            let (head, body) = request.into_parts();
            // Trailers of a request would become headers of the call, as they do in tonic.
            let collected = body.collect().await.unwrap();
            let mut headers = head.headers;
            headers.extend(collected.trailers().cloned().unwrap_or_default());
            // The watches and the reports of the gateway are no calls of a test.
            if !["/Watch", "/Report"].iter().any(|own| head.uri.path().contains(own)) {
                sender.send((head.uri.path().to_owned(), headers)).unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
            let frames = frames.with_trailers(async { Some(Ok(trailers)) });
            Response::builder().header("content-type", "application/grpc").body(Body::new(frames)).unwrap()
        });
        tokio::spawn(axum::serve(listener, service).into_future());
        Self { url, calls }
    }

    /// The method and the headers of the next call that arrived.
    pub(crate) async fn next(&mut self) -> (String, HeaderMap) {
        timeout(TIMEOUT, self.calls.recv()).await.expect("a call arrives").expect("it is recorded")
    }

    /// Whether no call has arrived since the last one.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}
