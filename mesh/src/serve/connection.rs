//! Serves one connection from its first byte to its last.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dataflow_settings::Live;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::args::{LimitArgs, ServerArgs};
use crate::batched_writes::BatchedWrites;
use crate::deadline_watchdog::{Watchdog, WatchdogExecutor, Watched};
use crate::drain::Stop;
use crate::flow_control::{CONNECTION_WINDOW, MAX_HEADER_LIST, STREAM_WINDOW};
use crate::identity::{CallerId, PeerAddress};
use crate::inbound::Stack;
use crate::tls::{ClientCertificate, ServerTls};

use super::backpressure::{PausedReader, Rejections};
use super::gate::Gate;
use super::lingering::{lend, linger};
use super::requests::Requests;

/// Timeout for the first bytes, which identify the protocol, and over HTTP/1 for the head of a request. Until then the
/// connection carries no call and only occupies a file descriptor.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for an HTTP/1 connection to send one more request when the service drains, before it is closed idle. A client
/// that reuses it at that moment could not know whether the request was processed.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Interval and timeout of HTTP/2 keep-alive pings: a peer that vanished without closing is detected within twice this
/// time.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Send buffer of one response, in bytes: a client that does not read occupies no more memory than this.
const SEND_BUFFER: usize = 64 * 1024;

/// The connection preface of HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Reader = Either<OwnedReadHalf, ReadHalf<TlsStream<TcpStream>>>;
type Writer = Either<OwnedWriteHalf, WriteHalf<TlsStream<TcpStream>>>;
type Opened = (Reader, Writer, io::Cursor<Vec<u8>>, Option<ClientCertificate>);

/// Serves the connections of one service.
#[derive(Clone)]
pub(super) struct ConnectionHandler {
    pub(super) stack: Stack,
    pub(super) tls: Option<ServerTls>,
    pub(super) args: ServerArgs,
    /// Whether it is the public port, to which any caller can connect.
    pub(super) is_public: bool,
    /// Rejects calls without a permit.
    pub(super) gate: Arc<Gate>,
    /// The number of the next connection.
    pub(super) next: Arc<AtomicU64>,
    pub(super) limits: Live<LimitArgs>,
    pub(super) stop: Stop,
}

// === impl ConnectionHandler ===

