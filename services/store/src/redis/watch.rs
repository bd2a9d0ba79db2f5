//! The background task: polls the version counters of every primary, receives pub/sub messages, and refreshes the
//! topology after a failure.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::panics::{self, Panic};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::address::Node;
use super::handshake;
use super::link::Link;
use super::names::KeyNames;
use super::primaries::Primaries;
use super::pushes::{self, Pushes};
use super::topology::Topology;
use crate::signals::Hub;
use crate::version_counters::{VersionCounter, VersionCounters};

/// The poll period of each primary's version counters.
const POLL_PERIOD: Duration = Duration::from_millis(200);

/// The refresh period of the topology without a failure.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);

/// The timeout of subscribing, and of the ping that checks the pub/sub connection.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The state that the task shares with the store.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) primaries: Arc<Primaries>,
    pub(super) names: KeyNames,
    pub(super) hub: Hub,
    pub(super) version_counters: watch::Sender<VersionCounters>,
}

/// The pub/sub connection.
struct Subscriber {
    node: Node,
    /// When it was created; distinguishes it from earlier and later connections.
    since: Instant,
    connection: MultiplexedConnection,
    pushes: Pushes,
}

/// The result of a subtask.
enum TaskResult {
    /// The version counters of one primary's buckets without those that failed, and when the read was sent.
    Counters { node: Node, requested: Instant, counters: Vec<(usize, u64)>, all: bool },
    /// A new pub/sub connection, or none if subscribing failed.
    Subscribed(Option<Subscriber>),
    /// Whether the pub/sub connection of that time still replies.
    Pinged { since: Instant, replied: bool },
    /// The topology was refreshed, or the attempt failed.
    Refreshed,
}

/// The running subtasks. A panic of one is a panic of the watch, which its supervisor restarts.
type Subtasks = JoinSet<Result<TaskResult, Panic>>;

/// The subtasks in flight, at most one of each kind.
struct InFlight {
    /// The topology by which version counters are polled.
    topology: Arc<Topology>,
    reads: HashSet<Node>,
    subscribing: bool,
    pinging: bool,
    refreshing: bool,
    /// When the last refresh was started.
    refreshed: Instant,
}

// === impl Watch ===

