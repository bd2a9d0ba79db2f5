//! The channels behind one address: one where a mesh balances; or several that are called in turn, where nobody else
//! would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use http::uri::Authority;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tonic::ConnectError;
use tonic::transport::{Channel, Endpoint};
use tower::BoxError;

use super::upstream::{At, Upstream};

/// A peer that does not accept a connection within this time counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A peer that vanished without a word is noticed within twice this time, also while no call is on its way.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long a peer is passed over that took no call, unless none is left.
const REST: Duration = Duration::from_secs(1);

/// How often a name is resolved, and how long at least between two times where connections fail.
const RESOLVE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(500));

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Peers {
    One(Channel),
    RoundRobin(Arc<RoundRobin>),
}

/// Peers that are called in turn.
#[derive(Debug)]
pub(super) struct RoundRobin {
    peers: ArcSwap<Vec<Arc<Peer>>>,
    turn: AtomicUsize,
    /// Whether the peers are known, if there are any: a name is resolved after the start.
    known: watch::Sender<bool>,
    /// Told when a peer took no call, or there is none: perhaps the name means others by now.
    failed: Arc<Notify>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Peer {
    address: String,
    pub(super) channel: Channel,
    ejected_until: Mutex<Option<Instant>>,
}

// === impl Peers ===

impl Peers {
    /// Channels that connect when first used, and again whenever they have to.
    pub(super) fn new(upstream: &Upstream) -> Self {
        match &upstream.0 {
            At::One(uri) => Self::One(endpoint(uri.clone()).connect_lazy()),
            At::List(all) => Self::RoundRobin(RoundRobin::new(
                all.iter().map(|uri| Peer::new(uri.to_string(), endpoint(uri.clone()))),
            )),
            At::Name(name) => {
                let several = RoundRobin::new([]);
                tokio::spawn(resolve(Arc::downgrade(&several), Arc::clone(&several.failed), name.clone()));
                Self::RoundRobin(several)
            }
        }
    }
}

// === impl RoundRobin ===

impl RoundRobin {
    fn new(peers: impl IntoIterator<Item = Peer>) -> Arc<Self> {
        let peers: Vec<_> = peers.into_iter().map(Arc::new).collect();
        let known = watch::Sender::new(!peers.is_empty());
        let peers = ArcSwap::from_pointee(peers);
        // Not the first one for every process.
        let turn = AtomicUsize::new(usize::from(fastrand::u16(..)));
        Arc::new(Self { peers, turn, known, failed: Arc::default() })
    }

    /// The next peer, once any is known.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] when the name has no address.
    pub(super) async fn next(&self) -> Result<Arc<Peer>, BoxError> {
        let mut known = self.known.subscribe();
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, known.wait_for(|known| *known)).await;
        let peers = self.peers.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..peers.len()).map(|step| &peers[turn.wrapping_add(step) % peers.len()]);
        let first = in_turn.clone().next();
        let found = in_turn.find(|peer| !peer.is_ejected()).or(first);
        found.cloned().ok_or_else(|| {
            self.failed.notify_one();
            ConnectError("its name has no address".into()).into()
        })
    }

    /// Passes a peer over for a while.
    pub(super) fn eject(&self, peer: &Peer) {
        *peer.ejected_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        self.failed.notify_one();
    }

    /// Makes these all peers; those that were before keep their connections.
    fn set(&self, name: &Authority, addresses: &[SocketAddr]) {
        let before = self.peers.load();
        let peers = addresses.iter().map(|address| {
            let address = address.to_string();
            let known = before.iter().find(|peer| peer.address == address);
            // Called by its name all the same: meshes and certificates go by that.
            known.cloned().unwrap_or_else(|| Arc::new(Peer::new(address.clone(), named(name, &address))))
        });
        let peers: Vec<_> = peers.collect();
        if peers.len() != before.len()
            || peers.iter().zip(before.iter()).any(|(new, old)| !Arc::ptr_eq(new, old))
        {
            tracing::debug!(%name, addresses = peers.len(), "peers changed");
            self.peers.store(Arc::new(peers));
        }
    }
}

// === impl Peer ===

impl Peer {
    fn new(address: String, endpoint: Endpoint) -> Self {
        Self { address, channel: endpoint.connect_lazy(), ejected_until: Mutex::default() }
    }

    fn is_ejected(&self) -> bool {
        let until = *self.ejected_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Resolves a name again and again, until nobody uses its peers any more. A name that cannot be resolved keeps its
/// peers.
async fn resolve(peers: Weak<RoundRobin>, failed: Arc<Notify>, name: Authority) {
    let (host, port) = (name.host().trim_matches(['[', ']']).to_owned(), name.port_u16().unwrap_or_default());
    loop {
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let Some(peers) = peers.upgrade() else { return };
        match found.map(|addresses| addresses.collect::<Vec<_>>()) {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.sort();
                addresses.dedup();
                peers.set(&name, &addresses);
            }
            Ok(_) => tracing::debug!(%name, "has no address"),
            Err(error) => tracing::debug!(%name, %error, "cannot be resolved"),
        }
        // Also when it means nobody: nobody need wait to hear that.
        peers.known.send_replace(true);
        drop(peers);
        tokio::time::sleep(RESOLVE.1).await;
        let _ = tokio::time::timeout(RESOLVE.0 - RESOLVE.1, failed.notified()).await;
    }
}

fn named(name: &Authority, address: &str) -> Endpoint {
    let uri = |authority: &str| {
        let built = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
        built.expect("an authority makes a URI")
    };
    endpoint(uri(address)).origin(uri(name.as_str()))
}

fn endpoint(uri: Uri) -> Endpoint {
    Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
}