impl ConnectionHandler {
    /// Serves one connection until it closes, reaches its maximum age, or the service drains. The calls of a late one
    /// are rejected.
    pub(super) async fn run(self, stream: TcpStream, peer: SocketAddr, is_late: bool) {
        // Best effort: the connection works without the option.
        let _ = stream.set_nodelay(true);
        // A connection that came during the drain delay is asked to leave at its end.
        let mut asked = self.stop.leaving.is_cancelled();
        let shut_down = async {
            self.stop.draining.cancelled().await;
            sleep(LINGER).await;
        };
        let opened = tokio::select! {
            biased;
            opened = timeout(OPENING_TIMEOUT, self.open(stream)) => opened,
            () = shut_down => return,
        };
        let (reader, writer, opening, certificate) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "connection: closed, no request"),
            Err(_) => return tracing::debug!(%peer, "connection: closed, no request in time"),
        };
        // A client that does not read at all; one that reads other streams has a watchdog for each.
        let mut writer = TimeoutWriter::new(writer);
        writer.set_timeout(Some(self.limits.load().response_idle_timeout));
        let writer = Box::pin(writer);
        let is_http2 = opening.get_ref() == PREFACE;
        let rejections = Rejections::default();
        let (lent, returned) = lend(reader);
        let reader = PausedReader::new(opening.chain(lent), rejections.clone());
        let stream = tokio::io::join(reader, writer);
        // Over HTTP/1 a response is written as a whole.
        let stream = if is_http2 { Either::Left(BatchedWrites::new(stream)) } else { Either::Right(stream) };
        let closing = Arc::new(AtomicBool::new(false));
        let requests = Requests {
            stack: self.stack.clone(),
            gate: Arc::clone(&self.gate),
            id: CallerId(self.next.fetch_add(1, Ordering::Relaxed)),
            peer: PeerAddress(peer),
            certificate,
            is_http2,
            is_public: self.is_public,
            is_late,
            rejections,
            leaving: self.stop.leaving.clone(),
            closing: Arc::clone(&closing),
        };
        let service = TowerToHyperService::new(tower::service_fn(move |request: Request<Incoming>| {
            requests.clone().respond(request)
        }));
        let builder = self.protocols();
        let mut connection = Box::pin(builder.serve_connection(TokioIo::new(stream), service));

        let watchdog = Watchdog::default();
        let has_max_age = !self.args.connection_age.is_zero();
        let mut age = pin!(sleep(jittered(self.args.connection_age)));
        // When a connection is asked to finish, if it is HTTP/1, and when it is cut.
        let (mut finish, mut end) = (None::<Instant>, None::<Instant>);
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                // The connection first: requests that a new connection has already sent are read before GOAWAY.
                biased;
                ended = Watched::by(watchdog.clone(), connection.as_mut()) => break ended,
                () = self.stop.draining.cancelled(), if !stopping => {
                    stopping = true;
                    let last = Instant::now() + self.args.drain_timeout;
                    let last = end.map_or(last, |end| end.min(last));
                    finish = Some(last.min(Instant::now() + LINGER));
                    end = Some(last);
                }
                () = self.stop.leaving.cancelled(), if !asked => {
                    asked = true;
                }
                () = &mut age, if has_max_age && end.is_none() => {
                    // Calls in flight finish. Only streaming responses can take longer, and would keep an aged
                    // connection open forever.
                    let grace = self.limits.load().request_timeout.max(self.args.drain_timeout);
                    finish = Some(Instant::now() + grace);
                    end = Some(Instant::now() + grace + LINGER);
                }
                () = until(finish), if finish.is_some() => {
                    finish = None;
                    connection.as_mut().graceful_shutdown();
                }
                () = until(end), if end.is_some() => {
                    return tracing::warn!(%peer, stopping, "connection: closed, calls did not end in time");
                }
            }
            closing.store(true, Ordering::Relaxed);
            // A late connection gets its rejections first.
            if is_http2 && !is_late {
                finish = None;
                connection.as_mut().graceful_shutdown();
            }
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => return tracing::debug!(%peer, error, "connection: ended"),
            None => return tracing::debug!(%peer, "connection: client stopped reading, reset"),
        }
        drop(connection);
        if is_http2 {
            linger(returned).await;
        }
    }

    /// Both directions of a connection, after the handshake of TLS where the port has that, its first bytes, and the
    /// certificate of its client.
    async fn open(&self, stream: TcpStream) -> io::Result<Opened> {
        let (mut reader, writer, certificate) = match &self.tls {
            None => {
                let (reader, writer) = stream.into_split();
                (Either::Left(reader), Either::Left(writer), None)
            }
            Some(tls) => {
                let (stream, certificate) = tls.accept(stream).await?;
                let (reader, writer) = tokio::io::split(stream);
                (Either::Right(reader), Either::Right(writer), certificate)
            }
        };
        let opening = read_opening(&mut reader).await?;
        Ok((reader, writer, opening, certificate))
    }

    /// The two versions of HTTP, with their limits.
    fn protocols(&self) -> auto::Builder<WatchdogExecutor> {
        let max_resets = usize::try_from(self.args.max_streams(false)).unwrap_or(usize::MAX);
        let mut builder = auto::Builder::new(WatchdogExecutor);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(OPENING_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_send_buf_size(SEND_BUFFER)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_concurrent_streams(self.args.max_streams(self.is_public))
            // The number of resets before their streams were accepted at which h2 assumes an attack (rapid reset) and
            // closes the connection; by default 20. A connection from a proxy or the gateway carries the calls of many
            // clients, which may all cancel at once, so that it depends on the limit of calls and not on the streams of
            // one client.
            .max_pending_accept_reset_streams(max_resets.max(20))
            // h2 also counts errors of streams over the life of a connection, by default to 1024. A rejected call whose
            // body is still on its way is such an error. The limits of calls bound what a reset leaves behind.
            .max_local_error_reset_streams(None::<usize>);
        builder
    }
}

/// Resolves at this moment; never without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Reads the first bytes of a connection: as many as are needed to distinguish HTTP/2 from HTTP/1.
async fn read_opening(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<io::Cursor<Vec<u8>>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let missing = PREFACE.len() - first.len();
        if reader.take(missing as u64).read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(io::Cursor::new(first))
}

/// The duration +/- 10 %, so that connections that were opened together are not closed together.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_opening_is_read_only_until_the_protocol_is_known() {
        let check = async |sent: &[u8], expected: Option<&[u8]>| {
            let mut reader = sent;
            let first = read_opening(&mut reader).await.ok();
            assert_eq!(first.as_ref().map(|first| &first.get_ref()[..]), expected, "{sent:?}");
            let rest = first.map_or(0, |first| sent.len() - first.get_ref().len());
            assert_eq!(reader.len(), rest);
        };
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Some(PREFACE)).await;
        check(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", Some(b"GET / HTTP/1.1\r\nhost: lo")).await;
        check(b"G", Some(b"G")).await;
        check(b"PRI * HTTP", None).await;
        check(b"", None).await;
    }
}
