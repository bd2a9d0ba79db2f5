//! A TCP relay to a service that can be cut and restored, to simulate a network failure, or lead to another service, as
//! a name in front of several servers does.

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
    /// `HOST:PORT` of the service.
    service: watch::Sender<String>,
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
        let (service, current) = watch::channel(host_and_port(service));
        let (open, is_open) = watch::channel(true);
        let (connects, connected) = watch::channel(None);
        tokio::spawn(relay(listener, current, is_open, connects));
        Self { upstream, open, service, connected }
    }

    /// Closes every connection, and new ones immediately.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Leads new connections to another service; open ones stay where they are.
    pub fn lead_to(&self, service: &Upstream) {
        self.service.send_replace(host_and_port(service));
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

fn host_and_port(service: &Upstream) -> String {
    service.to_string().trim_start_matches("http://").trim_end_matches('/').to_owned()
}

async fn relay(
    listener: TcpListener,
    service: watch::Receiver<String>,
    is_open: watch::Receiver<bool>,
    connects: watch::Sender<Option<Instant>>,
) {
    while let Ok((mut outside, _)) = listener.accept().await {
        if !*is_open.borrow() {
            continue;
        }
        connects.send_replace(Some(Instant::now()));
        let (service, mut is_open) = (service.borrow().clone(), is_open.clone());
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