impl Watch {
    /// Runs until it is aborted.
    pub(super) async fn run(self) {
        let mut tick = tokio::time::interval(POLL_PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = Subtasks::new();
        let mut in_flight = InFlight {
            topology: self.primaries.topology(),
            reads: HashSet::new(),
            subscribing: false,
            pinging: false,
            refreshing: false,
            refreshed: Instant::now(),
        };
        let mut subscriber: Option<Subscriber> = None;
        loop {
            tokio::select! {
                // Messages first: counters must not be compared before the messages that arrived earlier were
                // dispatched.
                biased;
                push = next_push(&mut subscriber) => self.dispatch(push, &mut subscriber),
                Some(result) = tasks.join_next(), if !tasks.is_empty() => {
                    let result = result.expect("these tasks catch panics and are not aborted");
                    let result = result.unwrap_or_else(|panic| panics::resume(panic));
                    self.handle(result, &mut in_flight, &mut subscriber, &mut tasks);
                }
                _ = tick.tick() => self.start_missing(&mut in_flight, &mut subscriber, &mut tasks),
            }
        }
    }

    /// Starts every subtask that is due and not in flight.
    fn start_missing(
        &self,
        in_flight: &mut InFlight,
        subscriber: &mut Option<Subscriber>,
        tasks: &mut Subtasks,
    ) {
        self.adopt_topology(in_flight);
        let topology = Arc::clone(&in_flight.topology);
        // A demoted primary that still replies does not announce its successor, so refresh periodically.
        if topology.links.is_empty() || in_flight.refreshed.elapsed() > REFRESH_PERIOD {
            self.refresh(in_flight, tasks);
        }
        for (index, link) in topology.links.iter().enumerate() {
            link.drop_idle();
            if in_flight.reads.insert(link.node.clone()) {
                start(tasks, poll(Arc::clone(link), topology.buckets(index), self.names.clone()));
            }
        }
        // A server that is no longer primary forwards messages late or not at all.
        if subscriber
            .as_ref()
            .is_some_and(|subscriber| topology.links.iter().all(|link| link.node != subscriber.node))
        {
            self.unsubscribe(subscriber);
        }
        match subscriber {
            Some(subscriber) if !std::mem::replace(&mut in_flight.pinging, true) => {
                start(tasks, ping(subscriber.connection.clone(), subscriber.since));
            }
            None if !topology.links.is_empty() && !std::mem::replace(&mut in_flight.subscribing, true) => {
                let link = Arc::clone(&topology.links[fastrand::usize(..topology.links.len())]);
                start(tasks, subscribe(link, self.names.channel()));
            }
            _ => {}
        }
    }

    fn handle(
        &self,
        result: TaskResult,
        in_flight: &mut InFlight,
        subscriber: &mut Option<Subscriber>,
        tasks: &mut Subtasks,
    ) {
        match result {
            TaskResult::Counters { node, requested, counters, all } => {
                in_flight.reads.remove(&node);
                if !all {
                    self.refresh(in_flight, tasks);
                }
                self.version_counters.send_modify(|latest| {
                    latest.polled = true;
                    for (bucket, count) in counters {
                        latest.counters[bucket] = Some(VersionCounter { value: count, requested });
                    }
                });
            }
            TaskResult::Subscribed(new) => {
                in_flight.subscribing = false;
                *subscriber = new;
                if subscriber.is_some() {
                    self.hub.gap();
                }
            }
            TaskResult::Pinged { since, replied } => {
                in_flight.pinging = false;
                if !replied && subscriber.as_ref().is_some_and(|subscriber| subscriber.since == since) {
                    self.unsubscribe(subscriber);
                }
            }
            TaskResult::Refreshed => {
                in_flight.refreshing = false;
                self.adopt_topology(in_flight);
                // Without a primary there are no counters to read.
                if in_flight.topology.links.is_empty() {
                    self.version_counters.send_modify(|counters| counters.polled = true);
                }
            }
        }
    }

    fn refresh(&self, in_flight: &mut InFlight, tasks: &mut Subtasks) {
        if !std::mem::replace(&mut in_flight.refreshing, true) {
            in_flight.refreshed = Instant::now();
            let primaries = Arc::clone(&self.primaries);
            start(tasks, async move {
                primaries.refresh(&primaries.topology()).await;
                TaskResult::Refreshed
            });
        }
    }

    /// Adopts the latest topology, also if a call refreshed it. Messages published while subscribed elsewhere, and
    /// changes lost by a failover, are a gap.
    fn adopt_topology(&self, in_flight: &mut InFlight) {
        let latest = self.primaries.topology();
        if !Arc::ptr_eq(&in_flight.topology, &latest) {
            in_flight.topology = latest;
            self.hub.gap();
        }
    }

    /// Dispatches a push message to the hub.
    fn dispatch(&self, push: Option<PushInfo>, subscriber: &mut Option<Subscriber>) {
        match push {
            Some(PushInfo { kind: PushKind::Message, data }) => {
                let Some(Value::BulkString(message)) = data.into_iter().nth(1) else { return };
                let Some(end) = message.iter().position(|&byte| byte == b'\n') else { return };
                if let Ok(topic) = std::str::from_utf8(&message[..end]) {
                    self.hub.send(topic, message[end + 1..].to_vec().into());
                }
            }
            Some(PushInfo { kind: PushKind::Disconnection, .. }) | None => self.unsubscribe(subscriber),
            Some(_) => {}
        }
    }

    /// Drops the pub/sub connection, which is a gap.
    fn unsubscribe(&self, subscriber: &mut Option<Subscriber>) {
        if subscriber.take().is_some() {
            self.hub.gap();
        }
    }
}

fn start(tasks: &mut Subtasks, subtask: impl Future<Output = TaskResult> + Send + 'static) {
    tasks.spawn(panics::catch(subtask));
}

/// The next push message of the pub/sub connection, if there is one; none if messages were lost.
async fn next_push(subscriber: &mut Option<Subscriber>) -> Option<PushInfo> {
    match subscriber {
        Some(subscriber) => subscriber.pushes.next().await,
        None => std::future::pending().await,
    }
}

/// Polls the version counters of a primary's buckets, and counts its replicas.
async fn poll(link: Arc<Link>, buckets: Vec<usize>, names: KeyNames) -> TaskResult {
    let requested = Instant::now();
    let mut commands = redis::pipe();
    for &bucket in &buckets {
        commands.cmd("GET").arg(names.version_counter(bucket));
    }
    // Last, since a user without permission for it gets an error in its place.
    commands.cmd("ROLE");
    let mut replies = link.run_each(&commands, false).await.unwrap_or_default();
    let role = replies.pop();
    let all = role.is_some() && replies.iter().all(Result::is_ok);
    link.set_replicas(role.and_then(Result::ok).and_then(handshake::replicas_in).unwrap_or(0));
    // The failure of a migrated bucket does not affect the others.
    let counters = buckets.into_iter().zip(replies).filter_map(|(bucket, reply)| {
        let count = redis::from_redis_value::<Option<u64>>(reply.ok()?);
        Some((bucket, count.ok().flatten().unwrap_or(0)))
    });
    TaskResult::Counters { node: link.node.clone(), requested, counters: counters.collect(), all }
}

/// Opens a pub/sub connection and subscribes.
async fn subscribe(link: Arc<Link>, channel: String) -> TaskResult {
    let (sender, pushes) = pushes::queue();
    let subscribing = async {
        let mut connection = link.connect_for_pushes(sender).await.ok()?;
        connection.subscribe(channel).await.ok()?;
        Some(Subscriber { node: link.node.clone(), since: Instant::now(), connection, pushes })
    };
    TaskResult::Subscribed(tokio::time::timeout(TIMEOUT, subscribing).await.ok().flatten())
}

/// Pings the pub/sub connection: one that broke silently is not closed.
async fn ping(mut connection: MultiplexedConnection, since: Instant) -> TaskResult {
    let ping = redis::cmd("PING");
    let reply = tokio::time::timeout(TIMEOUT, connection.req_packed_command(&ping)).await;
    TaskResult::Pinged { since, replied: matches!(reply, Ok(Ok(_))) }
}
