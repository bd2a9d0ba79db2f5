//! The channels of one upstream: a single one, where a mesh balances, or several under round robin, where no mesh does.

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
use tower::BoxError;

use crate::tasks::Task;

use super::channel::Channel;
use super::upstream::{Target, Upstream};

/// How long a call waits for the first resolution of a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Outlier ejection: the time for which round robin skips a peer that accepted no call, unless all are ejected.
const EJECTION: Duration = Duration::from_secs(1);

/// Interval at which a name is resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// Shortest interval between two resolutions of a name, also where connections fail.
const RESOLVE_MIN_INTERVAL: Duration = Duration::from_millis(500);

/// The channels of one upstream. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Peers {
    Single(Channel),
    RoundRobin(Arc<RoundRobin>),
}

/// Peers that are called by round robin.
#[derive(Debug)]
pub(super) struct RoundRobin {
    peers: ArcSwap<Vec<Arc<Peer>>>,
    next: AtomicUsize,
    /// Whether the first resolution is over, with or without addresses: a name is resolved after the start.
    resolved: watch::Sender<bool>,
    /// Notified when a peer accepted no call, or there is none: the name may have other addresses by now.
    failed: Arc<Notify>,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: String,
    pub(super) channel: Channel,
    ejected_until: Mutex<Option<Instant>>,
}

// === impl Peers ===

impl Peers {
    /// Channels that connect on first use and reconnect when needed.
    pub(super) fn new(upstream: &Upstream) -> Self {
        match &upstream.0 {
            Target::Single(uri) => Self::Single(channel(uri)),
            Target::List(all) => Self::RoundRobin(RoundRobin::new(
                all.iter().map(|uri| Peer::new(uri.to_string(), channel(uri))),
            )),
            Target::Dns(name) => {
                let round_robin = RoundRobin::new([]);
                let (peers, failed, name) =
                    (Arc::downgrade(&round_robin), Arc::clone(&round_robin.failed), name.clone());
                // It ends with its peers, and not with a process: a client resolves names too.
                Task::restarting("dns", move || resolve(peers.clone(), Arc::clone(&failed), name.clone()))
                    .detach();
                Self::RoundRobin(round_robin)
            }
        }
    }
}

// === impl RoundRobin ===

impl RoundRobin {
    fn new(peers: impl IntoIterator<Item = Peer>) -> Arc<Self> {
        let peers: Vec<_> = peers.into_iter().map(Arc::new).collect();
        let resolved = watch::Sender::new(!peers.is_empty());
        let peers = ArcSwap::from_pointee(peers);
        // A random start, so that not every process calls the first peer first.
        let next = AtomicUsize::new(usize::from(fastrand::u16(..)));
        Arc::new(Self { peers, next, resolved, failed: Arc::default() })
    }

    /// The next peer that is neither ejected nor among those that a call has tried; waits for the first resolution.
    /// Where there is none, an ejected peer is better than one that has just refused the call: it may be back.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] when the name has no address.
    pub(super) async fn next(&self, tried: &[Arc<Peer>]) -> Result<Arc<Peer>, BoxError> {
        let peers = self.all().await;
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_order = (0..peers.len()).map(|step| &peers[start.wrapping_add(step) % peers.len()]);
        let rank = |peer: &&Arc<Peer>| {
            let was_tried = tried.iter().any(|tried| Arc::ptr_eq(tried, peer));
            (was_tried, peer.is_ejected())
        };
        // Mostly the first one.
        let found = in_order.clone().find(|peer| rank(peer) == (false, false)).or(in_order.min_by_key(rank));
        found.cloned().ok_or_else(|| {
            self.failed.notify_one();
            ConnectError("the name has no address".into()).into()
        })
    }

    /// All peers, also ejected ones; waits for the first resolution.
    pub(super) async fn all(&self) -> Arc<Vec<Arc<Peer>>> {
        let mut resolved = self.resolved.subscribe();
        let _ = tokio::time::timeout(RESOLVE_TIMEOUT, resolved.wait_for(|resolved| *resolved)).await;
        self.peers.load_full()
    }

