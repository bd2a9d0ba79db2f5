//! The one task beside the calls: reads the change counts of every primary, listens to signals, and asks anew who is
//! primary when one fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::address::Node;
use super::link::Link;
use super::names::KeyNames;
use super::primaries::Primaries;
use super::topology::Topology;
use crate::signals::Hub;
use crate::version_counters::{VersionCounter, VersionCounters};

/// How often each primary's counts are read.
const POLL_PERIOD: Duration = Duration::from_millis(200);

/// How often to ask who is primary although nothing failed.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);

/// How long the connection that listens may be silent when requested for a word.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What the task knows.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) primaries: Arc<Primaries>,
    pub(super) names: KeyNames,
    pub(super) hub: Hub,
    pub(super) version_counters: watch::Sender<VersionCounters>,
}

/// The connection that signals come by.
struct Subscriber {
    node: Node,
    /// By which it is told from those before and after it.
    since: Instant,
    connection: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

/// What came of something that the task began.
enum TaskResult {
    /// The counts of one primary's buckets, those that it did not say left out, and when they were requested for.
    Counters { node: Node, requested: Instant, counters: Vec<(usize, u64)>, all: bool },
    /// Signals come again; or not yet.
    Subscribed(Option<Subscriber>),
    /// Whether the connection that listened since then still replies.
    Pinged { since: Instant, answered: bool },
    /// Who is primary is known as well as can be.
    Refreshed,
}

/// What is on its way. Of each at most one.
struct InFlight {
    /// By which counts are read.
    topology: Arc<Topology>,
    reads: HashSet<Node>,
    subscribing: bool,
    pinging: bool,
    refreshing: bool,
    /// When somebody was last requested who is primary.
    refreshed: Instant,
}

// === impl Watch ===

impl Watch {
    /// Runs until it is aborted.
    pub(super) async fn run(self) {
        let mut tick = tokio::time::interval(POLL_PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = JoinSet::new();
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
                // Signals first: counts must not be compared before the signals that arrived earlier were told.
                biased;
                push = next_push(&mut subscriber) => self.dispatch(push, &mut subscriber),
                Some(result) = tasks.join_next(), if !tasks.is_empty() => {
                    let result = result.expect("these tasks neither panic nor are aborted");
                    self.handle(result, &mut in_flight, &mut subscriber, &mut tasks);
                }
                _ = tick.tick() => self.start_missing(&mut in_flight, &mut subscriber, &mut tasks),
            }
        }
    }

    /// Begins whatever is not on its way.
    fn start_missing(
        &self,
        in_flight: &mut InFlight,
        subscriber: &mut Option<Subscriber>,
        tasks: &mut JoinSet<TaskResult>,
    ) {
        self.adopt_topology(in_flight);
        let topology = Arc::clone(&in_flight.topology);
        // Of a primary that was replaced nobody tells us as long as it replies.
        if topology.links.is_empty() || in_flight.refreshed.elapsed() > REFRESH_PERIOD {
            self.refresh(in_flight, tasks);
        }
        for (index, link) in topology.links.iter().enumerate() {
            link.drop_idle();
            if in_flight.reads.insert(link.node.clone()) {
                tasks.spawn(poll(Arc::clone(link), topology.buckets(index), self.names.clone()));
            }
        }
        // Of a server that is primary no longer we would hear late, or nothing.
        if subscriber
            .as_ref()
            .is_some_and(|subscriber| topology.links.iter().all(|link| link.node != subscriber.node))
        {
            self.unsubscribe(subscriber);
        }
        match subscriber {
            Some(subscriber) if !std::mem::replace(&mut in_flight.pinging, true) => {
                tasks.spawn(ping(subscriber.connection.clone(), subscriber.since));
            }
            None if !topology.links.is_empty() && !std::mem::replace(&mut in_flight.subscribing, true) => {
                let link = Arc::clone(&topology.links[fastrand::usize(..topology.links.len())]);
                tasks.spawn(subscribe(link, self.names.channel()));
            }
            _ => {}
        }
    }

