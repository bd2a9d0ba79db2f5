//! A TCP relay to a service that can be cut and restored, to simulate a network failure.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use dataflow_mesh::outbound::Upstream;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay in front of one service. It runs until the runtime ends, even if dropped.
pub struct Relay {
    /// Its address.
    pub upstream: Upstream,
    open: watch::Sender<bool>,
    /// The time of the last accepted connection.
    connected: watch::Receiver<Option<Instant>>,
}

// === impl Relay ===

impl Relay {
    /// A relay to `service`, open.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(service: &Upstream) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let upstream = format!("http://{address}").parse().expect("an address makes an upstream");
        let service = service.to_string();
        let service = service.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let (open, is_open) = watch::channel(true);
        let (connects, connected) = watch::channel(None);
        tokio::spawn(relay(listener, service, is_open, connects));
        Self { upstream, open, connected }
    }

    /// Closes every connection, and new ones immediately.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Accepts connections again, and returns the time of the next one.
    ///
    /// # Panics
    ///
    /// If the relay has panicked.
    pub async fn restore(&mut self) -> Instant {
        let restored = Instant::now();
        self.open.send_replace(true);
        let connected = self.connected.wait_for(|connected| connected.is_some_and(|at| at >= restored)).await;
        connected.expect("the relay does not panic").expect("it has just been checked")
    }
}

async fn relay(
    listener: TcpListener,
    service: String,
    is_open: watch::Receiver<bool>,
    connects: watch::Sender<Option<Instant>>,
) {
    while let Ok((mut outside, _)) = listener.accept().await {
        if !*is_open.borrow() {
            continue;
        }
        connects.send_replace(Some(Instant::now()));
        let (service, mut is_open) = (service.clone(), is_open.clone());
        tokio::spawn(async move {
            let Ok(mut inside) = TcpStream::connect(&service).await else { return };
            tokio::select! {
                // The result of a connection concerns only its two peers.
                _ = copy_bidirectional(&mut outside, &mut inside) => {}
                _ = is_open.wait_for(|open| !open) => {}
            }
        });
    }
}
