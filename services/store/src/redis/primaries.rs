//! Discovery and routing: the primary of a bucket is the only server, the one that the Sentinels name, or the Cluster
//! node that has its slot. Calls follow MOVED and ASK redirects.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::sentinel::SentinelClient;
use redis::{Cmd, ConnectionAddr, Pipeline, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::address::{Mode, Node};
use super::connector::Connector;
use super::failure::Failure;
use super::link::Link;
use super::topology::Topology;

/// How often a call is redirected before it fails.
const MAX_REDIRECTS: usize = 4;

/// The timeout of one query to Sentinels or Cluster nodes for the topology.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The known topology, and the means to refresh it.
pub(super) struct Primaries {
    connector: Connector,
    /// The client of the Sentinels, if there are any. One query at a time.
    sentinels: Option<Mutex<SentinelClient>>,
    topology: ArcSwap<Topology>,
    /// Serializes refreshes; contains when the last one ended.
    refreshing: Mutex<Option<Instant>>,
}

/// A call to a primary.
#[derive(Clone, Copy)]
enum Call<'a> {
    /// Commands on the shared connection.
    Shared(&'a Pipeline),
    /// A write that this many replicas must confirm.
    Durable { write: &'a Cmd, replicas: u64 },
    /// A command with a large value or reply.
    Large(&'a Cmd),
}

// === impl Call ===

impl Call<'_> {
    async fn on(self, link: &Link, asking: bool) -> Result<Vec<Value>, Failure> {
        match self {
            Call::Shared(commands) => link.run(commands, asking).await,
            Call::Durable { write, replicas } => link.run_durably(write, replicas, asking).await,
            Call::Large(command) => link.run_large(command, asking).await,
        }
    }
}

// === impl Primaries ===

impl Primaries {
    pub(super) fn new(connector: Connector) -> redis::RedisResult<Self> {
        let (sentinels, topology) = match &connector.address().mode {
            Mode::Standalone => {
                let link = connector.to_only_primary(connector.address().nodes[0].clone())?;
                (None, Topology::of_one(Arc::new(link)))
            }
            Mode::Sentinel { service } => {
                (Some(Mutex::new(connector.sentinel_client(service)?)), Topology::default())
            }
            Mode::Cluster => (None, Topology::default()),
        };
        let topology = ArcSwap::from_pointee(topology);
        Ok(Self { connector, sentinels, topology, refreshing: Mutex::default() })
    }

    /// The topology as last discovered.
    pub(super) fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// The topology; refreshes it if no primary is known yet.
    pub(super) async fn ensure_known(&self) -> Result<Arc<Topology>, Failure> {
        let topology = self.topology();
        if !topology.links.is_empty() {
            return Ok(topology);
        }
        self.refresh_in_time(&topology).await;
        let topology = self.topology();
        if topology.links.is_empty() { Err(Failure::not_sent("no primary is known")) } else { Ok(topology) }
    }

    /// Sends commands to the primary of a bucket; returns one reply each.
    pub(super) async fn run(&self, bucket: usize, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        self.route(bucket, Call::Shared(commands)).await
    }

    /// As [`run`](Self::run), for read-only or idempotent commands: retries once if the reply was lost.
    pub(super) async fn read(&self, bucket: usize, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        match self.run(bucket, commands).await {
            Err(Failure::ReplyLost) => self.run(bucket, commands).await,
            other => other,
        }
    }

    /// As [`run`](Self::run), for one command with a large value or reply, beside the shared connection.
    pub(super) async fn run_large(&self, bucket: usize, command: &Cmd) -> Result<Vec<Value>, Failure> {
        self.route(bucket, Call::Large(command)).await
    }

    /// As [`run_large`](Self::run_large), for a read-only command: retries once if the reply was lost.
    pub(super) async fn read_large(&self, bucket: usize, command: &Cmd) -> Result<Vec<Value>, Failure> {
        match self.run_large(bucket, command).await {
            Err(Failure::ReplyLost) => self.run_large(bucket, command).await,
            other => other,
        }
    }

    /// Sends a durable write to the primary of a bucket and waits until `replicas` replicas confirm it; returns the
    /// reply and the number of confirmations.
    pub(super) async fn run_durably(
        &self,
        bucket: usize,
        write: &Cmd,
        replicas: u64,
    ) -> Result<[Value; 2], Failure> {
        let replies = self.route(bucket, Call::Durable { write, replicas }).await?;
        replies.try_into().map_err(|replies: Vec<_>| Failure::wrong_reply_count(replies.len()))
    }

    /// Sends a call to the primary of a bucket, following redirects.
    async fn route(&self, bucket: usize, call: Call<'_>) -> Result<Vec<Value>, Failure> {
        let mut last = Failure::Moved;
        for attempt in 0..MAX_REDIRECTS {
            let topology = self.topology();
            let Some(link) = topology.owner(bucket) else {
                self.refresh_in_time(&topology).await;
                if self.topology.load().owner(bucket).is_none() {
                    return Err(Failure::not_sent("no primary is known"));
                }
                continue;
            };
            last = match call.on(link, false).await {
                Err(failure @ Failure::Moved) => {
                    self.refresh_in_time(&topology).await;
                    failure
                }
                // Once: the name leads to a replica, or the Sentinels do not know a new primary yet.
                Err(failure @ Failure::ReadOnly) if attempt == 0 => {
                    self.refresh_in_time(&topology).await;
                    failure
                }
                Err(Failure::Ask(node)) => {
                    let link = topology.link_or_connect(node, |node| self.connect(node))?;
                    return call.on(&link, true).await;
                }
                // The connection without scripts was closed; a new one loads them.
                Err(failure @ Failure::ScriptsMissing) => failure,
                other => return other,
            };
        }
        Err(last)
    }

    /// Refreshes the topology, unless another task did since `seen`.
    pub(super) async fn refresh(&self, seen: &Arc<Topology>) {
        let started = Instant::now();
        let mut ended = self.refreshing.lock().await;
        // If discovery fails, all waiting callers share the result of the first: one after the other, each would wait
        // for a timeout.
        if !Arc::ptr_eq(&self.topology.load(), seen) || *ended >= Some(started) {
            return;
        }
        let found = tokio::time::timeout(DISCOVERY_TIMEOUT, self.discover(seen)).await;
        match found.unwrap_or(Err(Failure::ReplyLost)) {
            Ok(Some(topology)) => self.replace(seen, Arc::new(topology)),
            Ok(None) => {}
            Err(failure) => {
                tracing::debug!(?failure, "redis: no sentinel or cluster node knows the primary, retrying")
            }
        }
        *ended = Some(Instant::now());
    }

    /// As [`refresh`](Self::refresh), limited to the timeout of a call.
    async fn refresh_in_time(&self, seen: &Arc<Topology>) {
        // On a timeout, the watch task continues to refresh.
        let _ = tokio::time::timeout(self.connector.timeout(), self.refresh(seen)).await;
    }

    /// Replaces the topology, and removes the breakers of nodes that are no longer part of it.
    fn replace(&self, old: &Topology, new: Arc<Topology>) {
        self.topology.store(Arc::clone(&new));
        old.nodes_not_in(&new).iter().for_each(|node| self.connector.forget(node));
    }

    /// Discovers the current topology; none if it cannot have changed.
    async fn discover(&self, seen: &Topology) -> Result<Option<Topology>, Failure> {
        match self.connector.address().mode {
            Mode::Standalone => Ok(None),
            Mode::Sentinel { .. } => self.query_sentinels(seen).await,
            Mode::Cluster => {
                let found = self.query_cluster(seen).await?;
                Ok(Some(found).filter(|found| !found.is_same_as(seen)))
            }
        }
    }

    async fn query_sentinels(&self, seen: &Topology) -> Result<Option<Topology>, Failure> {
        let Some(sentinels) = &self.sentinels else { return Ok(None) };
        let client = sentinels.lock().await.async_get_client().await;
        let client = client.map_err(|error| Failure::not_sent(error.category()))?;
        let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) =
            client.get_connection_info().addr().clone()
        else {
            return Ok(None);
        };
        let node = Node { host, port };
        if seen.link(&node).is_some() {
            return Ok(None);
        }
        tracing::info!(%node, "redis: new primary");
        let link = self.connector.to_only_primary(node).map_err(Failure::unexpected)?;
        link.reset_breaker();
        Ok(Some(Topology::of_one(Arc::new(link))))
    }

    async fn query_cluster(&self, seen: &Topology) -> Result<Topology, Failure> {
        let mut last = Failure::not_sent("no cluster node is reachable");
        let mut query = redis::pipe();
        query.cmd("CLUSTER").arg("SLOTS");
        // Known primaries first, then the nodes of the address.
        let primaries = seen.links.iter().map(|link| link.node.clone());
        for node in primaries.chain(self.connector.address().nodes.iter().cloned()) {
            // Existing links are reused.
            let known = |node: Node| match seen.link(&node) {
                Some(link) => Ok(link),
                None => self.connect(node).map(Arc::new),
            };
            let queried = known(node.clone())?;
            let found = queried.run(&query, false).await.and_then(|replies| {
                let link = |named: Node| if named == node { Ok(Arc::clone(&queried)) } else { known(named) };
                Topology::of_cluster(replies.into_iter().next().unwrap_or(Value::Nil), &node, link)
            });
            let is_named = found.as_ref().is_ok_and(|found| found.link(&node).is_some());
            if !is_named && seen.link(&node).is_none() {
                self.connector.forget(&node);
            }
            match found {
                Ok(found) => return Ok(found),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// A new link to a Cluster node.
    fn connect(&self, node: Node) -> Result<Link, Failure> {
        self.connector.to_cluster_node(node).map_err(Failure::unexpected)
    }
}
