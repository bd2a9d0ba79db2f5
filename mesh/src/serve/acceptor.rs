//! Accepts connections up to the limit, until the service drains.

use std::io;
use std::net::SocketAddr;

use dataflow_settings::Live;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::args::LimitArgs;
use crate::limiter::Limiter;

use super::connection::ConnectionHandler;

/// The backlog of a listening socket that tokio requests: the most connections that may be pending in the kernel.
const BACKLOG: usize = 1024;

/// Accepts the connections of one service.
pub(super) struct Acceptor {
    pub(super) role: &'static str,
    pub(super) limits: Live<LimitArgs>,
    pub(super) handler: ConnectionHandler,
    /// The tasks of open connections.
    pub(super) tasks: TaskTracker,
    limiter: Limiter,
    /// Whether the last connection was rejected, so that an overload is logged once and not per connection.
    is_full: bool,
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(role: &'static str, limits: Live<LimitArgs>, handler: ConnectionHandler) -> Self {
        let (tasks, limiter) = (TaskTracker::new(), Limiter::default());
        Self { role, limits, handler, tasks, limiter, is_full: false }
    }

    /// Serves a connection. Closes it at once above the limit: a client that waits cannot connect to another replica.
    pub(super) fn accept(&mut self, stream: TcpStream, peer: SocketAddr) {
        let limit = self.limits.load().max_connections;
        let Some(permit) = self.limiter.try_acquire(limit) else {
            if !std::mem::replace(&mut self.is_full, true) {
                tracing::warn!(role = self.role, limit, "connection: rejected, over limit");
            }
            return;
        };
        self.is_full = false;
        let connection = self.handler.clone().run(stream, peer);
        self.tasks.spawn(async move {
            connection.await;
            drop(permit);
        });
    }

    /// Accepts the pending connections and closes the port. The kernel has already completed their TCP handshakes:
    /// closing the port without accepting them would reset calls that they may have sent.
    pub(super) fn close(&mut self, listener: TcpListener) {
        // With system calls, because the runtime's readiness state of the port may be stale.
        let pending = listener.into_std().and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((0..BACKLOG).map_while(move |_| match listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                accepted => Some(accepted),
            }))
        });
        // An error of one connection, for instance an abort by the peer, must not hide those after it.
        for (stream, peer) in pending.into_iter().flatten().flatten() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.accept(stream, peer);
            }
        }
        self.tasks.close();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use axum::body::Body;
    use http::{Request, Response};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::args::ServerArgs;
    use crate::inbound::Stack;

    #[tokio::test]
    async fn pending_connections_are_served_when_the_port_closes() {
        let args = ServerArgs::parsed(&[]);
        let limits = Live::fixed(args.limits.clone());
        let stack =
            tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new("in".into())));
        let stop = CancellationToken::new();
        let handler = ConnectionHandler {
            stack: Stack::new(stack),
            args,
            is_public: false,
            next: Arc::default(),
            limits: limits.clone(),
            stop: stop.clone(),
        };
        let mut acceptor = Acceptor::new("test", limits, handler);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut clients: Vec<_> = (0..3)
            .map(|_| {
                let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
                stream
            })
            .collect();
        // No await since then: the runtime has not polled the port.
        acceptor.close(listener);
        stop.cancel();
        acceptor.tasks.wait().await;
        for stream in &mut clients {
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("in"), "{response:?}");
        }
    }
}
