//! Which server holds a bucket at the moment: the one there is, the one that the Sentinels name, or the one of the
//! Cluster whose slot it is. Calls follow a bucket that moved.

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

/// How often a call is sent elsewhere before it is given up.
const MAX_REDIRECTS: usize = 4;

/// How long Sentinels or a Cluster's nodes may take to say who is primary.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The primaries, and which bucket lies where.
pub(super) struct Primaries {
    connector: Connector,
    /// The connection to the Sentinels, if there are any. One question at a time.
    sentinels: Option<Mutex<SentinelClient>>,
    topology: ArcSwap<Topology>,
    /// One refresh at a time; when the last one ended.
    refreshing: Mutex<Option<Instant>>,
}

/// What is sent to a primary.
#[derive(Clone, Copy)]
enum Call<'a> {
    /// Commands on the connection that all share.
    Shared(&'a Pipeline),
    /// A write that so many replicas must have.
    Durable { write: &'a Cmd, replicas: u64 },
}

// === impl Call ===

impl Call<'_> {
    async fn on(self, link: &Link, asking: bool) -> Result<Vec<Value>, Failure> {
        match self {
            Call::Shared(commands) => link.run(commands, asking).await,
            Call::Durable { write, replicas } => link.run_durably(write, replicas, asking).await,
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

    /// Who holds what, as far as we know.
    pub(super) fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// Who holds what; asked for when nobody knows yet.
    pub(super) async fn ensure_known(&self) -> Result<Arc<Topology>, Failure> {
        let topology = self.topology();
        if !topology.links.is_empty() {
            return Ok(topology);
        }
        self.refresh_in_time(&topology).await;
        let topology = self.topology();
        if topology.links.is_empty() { Err(Failure::not_sent("no primary is known")) } else { Ok(topology) }
    }

    /// Sends commands to a bucket's primary; an answer each.
    pub(super) async fn run(&self, bucket: usize, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        self.route(bucket, Call::Shared(commands)).await
    }

    /// The same for what only reads, and so may be sent again when no answer came.
    pub(super) async fn read(&self, bucket: usize, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        match self.run(bucket, commands).await {
            Err(Failure::ReplyLost) => self.run(bucket, commands).await,
            other => other,
        }
    }

    /// Sends a write to a bucket's primary, and waits until `replicas` replicas have it; its answer and how many have it.
    pub(super) async fn run_durably(
        &self,
        bucket: usize,
        write: &Cmd,
        replicas: u64,
    ) -> Result<[Value; 2], Failure> {
        let replies = self.route(bucket, Call::Durable { write, replicas }).await?;
        replies.try_into().map_err(|replies: Vec<_>| Failure::wrong_reply_count(replies.len()))
    }

    /// Calls a bucket's primary, wherever it is.
    async fn route(&self, bucket: usize, call: Call<'_>) -> Result<Vec<Value>, Failure> {
        let mut last = Failure::Moved;
        for _ in 0..MAX_REDIRECTS {
            let topology = self.topology();
            let Some(link) = topology.owner(bucket) else {
                self.refresh_in_time(&topology).await;
                if self.topology.load().owner(bucket).is_none() {
                    return Err(Failure::not_sent("no primary is known"));
                }
                continue;
            };
            last = match call.on(link, false).await {
                Err(Failure::Moved) => {
                    self.refresh_in_time(&topology).await;
                    Failure::Moved
                }
                Err(Failure::Ask(node)) => {
                    let link = topology.link_or_connect(node, |node| self.connect(node))?;
                    return call.on(&link, true).await;
                }
                // The connection without scripts is gone; the next one has them.
                Err(failure @ Failure::ScriptsMissing) => failure,
                other => return other,
            };
        }
        Err(last)
    }

    /// Asks anew who holds what, unless somebody else did since `seen`.
    pub(super) async fn refresh(&self, seen: &Arc<Topology>) {
        let started = Instant::now();
        let mut ended = self.refreshing.lock().await;
        // Where nobody replies, all who wait are told so by the first: one after the other they would wait for ever.
        if !Arc::ptr_eq(&self.topology.load(), seen) || *ended >= Some(started) {
            return;
        }
        let found = tokio::time::timeout(DISCOVERY_TIMEOUT, self.discover(seen)).await;
        match found.unwrap_or(Err(Failure::ReplyLost)) {
            Ok(Some(topology)) => self.replace(seen, Arc::new(topology)),
            Ok(None) => {}
            Err(failure) => tracing::debug!(?failure, "nobody says which redis is primary"),
        }
        *ended = Some(Instant::now());
    }

    /// The same, for a call that has no more time than any other.
    async fn refresh_in_time(&self, seen: &Arc<Topology>) {
        // The task beside the calls goes on asking.
        let _ = tokio::time::timeout(self.connector.timeout(), self.refresh(seen)).await;
    }

    /// From now on everything lies as `new` says. What there was before and is no more nobody asks for.
    fn replace(&self, old: &Topology, new: Arc<Topology>) {
        self.topology.store(Arc::clone(&new));
        old.nodes_not_in(&new).iter().for_each(|node| self.connector.forget(node));
    }

    /// The topology at this moment; none when it cannot have changed.
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
        tracing::info!(%node, "this redis is primary");
        let link = self.connector.to_only_primary(node).map_err(Failure::unexpected)?;
        link.reset_breaker();
        Ok(Some(Topology::of_one(Arc::new(link))))
    }

    async fn query_cluster(&self, seen: &Topology) -> Result<Topology, Failure> {
        let mut last = Failure::not_sent("no node of the cluster replies");
        let mut query = redis::pipe();
        query.cmd("CLUSTER").arg("SLOTS");
        // Whoever is known first, then those of the address.
        let primaries = seen.links.iter().map(|link| link.node.clone());
        for node in primaries.chain(self.connector.address().nodes.iter().cloned()) {
            // Links that are known stay.
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

    /// A new link to one of several primaries.
    fn connect(&self, node: Node) -> Result<Link, Failure> {
        self.connector.to_cluster_node(node).map_err(Failure::unexpected)
    }
}
