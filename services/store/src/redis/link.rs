//! The connections to one primary, with their circuit breaker.
//!
//! Most calls share one connection, on which Redis replies in order. A durable write has a separate connection from a
//! pool (`pool`): `WAIT` covers the writes of its own connection, and would block all later calls on a shared one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dataflow_mesh::breaker::{Breaker, Permit};
use dataflow_mesh::tasks::Task;
use dataflow_mesh::telemetry;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, Span};

use super::address::Node;
use super::failure::Failure;
use super::pool::Pool;
use super::scripts;
use crate::signals::Hub;

/// The timeout of WAIT, within which replicas must confirm a durable write.
const WAIT_TIMEOUT: Duration = Duration::from_millis(400);

/// The connections to one primary.
pub(super) struct Link {
    pub(super) node: Node,
    client: Client,
    breaker: Breaker,
    /// Receives a gap after a reconnect: messages published in between are lost.
    hub: Hub,
    /// Whether to reject servers that are not primary. Sentinels may promote another server at any time, and the
    /// previous one continues to reply with outdated data.
    primary_only: bool,
    shared: ArcSwapOption<MultiplexedConnection>,
    /// Serializes connection attempts; contains whether there was a connection before.
    connecting: tokio::sync::Mutex<bool>,
    pool: Pool<MultiplexedConnection>,
}

/// The result of each command of a pipeline.
pub(super) type Replies = Vec<Result<Value, Failure>>;

// === impl Link ===

impl Link {
    pub(super) fn new(node: Node, client: Client, breaker: Breaker, hub: Hub, primary_only: bool) -> Self {
        Self {
            node,
            client,
            breaker,
            hub,
            primary_only,
            shared: ArcSwapOption::empty(),
            connecting: tokio::sync::Mutex::new(false),
            pool: Pool::new(),
        }
    }

    /// Resets the breaker, after a failover to another server under the same name.
    pub(super) fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// Closes connections that were idle for too long.
    pub(super) fn drop_idle(&self) {
        self.pool.drop_idle();
    }

    /// Sends commands on the shared connection; returns one reply each, or the first failure. `asking` sends ASKING
    /// before each command, for slots that are being migrated to this node.
    pub(super) async fn run(&self, commands: &Pipeline, asking: bool) -> Result<Vec<Value>, Failure> {
        self.run_each(commands, asking).await?.into_iter().collect()
    }

    /// As [`run`](Self::run), but returns the failure of each command separately.
    pub(super) async fn run_each(&self, commands: &Pipeline, asking: bool) -> Result<Replies, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let deadline = permit.deadline();
        let shared = match self.shared_connection(deadline).await {
            Ok(shared) => shared,
            Err(failure) => return Err(record_failure(permit, failure)),
        };
        let mut connection = MultiplexedConnection::clone(&shared);
        let replies = exchange(&mut connection, commands, asking, deadline).instrument(self.span("commands"));
        match replies.await.and_then(fail_if_broken) {
            Ok(replies) => {
                permit.succeeded();
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
                Err(record_failure(permit, failure))
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
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let Some(_permit) = self.pool.permit(permit.deadline()).await else {
            permit.ignored();
            return Err(Failure::overloaded());
        };
        let connected = match self.pool.take() {
            Some(connection) => Ok(connection),
            None => self.connect(None, permit.deadline()).await,
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(failure) => return Err(record_failure(permit, failure)),
        };
        let mut commands = redis::pipe();
        commands.add_command(write.clone()).cmd("WAIT").arg(replicas).arg(WAIT_TIMEOUT.as_millis() as u64);
        // Longer than the timeout of WAIT itself, so that a slow replica does not look like a lost reply.
        let replies = exchange(&mut connection, &commands, asking, permit.deadline() + WAIT_TIMEOUT);
        let replies = replies.instrument(self.span("durable write")).await;
        let failure = match replies.map(<[_; 2]>::try_from) {
            Ok(Ok([Ok(reply), Ok(replica_count)])) => {
                permit.succeeded();
                self.pool.put(connection);
                return Ok(vec![reply, replica_count]);
            }
            // The write was executed, for instance by a primary that was demoted just afterwards.
            Ok(Ok([Ok(reply), Err(failure)])) => {
                permit.succeeded();
                tracing::warn!(node = %self.node, ?failure, "redis: unknown how many replicas have a write");
                return Ok(vec![reply, Value::Int(0)]);
            }
            Ok(Ok([Err(failure), _])) | Err(failure) => failure,
            Ok(Err(replies)) => Failure::wrong_reply_count(replies.len()),
        };
        if failure.ends_connection() {
            self.pool.clear();
        } else {
            self.pool.put(connection);
        }
        Err(record_failure(permit, failure))
    }

    /// The trace span of an exchange with this primary.
    fn span(&self, what: &str) -> Span {
        telemetry::outgoing(|| {
            let attributes =
                [("db.system.name", "redis".to_owned()), ("server.address", self.node.to_string())];
            (format!("redis {what}"), attributes)
        })
    }

    /// A new connection that forwards push messages to `pushes`.
    pub(super) async fn connect_for_pushes(
        &self,
        pushes: UnboundedSender<PushInfo>,
    ) -> Result<MultiplexedConnection, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        match self.connect(Some(pushes), permit.deadline()).await {
            Ok(connection) => {
                permit.succeeded();
                Ok(connection)
            }
            Err(failure) => Err(record_failure(permit, failure)),
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
            self.hub.gap();
        } else {
            let warn = warn_of_eviction(MultiplexedConnection::clone(&connection), self.node.clone());
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
            // The pool's connections to the same server are broken too, and a write on one would have an unknown
            // outcome.
            self.pool.clear();
        }
        is_first
    }