    /// Ejects a peer for [`EJECTION`].
    pub(super) fn eject(&self, peer: &Peer) {
        *peer.ejected_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + EJECTION);
        self.failed.notify_one();
    }

    /// Replaces the peers; those with an unchanged address keep their connections.
    fn update(&self, name: &Authority, addresses: &[SocketAddr]) {
        let before = self.peers.load();
        let peers = addresses.iter().map(|address| {
            let address = address.to_string();
            let existing = before.iter().find(|peer| peer.address == address);
            // The `:authority` stays the name: meshes route and certificates are verified by it.
            existing.cloned().unwrap_or_else(|| {
                let channel = Channel::new(target(&address), name.clone());
                Arc::new(Peer::new(address.clone(), channel))
            })
        });
        let peers: Vec<_> = peers.collect();
        if peers.len() != before.len()
            || peers.iter().zip(before.iter()).any(|(new, old)| !Arc::ptr_eq(new, old))
        {
            tracing::debug!(%name, addresses = peers.len(), "peers: addresses changed");
            self.peers.store(Arc::new(peers));
        }
    }
}

// === impl Peer ===

impl Peer {
    fn new(address: String, channel: Channel) -> Self {
        Self { address, channel, ejected_until: Mutex::default() }
    }

    fn is_ejected(&self) -> bool {
        let until = *self.ejected_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// Resolves a name periodically, until its peers are dropped. When the resolution fails, the peers stay as they are.
async fn resolve(peers: Weak<RoundRobin>, failed: Arc<Notify>, name: Authority) {
    let (host, port) = (name.host().trim_matches(['[', ']']).to_owned(), name.port_u16().unwrap_or_default());
    loop {
        let resolved = tokio::net::lookup_host((host.as_str(), port)).await;
        let Some(peers) = peers.upgrade() else { return };
        match resolved.map(|addresses| addresses.collect::<Vec<_>>()) {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.sort();
                addresses.dedup();
                peers.update(&name, &addresses);
            }
            Ok(_) => tracing::debug!(%name, "peers: name has no address, retrying"),
            Err(error) => tracing::debug!(%name, %error, "peers: name cannot be resolved, retrying"),
        }
        // Also when there is no address: calls then fail at once instead of waiting.
        peers.resolved.send_replace(true);
        drop(peers);
        tokio::time::sleep(RESOLVE_MIN_INTERVAL).await;
        let _ = tokio::time::timeout(RESOLVE_INTERVAL - RESOLVE_MIN_INTERVAL, failed.notified()).await;
    }
}

/// The URI of a socket address.
fn target(address: &str) -> Uri {
    let built = Uri::builder().scheme("http").authority(address).path_and_query("/").build();
    built.expect("an address makes a URI")
}

/// The channel to the peer at a URI, which is also the `:authority` of its calls.
fn channel(uri: &Uri) -> Channel {
    Channel::new(uri.clone(), uri.authority().expect("an upstream has a host").clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Arc<RoundRobin> {
        let peers = ["a", "b", "c"].map(|name| {
            Peer::new(name.to_owned(), channel(&format!("http://{name}:1").parse().expect("a URI")))
        });
        RoundRobin::new(peers)
    }

    async fn next(peers: &RoundRobin, tried: &[Arc<Peer>]) -> Arc<Peer> {
        peers.next(tried).await.expect("there are peers")
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let peers = three();
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(next(&peers, &[]).await.address.clone());
        }
        assert_eq!(seen[..3], seen[3..]);
        seen.sort();
        assert_eq!(seen, ["a", "a", "b", "b", "c", "c"]);
    }

    #[tokio::test]
    async fn a_retry_prefers_an_ejected_peer_to_one_that_it_has_tried() {
        let peers = three();
        let first = next(&peers, &[]).await;
        peers.eject(&first);
        for _ in 0..6 {
            assert_ne!(next(&peers, &[]).await.address, first.address);
        }
        let second = next(&peers, &[]).await;
        for other in peers.all().await.iter() {
            peers.eject(other);
        }
        let tried = [first, second];
        for _ in 0..6 {
            let third = next(&peers, &tried).await;
            assert!(tried.iter().all(|tried| tried.address != third.address), "{third:?}");
        }
        assert!(peers.next(&peers.all().await).await.is_ok(), "a call may come back to a peer");
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_a_connect_error() {
        let error = RoundRobin::new([]).next(&[]).await.expect_err("no peers");
        assert!(error.is::<ConnectError>(), "{error}");
    }
}
