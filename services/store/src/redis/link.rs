//! The connections to one primary, with their circuit breaker.
//!
//! Most calls share one connection, on which Redis replies in order. Two kinds of calls would delay the others there,
//! and have a separate connection from a pool (`pool`):
//!
//! - durable writes: `WAIT` covers the writes of its own connection, and blocks all later calls on it;
//! - large calls: a value of some MiB takes the connection for as long as it is sent.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dataflow_mesh::breaker::{Breaker, Permit};
use dataflow_mesh::process_status::RedisRole;
use dataflow_mesh::tasks::Task;
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, Pipeline, Value};
use tokio::time::{Instant, timeout_at};

use super::address::Node;
use super::exchange::{Replies, ends_connection, exchange, fail_if_broken};
use super::failure::Failure;
use super::handshake;
use super::metrics::{KINDS, RedisMetrics};
use super::pool::Pool;
use super::pushes::PushSender;
use super::spans;
use crate::signals::Hub;

/// The timeout of WAIT, within which replicas must confirm a durable write.
const WAIT_TIMEOUT: Duration = Duration::from_millis(400);

/// The shortest time between two attempts to leave a replica.
const REPLICA_PAUSE: Duration = Duration::from_millis(500);

/// The limit of concurrent durable writes. More would not be faster, and one call may need thousands.
const MAX_DURABLE: usize = 32;

/// The limit of concurrent large calls: enough to use the network, and few enough to leave most of it to other calls.
const MAX_LARGE: usize = 4;

/// The connections to one primary.
pub(super) struct Link {
    pub(super) node: Node,
    client: Client,
    breaker: Breaker,
    metrics: RedisMetrics,
    /// Whether the last reply was that of a replica.
    is_replica: AtomicBool,
    /// The replicas that were connected to it when it was last asked.
    replicas: AtomicUsize,
    /// Receives a gap after a reconnect: messages published in between are lost.
    hub: Hub,
    /// Whether to reject servers that are not primary. Sentinels may promote another server at any time, and the
    /// previous one continues to reply with outdated data.
    primary_only: bool,
    /// When the connections were last closed because they led to a replica.
    left_replica: Mutex<Option<Instant>>,
    shared: ArcSwapOption<MultiplexedConnection>,
    /// Serializes connection attempts; contains whether there was a connection before.
    connecting: tokio::sync::Mutex<bool>,
    durable: Pool<MultiplexedConnection>,
    large: Pool<MultiplexedConnection>,
}

// === impl Link ===

impl Link {
    pub(super) fn new(
        node: Node,
        client: Client,
        (breaker, metrics): (Breaker, RedisMetrics),
        hub: Hub,
        primary_only: bool,
    ) -> Self {
        Self {
            node,
            client,
            breaker,
            metrics,
            is_replica: AtomicBool::new(false),
            replicas: AtomicUsize::new(0),
            hub,
            primary_only,
            left_replica: Mutex::default(),
            shared: ArcSwapOption::empty(),
            connecting: tokio::sync::Mutex::new(false),
            durable: Pool::new(MAX_DURABLE),
            large: Pool::new(MAX_LARGE),
        }
    }

    /// Resets the breaker, after a failover to another server under the same name.
    pub(super) fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// The role of the server as its last reply showed it.
    pub(super) fn role(&self) -> RedisRole {
        if self.shared.load().is_none() {
            RedisRole::Unreachable
        } else if self.is_replica.load(Ordering::Relaxed) {
            RedisRole::Replica
        } else {
            RedisRole::Primary
        }
    }

    /// The replicas that were connected to the server when it was last asked, which `watch` does.
    pub(super) fn replicas(&self) -> usize {
        self.replicas.load(Ordering::Relaxed)
    }

    pub(super) fn set_replicas(&self, replicas: usize) {
        self.replicas.store(replicas, Ordering::Relaxed);
    }

    /// The permits in use and the idle connections of each pool.
    pub(super) fn pools(&self) -> [(usize, usize); 2] {
        [self.durable.counts(), self.large.counts()]
    }