    fn handle(
        &self,
        result: TaskResult,
        in_flight: &mut InFlight,
        subscriber: &mut Option<Subscriber>,
        tasks: &mut JoinSet<TaskResult>,
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
            TaskResult::Pinged { since, answered } => {
                in_flight.pinging = false;
                if !answered && subscriber.as_ref().is_some_and(|subscriber| subscriber.since == since) {
                    self.unsubscribe(subscriber);
                }
            }
            TaskResult::Refreshed => {
                in_flight.refreshing = false;
                self.adopt_topology(in_flight);
                // Without a primary there is nothing to read.
                if in_flight.topology.links.is_empty() {
                    self.version_counters.send_modify(|counters| counters.polled = true);
                }
            }
        }
    }

    fn refresh(&self, in_flight: &mut InFlight, tasks: &mut JoinSet<TaskResult>) {
        if !std::mem::replace(&mut in_flight.refreshing, true) {
            in_flight.refreshed = Instant::now();
            let primaries = Arc::clone(&self.primaries);
            tasks.spawn(async move {
                primaries.refresh(&primaries.topology()).await;
                TaskResult::Refreshed
            });
        }
    }

    /// Goes by the latest topology, whoever requested for it: a call may have been faster. What was published while we listened
    /// elsewhere, and changes that a failover lost, are a gap.
    fn adopt_topology(&self, in_flight: &mut InFlight) {
        let latest = self.primaries.topology();
        if !Arc::ptr_eq(&in_flight.topology, &latest) {
            in_flight.topology = latest;
            self.hub.gap();
        }
    }

    /// Hands a signal on.
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

    /// Nothing is heard any more.
    fn unsubscribe(&self, subscriber: &mut Option<Subscriber>) {
        if subscriber.take().is_some() {
            self.hub.gap();
        }
    }
}

/// The next push, if anybody listens.
async fn next_push(subscriber: &mut Option<Subscriber>) -> Option<PushInfo> {
    match subscriber {
        Some(subscriber) => subscriber.pushes.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads the counts of the buckets that one primary holds.
async fn poll(link: Arc<Link>, buckets: Vec<usize>, names: KeyNames) -> TaskResult {
    let requested = Instant::now();
    let mut commands = redis::pipe();
    for &bucket in &buckets {
        commands.cmd("GET").arg(names.version_counter(bucket));
    }
    // A primary without buckets is requested for a sign of life.
    if buckets.is_empty() {
        commands.cmd("PING");
    }
    let replies = link.run_each(&commands, false).await.unwrap_or_default();
    let all = !replies.is_empty() && replies.iter().all(Result::is_ok);
    // A bucket that is elsewhere by now says nothing about the others.
    let counters = buckets.into_iter().zip(replies).filter_map(|(bucket, reply)| {
        let count = redis::from_redis_value::<Option<u64>>(reply.ok()?);
        Some((bucket, count.ok().flatten().unwrap_or(0)))
    });
    TaskResult::Counters { node: link.node.clone(), requested, counters: counters.collect(), all }
}

/// Listens on a connection of its own.
async fn subscribe(link: Arc<Link>, channel: String) -> TaskResult {
    let (sender, pushes) = mpsc::unbounded_channel();
    let subscribing = async {
        let mut connection = link.connect_for_pushes(sender).await.ok()?;
        connection.subscribe(channel).await.ok()?;
        Some(Subscriber { node: link.node.clone(), since: Instant::now(), connection, pushes })
    };
    TaskResult::Subscribed(tokio::time::timeout(TIMEOUT, subscribing).await.ok().flatten())
}

/// Asks the connection that listens for a word: one that broke silently never says so.
async fn ping(mut connection: MultiplexedConnection, since: Instant) -> TaskResult {
    let ping = redis::cmd("PING");
    let reply = tokio::time::timeout(TIMEOUT, connection.req_packed_command(&ping)).await;
    TaskResult::Pinged { since, answered: matches!(reply, Ok(Ok(_))) }
}
