//! One connection of HTTP/2 to a peer, directly on h2. hyper's client would run two tasks for each call beside the one
//! of the connection.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use http::{Request, Response};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::ConnectError;
use tonic::body::Body;
use tower::BoxError;

use super::reply::ReplyBody;
use super::upload::Upload;
use crate::flow_control::{CONNECTION_WINDOW, MAX_HEADER_LIST, STREAM_WINDOW};
use crate::status::peer::{Broken, remove_malformed_details};

/// Interval and timeout of pings, also while no call is in flight: a peer that vanished without closing is detected
/// within twice this time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams that may be open before the peer has stated its own limit.
const INITIAL_STREAMS: usize = 100;

/// Canceled streams that are remembered until the peer has noticed.
const MAX_RESET_STREAMS: usize = 1024;

/// An open connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    /// It takes no further calls, since it has ended or the peer is going away.
    pub(super) ended: CancellationToken,
}

// === impl Connection ===

impl Connection {
    /// A connection over a stream of bytes, until the peer closes it, or all clones are dropped and their calls have
    /// ended.
    pub(super) async fn open<T>(stream: T) -> Result<Self, h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(INITIAL_STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            // A peer may still send for streams that callers have canceled, which h2 would count as errors of the peer:
            // many at once must not end the connection, with the calls of others.
            .max_concurrent_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(None);
        let (sender, mut connection) = builder.handshake(stream).await?;
        let pings = connection.ping_pong().expect("it is taken once");
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                outcome = connection => match outcome {
                    Ok(()) => {}
                    Err(error) => tracing::debug!(%error, "peers: connection ended"),
                },
                () = until_silent(pings) => tracing::debug!("peers: connection closed, no answer to pings"),
            }
            drop(guard);
        });
        Ok(Self { sender, ended })
    }

    /// The connection, if it takes a further call.
    pub(super) async fn ready(self) -> Option<Self> {
        let Self { sender, ended } = self;
        match sender.ready().await {
            Ok(sender) => Some(Self { sender, ended }),
            Err(error) => {
                tracing::debug!(%error, "peers: connection takes no further calls");
                ended.cancel();
                None
            }
        }
    }

    /// Sends a call, the rest of its body while the response is awaited and read.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] if nothing was sent, since the connection has just ended; otherwise that of the stream, or of
    /// the connection.
    pub(super) async fn send(mut self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        let is_empty = body.is_end_stream();
        let request = Request::from_parts(head, ());
        let sent = self.sender.send_request(request, is_empty);
        let (response, stream) = sent.map_err(|error| match error.is_io() || error.is_go_away() {
            true => BoxError::from(ConnectError(error.into())),
            false => Broken::from(error).into(),
        })?;
        let upload = if is_empty { None } else { Upload::begin(body, stream) };
        let mut response = response.await.map_err(Broken::from)?;
        remove_malformed_details(response.headers_mut());
        Ok(response.map(|stream| Body::new(ReplyBody::new(stream, upload))))
    }
}

/// Resolves when the peer does not answer.
async fn until_silent(mut pings: PingPong) {
    loop {
        sleep(KEEP_ALIVE).await;
        // An error means that the connection has ended, which its task notices by itself.
        if timeout(KEEP_ALIVE, pings.ping(Ping::opaque())).await.is_err() {
            return;
        }
    }
}