    /// A new connection, with a handshake that loads the scripts.
    async fn connect(
        &self,
        pushes: Option<UnboundedSender<PushInfo>>,
        deadline: Instant,
    ) -> Result<MultiplexedConnection, Failure> {
        let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let connecting = async {
            let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
            let mut connection = connection.map_err(|error| Failure::not_sent(error.category()))?;
            let mut handshake = scripts::load();
            if self.primary_only {
                handshake.cmd("ROLE");
            }
            let replies = exchange(&mut connection, &handshake, false, deadline).await;
            let replies = replies.and_then(|replies| replies.into_iter().collect::<Result<Vec<_>, _>>());
            let role = replies.map_err(Failure::before_sending)?.pop().filter(|_| self.primary_only);
            if role.is_some_and(|role| !is_primary(role)) {
                return Err(Failure::Moved);
            }
            Ok(connection)
        };
        timeout_at(deadline, connecting).await.unwrap_or(Err(Failure::not_sent("connecting timed out")))
    }
}

/// Sends commands and receives their replies.
async fn exchange(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    asking: bool,
    deadline: Instant,
) -> Result<Replies, Failure> {
    let mut prefixed = redis::pipe();
    let sent = if asking {
        // ASKING applies only to the command that follows.
        for command in commands.cmd_iter() {
            prefixed.cmd("ASKING").add_command(command.clone());
        }
        &prefixed
    } else {
        commands
    };
    let replies = connection.req_packed_commands(sent, 0, sent.len());
    let Ok(replies) = timeout_at(deadline, replies).await else { return Err(Failure::ReplyLost) };
    let replies = replies.map_err(Failure::of)?.into_iter();
    let replies = replies.skip(usize::from(asking)).step_by(1 + usize::from(asking));
    Ok(replies.map(|reply| reply.extract_error().map_err(Failure::of)).collect())
}

/// The replies, unless one of them is a failure of the whole connection.
fn fail_if_broken(mut replies: Replies) -> Result<Replies, Failure> {
    let ends = |reply: &Result<_, Failure>| reply.as_ref().is_err_and(Failure::ends_connection);
    match replies.iter().position(ends) {
        None => Ok(replies),
        Some(index) => Err(replies.swap_remove(index).expect_err("the reply found is a failure")),
    }
}

/// Whether a `ROLE` reply is that of a primary.
fn is_primary(role: Value) -> bool {
    let parts: Vec<Value> = redis::from_redis_value(role).unwrap_or_default();
    let role = parts.into_iter().next().and_then(|role| redis::from_redis_value::<String>(role).ok());
    role.as_deref() == Some("master")
}

/// Warns if Redis may evict keys when its memory is full: durable data, or, if only keys with an expiry are evicted,
/// the idempotency ids of logs.
async fn warn_of_eviction(mut connection: MultiplexedConnection, node: Node) {
    let mut info = redis::cmd("INFO");
    info.arg("memory");
    let reply = timeout(WAIT_TIMEOUT, connection.req_packed_command(&info)).await;
    // Skipped if this user may not run INFO.
    let Ok(Ok(Value::VerbatimString { text, .. })) = reply else { return };
    let figure =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let policy = figure("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" && figure("maxmemory") != Some("0") {
        tracing::warn!(%node, policy, "redis: durable data may be evicted, set maxmemory-policy to noeviction");
    }
}

/// Reports a failure to the breaker. A rejection of a single call counts as success: Redis is healthy.
fn record_failure(permit: Permit, failure: Failure) -> Failure {
    if failure.is_outage() {
        permit.failed()
    } else {
        permit.succeeded()
    }
    failure
}