    /// Closes connections that were idle for too long.
    pub(super) fn drop_idle(&self) {
        self.durable.drop_idle();
        self.large.drop_idle();
    }

    /// Sends commands on the shared connection; returns one reply each, or the first failure. `asking` sends ASKING
    /// before each command, for slots that are being migrated to this node.
    pub(super) async fn run(&self, commands: &Pipeline, asking: bool) -> Result<Vec<Value>, Failure> {
        self.run_each(commands, asking).await?.into_iter().collect()
    }

    /// As [`run`](Self::run), but returns the failure of each command separately.
    pub(super) async fn run_each(&self, commands: &Pipeline, asking: bool) -> Result<Replies, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let (start, deadline) = (Instant::now(), permit.deadline());
        let shared = match self.shared_connection(deadline).await {
            Ok(shared) => shared,
            Err(failure) => return Err(self.record_failure(permit, failure)),
        };
        let mut connection = MultiplexedConnection::clone(&shared);
        let replies = exchange(&mut connection, commands, asking, deadline);
        let replies = spans::traced(&self.node, "commands", commands, replies).await.and_then(fail_if_broken);
        self.metrics.called(KINDS[0], start.elapsed());
        match replies {
            Ok(replies) => {
                permit.succeeded();
                self.metrics.succeeded();
                self.leave_replica(&replies);
                Ok(replies)
            }
            Err(failure) => {
                // Many calls that fail with one lost connection count as one failure; otherwise few of them would open
                // the breaker.
                let is_counted = failure.ends_connection() && !self.discard_shared(&shared);
                if is_counted {
                    permit.ignored();
                    return Err(failure);
                }
                Err(self.record_failure(permit, failure))
            }
        }
    }

    /// Sends a write on a connection from the pool, and waits until `replicas` replicas confirm it; returns the reply
    /// and the number of confirmations, 0 if Redis does not return it.
    pub(super) async fn run_durably(
        &self,
        write: &Cmd,
        replicas: u64,
        asking: bool,
    ) -> Result<Vec<Value>, Failure> {
        let mut commands = redis::pipe();
        commands.add_command(write.clone()).cmd("WAIT").arg(replicas).arg(WAIT_TIMEOUT.as_millis() as u64);
        // Longer than the timeout of WAIT itself, so that a slow replica does not look like a lost reply.
        let replies =
            self.run_pooled(&self.durable, &commands, asking, WAIT_TIMEOUT, "durable write").await?;
        match replies {
            [Ok(reply), Ok(replica_count)] => Ok(vec![reply, replica_count]),
            // The write was executed, for instance by a primary that was demoted just afterwards.
            [Ok(reply), Err(failure)] => {
                tracing::warn!(node = %self.node, ?failure, "redis: unknown how many replicas have a write");
                Ok(vec![reply, Value::Int(0)])
            }
            [Err(failure), _] => Err(failure),
        }
    }

    /// Sends one command with a large value, or with a large reply.
    pub(super) async fn run_large(&self, command: &Cmd, asking: bool) -> Result<Vec<Value>, Failure> {
        let mut commands = redis::pipe();
        commands.add_command(command.clone());
        let [reply] = self.run_pooled(&self.large, &commands, asking, Duration::ZERO, "large call").await?;
        Ok(vec![reply?])
    }

    /// Sends commands on a connection from a pool. The breaker judges by the first of them.
    async fn run_pooled<const N: usize>(
        &self,
        pool: &Pool<MultiplexedConnection>,
        commands: &Pipeline,
        asking: bool,
        extra_time: Duration,
        what: &str,
    ) -> Result<[Result<Value, Failure>; N], Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let start = Instant::now();
        let Some(_permit) = pool.permit(permit.deadline()).await else {
            permit.ignored();
            return Err(Failure::overloaded(what));
        };
        let connected = match pool.take() {
            Some(connection) => Ok(connection),
            None => self.connect(None, permit.deadline()).await,
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(failure) => return Err(self.record_failure(permit, failure)),
        };
        let replies = exchange(&mut connection, commands, asking, permit.deadline() + extra_time);
        let replies = spans::traced(&self.node, what, commands, replies).await;
        self.metrics.called(what, start.elapsed());
        let failure = match replies.map(<[_; N]>::try_from) {
            Ok(Ok(mut replies)) => match &mut replies[0] {
                Err(failure) if failure.ends_connection() => std::mem::replace(failure, Failure::ReplyLost),
                _ => {
                    permit.succeeded();
                    self.metrics.succeeded();
                    if !replies.iter().any(ends_connection) {
                        pool.put(connection);
                    }
                    self.leave_replica(&replies);
                    return Ok(replies);
                }
            },
            Ok(Err(replies)) => Failure::wrong_reply_count(replies.len()),
            Err(failure) => failure,
        };
        if failure.ends_connection() {
            pool.clear();
        } else {
            pool.put(connection);
        }
        Err(self.record_failure(permit, failure))
    }

    /// A new connection that forwards push messages to `pushes`.
    pub(super) async fn connect_for_pushes(
        &self,
        pushes: PushSender,
    ) -> Result<MultiplexedConnection, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        match self.connect(Some(pushes), permit.deadline()).await {
            Ok(connection) => {
                permit.succeeded();
                Ok(connection)
            }
            Err(failure) => Err(self.record_failure(permit, failure)),
        }
    }

    /// The shared connection; connects if there is none.
    async fn shared_connection(&self, deadline: Instant) -> Result<Arc<MultiplexedConnection>, Failure> {
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        let Ok(mut was_connected) = timeout_at(deadline, self.connecting.lock()).await else {
            return Err(Failure::not_sent("connecting timed out"));
        };
        // Another task may have connected meanwhile.
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        if *was_connected {
            // Jitter, so that not all processes reconnect to a restarted Redis at the same moment.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        }
        let connection = Arc::new(self.connect(None, deadline).await?);
        if std::mem::replace(&mut *was_connected, true) {
            tracing::info!(node = %self.node, "redis: reconnected");
            self.metrics.reconnected();
            self.hub.gap();
        } else {
            let warn =
                handshake::warn_of_eviction(MultiplexedConnection::clone(&connection), self.node.clone());
            Task::logged("redis eviction policy", warn).detach();
        }
        self.shared.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    /// Closes a broken shared connection; returns whether this call was the first to do so.
    fn discard_shared(&self, connection: &Arc<MultiplexedConnection>) -> bool {
        let found = self.shared.compare_and_swap(connection, None);
        let is_first = found.as_ref().is_some_and(|found| Arc::ptr_eq(found, connection));
        if is_first {
            // The pooled connections to the same server are broken too, and a write on one would have an unknown
            // outcome.
            self.clear_pools();
        }
        is_first
    }

    /// Closes all connections if a reply shows that they lead to a replica: new ones may lead to the primary. Not more
    /// often than every [`REPLICA_PAUSE`], because the name may lead to the replica for a while.
    fn leave_replica(&self, replies: &[Result<Value, Failure>]) {
        let is_replica = replies.iter().any(|reply| matches!(reply, Err(Failure::ReadOnly)));
        self.is_replica.store(is_replica, Ordering::Relaxed);
        if !is_replica {
            return;
        }
        let mut left = self.left_replica.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_none_or(|left| left.elapsed() >= REPLICA_PAUSE) {
            *left = Some(Instant::now());
            self.shared.store(None);
            self.clear_pools();
        }
    }

    fn clear_pools(&self) {
        self.durable.clear();
        self.large.clear();
    }

    /// A new connection that forwards push messages to `pushes`.
    async fn connect(
        &self,
        pushes: Option<PushSender>,
        deadline: Instant,
    ) -> Result<MultiplexedConnection, Failure> {
        let connected = handshake::connect(&self.client, self.primary_only, pushes, deadline).await;
        self.metrics.connected(connected.is_ok());
        connected
    }

    /// Reports a failure to the breaker. A rejection of a single call counts as success: Redis is healthy.
    fn record_failure(&self, permit: Permit, failure: Failure) -> Failure {
        self.metrics.failed(&failure);
        if failure.is_outage() {
            permit.failed()
        } else {
            permit.succeeded()
        }
        failure
    }
}
