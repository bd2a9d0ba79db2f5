//! The connections to one primary, and the breaker around them.
//!
//! Most calls share one connection, on which Redis replies in order. A durable write takes one of its own instead
//! (`pool`): `WAIT` speaks of the writes of the connection that asks, and would hold up everybody behind it on a shared
//! one.

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

/// How long Redis may wait for replicas to confirm a durable write.
const WAIT_TIMEOUT: Duration = Duration::from_millis(400);

/// The connections to one primary.
pub(super) struct Link {
    pub(super) node: Node,
    client: Client,
    breaker: Breaker,
    /// Told when a connection was made anew: what was published in between is lost.
    hub: Hub,
    /// Whether to talk to a primary only. Sentinels make another server the primary at any time, and the one before goes
    /// on answering, with what it knew.
    primary_only: bool,
    shared: ArcSwapOption<MultiplexedConnection>,
    /// One attempt to connect at a time; whether there was one before.
    connecting: tokio::sync::Mutex<bool>,
    pool: Pool<MultiplexedConnection>,
}

/// What became of each command of a pipeline.
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

    /// Forgets what the breaker saw: this is another server under the name of one that failed.
    pub(super) fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// Lets go of connections that nobody has used for long.
    pub(super) fn drop_idle(&self) {
        self.pool.drop_idle();
    }

    /// Sends commands on the shared connection; an reply each. `asking` for keys that are on their way to this node.
    pub(super) async fn run(&self, commands: &Pipeline, asking: bool) -> Result<Vec<Value>, Failure> {
        self.run_each(commands, asking).await?.into_iter().collect()
    }

    /// The same, where what is refused of one command does not concern the others.
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
                // What many calls lose with one connection is one failure, or few of them would open the breaker.
                let is_known = failure.ends_connection() && !self.discard_shared(&shared);
                if is_known {
                    permit.ignored();
                    return Err(failure);
                }
                Err(record_failure(permit, failure))
            }
        }
    }

    /// Sends a write on a connection of its own, and waits until `replicas` replicas have it; the write's reply and how
    /// many have it, 0 if Redis does not say.
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
        // Longer than Redis itself may take, or a slow replica would look like a lost reply.
        let replies = exchange(&mut connection, &commands, asking, permit.deadline() + WAIT_TIMEOUT);
        let replies = replies.instrument(self.span("durable write")).await;
        let failure = match replies.map(<[_; 2]>::try_from) {
            Ok(Ok([Ok(reply), Ok(replica_count)])) => {
                permit.succeeded();
                self.pool.put(connection);
                return Ok(vec![reply, replica_count]);
            }
            // The write was done, as by a primary that became a replica a moment later.
            Ok(Ok([Ok(reply), Err(failure)])) => {
                permit.succeeded();
                tracing::warn!(node = %self.node, ?failure, "redis does not say which replicas have a write");
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

    /// The span of an exchange with this primary.
    fn span(&self, what: &str) -> Span {
        telemetry::outgoing(|| {
            let attributes =
                [("db.system.name", "redis".to_owned()), ("server.address", self.node.to_string())];
            (format!("redis {what}"), attributes)
        })
    }

    /// A connection that hands what is pushed on it to `pushes`.
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

    /// The shared connection, made when there is none.
    async fn shared_connection(&self, deadline: Instant) -> Result<Arc<MultiplexedConnection>, Failure> {
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        let Ok(mut was_connected) = timeout_at(deadline, self.connecting.lock()).await else {
            return Err(Failure::not_sent("connecting takes too long"));
        };
        // Somebody may have been faster.
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        if *was_connected {
            // Not all replicas at the same moment, when a Redis comes back that many wait for.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        }
        let connection = Arc::new(self.connect(None, deadline).await?);
        if std::mem::replace(&mut *was_connected, true) {
            tracing::info!(node = %self.node, "connected to redis again");
            self.hub.gap();
        } else {
            let warn = warn_of_eviction(MultiplexedConnection::clone(&connection), self.node.clone());
            Task::logged("redis eviction policy", warn).detach();
        }
        self.shared.store(Some(Arc::clone(&connection)));
        Ok(connection)
    }

    /// Lets go of a shared connection that is of no use; whether nobody did before.
    fn discard_shared(&self, connection: &Arc<MultiplexedConnection>) -> bool {
        let found = self.shared.compare_and_swap(connection, None);
        let is_first = found.as_ref().is_some_and(|found| Arc::ptr_eq(found, connection));
        if is_first {
            // Others to the same server are no better, and a write on one would end in doubt.
            self.pool.clear();
        }
        is_first
    }

    /// A new connection on which the scripts are loaded.
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
            let mut greeting = scripts::load();
            if self.primary_only {
                greeting.cmd("ROLE");
            }
            let replies = exchange(&mut connection, &greeting, false, deadline).await;
            let replies = replies.and_then(|replies| replies.into_iter().collect::<Result<Vec<_>, _>>());
            let role = replies.map_err(Failure::before_sending)?.pop().filter(|_| self.primary_only);
            if role.is_some_and(|role| !is_primary(role)) {
                return Err(Failure::Moved);
            }
            Ok(connection)
        };
        timeout_at(deadline, connecting).await.unwrap_or(Err(Failure::not_sent("connecting takes too long")))
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
        // It holds for the one command that follows.
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

/// What was answered, unless one of the replies is the failure of all.
fn fail_if_broken(mut replies: Replies) -> Result<Replies, Failure> {
    let ends = |reply: &Result<_, Failure>| reply.as_ref().is_err_and(Failure::ends_connection);
    match replies.iter().position(ends) {
        None => Ok(replies),
        Some(index) => Err(replies.swap_remove(index).expect_err("the reply found is a failure")),
    }
}

/// Whether what `ROLE` replies is a primary's.
fn is_primary(role: Value) -> bool {
    let parts: Vec<Value> = redis::from_redis_value(role).unwrap_or_default();
    let role = parts.into_iter().next().and_then(|role| redis::from_redis_value::<String>(role).ok());
    role.as_deref() == Some("master")
}

/// Says so where Redis is set up to throw things away when its memory is full: what must last, or, if only what has a
/// time to live, by which ids records of logs are known.
async fn warn_of_eviction(mut connection: MultiplexedConnection, node: Node) {
    let mut question = redis::cmd("INFO");
    question.arg("memory");
    let reply = timeout(WAIT_TIMEOUT, connection.req_packed_command(&question)).await;
    // Who may not ask is not told.
    let Ok(Ok(Value::VerbatimString { text, .. })) = reply else { return };
    let figure =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let policy = figure("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" && figure("maxmemory") != Some("0") {
        tracing::warn!(%node, policy, "redis may evict what must last: set maxmemory-policy to noeviction");
    }
}

/// Tells the breaker of a failure. A refusal that concerns the call only says that Redis is well.
fn record_failure(permit: Permit, failure: Failure) -> Failure {
    if failure.is_outage() {
        permit.failed()
    } else {
        permit.succeeded()
    }
    failure
}
