//! The connections to one primary, and the breaker around them.
//!
//! Most calls share one connection, on which Redis answers in order. A durable write takes one of its own instead
//! (`spares`): `WAIT` speaks of the writes of the connection that asks, and would hold up everybody behind it on a shared
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
use super::scripts;
use super::spares::Spares;
use crate::signals::Hub;

/// How long Redis may wait for replicas to confirm a durable write.
const WAIT: Duration = Duration::from_millis(400);

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
    spares: Spares<MultiplexedConnection>,
}

/// What became of each command of a pipeline.
pub(super) type Answers = Vec<Result<Value, Failure>>;

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
            spares: Spares::new(),
        }
    }

    /// Forgets what the breaker saw: this is another server under the name of one that failed.
    pub(super) fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// Lets go of connections that nobody has used for long.
    pub(super) fn drop_idle(&self) {
        self.spares.drop_idle();
    }

    /// Sends commands on the shared connection; an answer each. `asking` for keys that are on their way to this node.
    pub(super) async fn run(&self, commands: &Pipeline, asking: bool) -> Result<Vec<Value>, Failure> {
        self.run_each(commands, asking).await?.into_iter().collect()
    }

    /// The same, where what is refused of one command does not concern the others.
    pub(super) async fn run_each(&self, commands: &Pipeline, asking: bool) -> Result<Answers, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let deadline = permit.deadline();
        let shared = match self.connected(deadline).await {
            Ok(shared) => shared,
            Err(failure) => return Err(judged(permit, failure)),
        };
        let mut connection = MultiplexedConnection::clone(&shared);
        let answers = exchange(&mut connection, commands, asking, deadline).instrument(self.span("commands"));
        match answers.await.and_then(unless_over) {
            Ok(answers) => {
                permit.succeeded();
                Ok(answers)
            }
            Err(failure) => {
                // What many calls lose with one connection is one failure, or few of them would open the breaker.
                let is_known = failure.ends_connection() && !self.abandon(&shared);
                if is_known {
                    permit.ignored();
                    return Err(failure);
                }
                Err(judged(permit, failure))
            }
        }
    }

    /// Sends a write on a connection of its own, and waits until `replicas` replicas have it; the write's answer and how
    /// many have it, 0 if Redis does not say.
    pub(super) async fn run_durably(
        &self,
        write: &Cmd,
        replicas: u64,
        asking: bool,
    ) -> Result<Vec<Value>, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        let Some(_room) = self.spares.room(permit.deadline()).await else {
            permit.ignored();
            return Err(Failure::crowded());
        };
        let connected = match self.spares.take() {
            Some(connection) => Ok(connection),
            None => self.connect(None, permit.deadline()).await,
        };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(failure) => return Err(judged(permit, failure)),
        };
        let mut commands = redis::pipe();
        commands.add_command(write.clone()).cmd("WAIT").arg(replicas).arg(WAIT.as_millis() as u64);
        // Longer than Redis itself may take, or a slow replica would look like a lost answer.
        let answers = exchange(&mut connection, &commands, asking, permit.deadline() + WAIT);
        let answers = answers.instrument(self.span("durable write")).await;
        let failure = match answers.map(<[_; 2]>::try_from) {
            Ok(Ok([Ok(answer), Ok(confirmed)])) => {
                permit.succeeded();
                self.spares.put(connection);
                return Ok(vec![answer, confirmed]);
            }
            // The write was done, as by a primary that became a replica a moment later.
            Ok(Ok([Ok(answer), Err(failure)])) => {
                permit.succeeded();
                tracing::warn!(node = %self.node, ?failure, "redis does not say which replicas have a write");
                return Ok(vec![answer, Value::Int(0)]);
            }
            Ok(Ok([Err(failure), _])) | Err(failure) => failure,
            Ok(Err(answers)) => Failure::miscounted(answers.len()),
        };
        if failure.ends_connection() {
            self.spares.clear();
        } else {
            self.spares.put(connection);
        }
        Err(judged(permit, failure))
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
    pub(super) async fn listen(
        &self,
        pushes: UnboundedSender<PushInfo>,
    ) -> Result<MultiplexedConnection, Failure> {
        let permit = self.breaker.enter().map_err(|open| Failure::open(open.retry_after))?;
        match self.connect(Some(pushes), permit.deadline()).await {
            Ok(connection) => {
                permit.succeeded();
                Ok(connection)
            }
            Err(failure) => Err(judged(permit, failure)),
        }
    }

    /// The shared connection, made when there is none.
    async fn connected(&self, deadline: Instant) -> Result<Arc<MultiplexedConnection>, Failure> {
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        let Ok(mut before) = timeout_at(deadline, self.connecting.lock()).await else {
            return Err(Failure::not_sent("connecting takes too long"));
        };
        // Somebody may have been faster.
        if let Some(connection) = self.shared.load_full() {
            return Ok(connection);
        }
        if *before {
            // Not all replicas at the same moment, when a Redis comes back that many wait for.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        }
        let connection = Arc::new(self.connect(None, deadline).await?);
        if std::mem::replace(&mut *before, true) {
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
    fn abandon(&self, connection: &Arc<MultiplexedConnection>) -> bool {
        let found = self.shared.compare_and_swap(connection, None);
        let is_first = found.as_ref().is_some_and(|found| Arc::ptr_eq(found, connection));
        if is_first {
            // Others to the same server are no better, and a write on one would end in doubt.
            self.spares.clear();
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
            let answers = exchange(&mut connection, &greeting, false, deadline).await;
            let answers = answers.and_then(|answers| answers.into_iter().collect::<Result<Vec<_>, _>>());
            let role = answers.map_err(Failure::before_sending)?.pop().filter(|_| self.primary_only);
            if role.is_some_and(|role| !is_primary(role)) {
                return Err(Failure::Moved);
            }
            Ok(connection)
        };
        timeout_at(deadline, connecting).await.unwrap_or(Err(Failure::not_sent("connecting takes too long")))
    }
}

/// Sends commands and receives their answers.
async fn exchange(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    asking: bool,
    deadline: Instant,
) -> Result<Answers, Failure> {
    let mut asked = redis::pipe();
    let sent = if asking {
        // It holds for the one command that follows.
        for command in commands.cmd_iter() {
            asked.cmd("ASKING").add_command(command.clone());
        }
        &asked
    } else {
        commands
    };
    let answers = connection.req_packed_commands(sent, 0, sent.len());
    let Ok(answers) = timeout_at(deadline, answers).await else { return Err(Failure::Lost) };
    let answers = answers.map_err(Failure::of)?.into_iter();
    let answers = answers.skip(usize::from(asking)).step_by(1 + usize::from(asking));
    Ok(answers.map(|answer| answer.extract_error().map_err(Failure::of)).collect())
}

/// What was answered, unless one of the answers is the failure of all.
fn unless_over(mut answers: Answers) -> Result<Answers, Failure> {
    let ends = |answer: &Result<_, Failure>| answer.as_ref().is_err_and(Failure::ends_connection);
    match answers.iter().position(ends) {
        None => Ok(answers),
        Some(index) => Err(answers.swap_remove(index).expect_err("the answer found is a failure")),
    }
}

/// Whether what `ROLE` answers is a primary's.
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
    let answer = timeout(WAIT, connection.req_packed_command(&question)).await;
    // Who may not ask is not told.
    let Ok(Ok(Value::VerbatimString { text, .. })) = answer else { return };
    let figure =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let policy = figure("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" && figure("maxmemory") != Some("0") {
        tracing::warn!(%node, policy, "redis may evict what must last: set maxmemory-policy to noeviction");
    }
}

/// Tells the breaker of a failure. A refusal that concerns the call only says that Redis is well.
fn judged(permit: Permit, failure: Failure) -> Failure {
    if failure.is_outage() {
        permit.failed()
    } else {
        permit.succeeded()
    }
    failure
}
