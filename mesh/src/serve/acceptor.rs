//! Accepts connections up to the limit, until the service drains.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use dataflow_settings::Live;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::args::LimitArgs;
use crate::limiter::Limiter;
use crate::open_files::OpenFiles;

use super::connection::{ConnectionHandler, LINGER};

/// The backlog of a listening socket that tokio requests: the most connections that may be pending in the kernel.
const BACKLOG: usize = 1024;

/// Delay before the next attempt after the process ran out of descriptors or memory.
const RETRY: Duration = Duration::from_millis(100);

/// Accepts the connections of one service.
pub(super) struct Acceptor {
    pub(super) role: &'static str,
    pub(super) limits: Live<LimitArgs>,
    pub(super) handler: ConnectionHandler,
    /// The tasks of connections whose calls are served.
    served: TaskTracker,
    /// Those of connections that came after the drain delay, whose calls are rejected.
    late: TaskTracker,
    limiter: Limiter,
    open_files: OpenFiles,
    /// Whether the last connection was rejected, so that an overload is logged once and not per connection.
    is_full: bool,
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(
        role: &'static str,
        limits: Live<LimitArgs>,
        open_files: OpenFiles,
        handler: ConnectionHandler,
    ) -> Self {
        let (served, late, limiter) = (TaskTracker::new(), TaskTracker::new(), Limiter::default());
        Self { role, limits, handler, served, late, limiter, open_files, is_full: false }
    }

    /// Serves a connection. Closes it at once above the limit, and when the process has few descriptors left: a client
    /// that waits cannot connect to another replica.
    pub(super) fn accept(&mut self, stream: TcpStream, peer: SocketAddr) {
        let limit = self.limits.load().max_connections;
        let permit = match (self.limiter.try_acquire(limit), self.open_files.take()) {
            (Some(permit), Some(open_file)) => (permit, open_file),
            (permit, _) => {
                if !std::mem::replace(&mut self.is_full, true) {
                    let cause = if permit.is_some() { "few file descriptors are left" } else { "over limit" };
                    tracing::warn!(role = self.role, limit, cause, "connection: rejected");
                }
                return;
            }
        };
        self.is_full = false;
        let is_late = self.handler.stop.draining.is_cancelled();
        let tasks = if is_late { &self.late } else { &self.served };
        let connection = self.handler.clone().run(stream, peer, is_late);
        tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    /// Drains: the calls in flight finish, those of new connections are rejected with a status, until all have ended or
    /// the time is over. Then the port closes.
    pub(super) async fn drain(&mut self, listener: TcpListener, time: Duration) {
        let listener = self.accept_pending(listener);
        self.handler.stop.draining.cancel();
        self.served.close();
        let served = self.served.clone();
        let mut drained = pin!(timeout(time, served.wait()));
        let in_time = loop {
            tokio::select! {
                biased;
                drained = &mut drained => break drained.is_ok(),
                (stream, peer) = next(listener.as_ref()) => self.accept(stream, peer),
            }
        };
        if !in_time {
            let connections = served.len();
            tracing::warn!(
                role = self.role,
                connections,
                "service: drain timeout, remaining connections closed"
            );
        }
        drop(listener.and_then(|listener| self.accept_pending(listener)));
        self.late.close();
        // Each closes by itself after that time.
        let _ = timeout(LINGER + RETRY, self.late.wait()).await;
    }

    /// Accepts the pending connections, and returns the port. The kernel has already completed their TCP handshakes:
    /// closing the port without accepting them would reset calls that they may have sent.
    fn accept_pending(&mut self, listener: TcpListener) -> Option<TcpListener> {
        // With system calls, because the runtime's readiness state of the port may be stale.
        let listener = listener.into_std().ok()?;
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        self.accept(stream, peer);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error of one connection, for instance an abort by the peer, must not hide those after it.
                Err(_) => {}
            }
        }
        TcpListener::from_std(listener).ok()
    }
}

/// The next connection; never without a port. Waits while the process is out of descriptors or memory; an error of one
/// connection does not delay the next one.
pub(crate) async fn next(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else { return pending().await };
    let mut is_exhausted = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "connection: failed before it was accepted");
            }
            Err(error) => {
                if !std::mem::replace(&mut is_exhausted, true) {
                    tracing::warn!(%error, "service: cannot accept connections, retrying");
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// Whether an error of `accept` concerns only the connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use axum::body::Body;
    use http::{Request, Response};

    use super::super::gate::Gate;
    use super::*;
    use crate::access_log::AccessLog;
    use crate::args::ServerArgs;
    use crate::descriptors::Methods;
    use crate::drain::{Late, Stop};
    use crate::inbound::{Shares, Stack};
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn pending_connections_are_served_before_the_port_closes() {
        let args = ServerArgs::parsed(&[]);
        let limits = Live::fixed(args.limits.clone());
        let stack = tower::service_fn(async |request: Request<Body>| {
            let is_late = request.extensions().get::<Late>().is_some();
            Ok::<_, Infallible>(Response::new(Body::from(if is_late { "late" } else { "in" })))
        });
        let (stack, stop) = (Stack::new(stack), Stop::default());
        let none = Methods::of(&[] as &[&str], tonic_health::pb::FILE_DESCRIPTOR_SET);
        let metrics = Metrics::default();
        let gate = Gate::new(
            Shares::default(),
            limits.clone(),
            none.clone(),
            metrics.server("test", &none, false),
            AccessLog::counting(&args.access_log, "test", &metrics),
            false,
        );
        let handler = ConnectionHandler {
            gate: Arc::new(gate),
            stack,
            tls: None,
            args,
            is_public: false,
            next: Arc::default(),
            limits: limits.clone(),
            stop,
        };
        let mut acceptor = Acceptor::new("test", limits, OpenFiles::default(), handler);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut clients: Vec<_> = (0..3)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
                stream
            })
            .collect();
        // No await since then: the runtime has not polled the port.
        acceptor.drain(listener, Duration::from_secs(60)).await;
        for stream in &mut clients {
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("in"), "{response:?}");
        }
    }
}
