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
use super::names::Names;
use super::primaries::Primaries;
use super::topology::Topology;
use crate::pulse::{Count, Pulse};
use crate::signals::Hub;

/// How often each primary's counts are read.
const PERIOD: Duration = Duration::from_millis(200);

/// How often to ask who is primary although nothing failed.
const REFRESH: Duration = Duration::from_secs(1);

/// How long the connection that listens may be silent when asked for a word.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What the task knows.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) primaries: Arc<Primaries>,
    pub(super) names: Names,
    pub(super) hub: Hub,
    pub(super) pulse: watch::Sender<Pulse>,
}

/// The connection that signals come by.
struct Listener {
    node: Node,
    /// By which it is told from those before and after it.
    since: Instant,
    connection: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
}

/// What came of something that the task began.
enum Done {
    /// The counts of one primary's buckets, those that it did not say left out, and when they were asked for.
    Read { node: Node, asked: Instant, counts: Vec<(usize, u64)>, all: bool },
    /// Signals come again; or not yet.
    Listening(Option<Listener>),
    /// Whether the connection that listened since then still answers.
    Heard { since: Instant, answered: bool },
    /// Who is primary is known as well as can be.
    Refreshed,
}

/// What is on its way. Of each at most one.
struct Begun {
    /// By which counts are read.
    topology: Arc<Topology>,
    reads: HashSet<Node>,
    listening: bool,
    hearing: bool,
    refreshing: bool,
    /// When somebody was last asked who is primary.
    refreshed: Instant,
}

// === impl Watch ===

impl Watch {
    /// Runs until it is aborted.
    pub(super) async fn run(self) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = JoinSet::new();
        let mut begun = Begun {
            topology: self.primaries.topology(),
            reads: HashSet::new(),
            listening: false,
            hearing: false,
            refreshing: false,
            refreshed: Instant::now(),
        };
        let mut listener: Option<Listener> = None;
        loop {
            tokio::select! {
                // Signals first: counts must not be compared before the signals that arrived earlier were told.
                biased;
                push = pushed(&mut listener) => self.told(push, &mut listener),
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    let done = done.expect("these tasks neither panic nor are aborted");
                    self.done(done, &mut begun, &mut listener, &mut tasks);
                }
                _ = tick.tick() => self.begin(&mut begun, &mut listener, &mut tasks),
            }
        }
    }

    /// Begins whatever is not on its way.
    fn begin(&self, begun: &mut Begun, listener: &mut Option<Listener>, tasks: &mut JoinSet<Done>) {
        self.follow(begun);
        let topology = Arc::clone(&begun.topology);
        // Of a primary that was replaced nobody tells us as long as it answers.
        if topology.links.is_empty() || begun.refreshed.elapsed() > REFRESH {
            self.refresh(begun, tasks);
        }
        for (index, link) in topology.links.iter().enumerate() {
            link.drop_idle();
            if begun.reads.insert(link.node.clone()) {
                tasks.spawn(read(Arc::clone(link), topology.buckets(index), self.names.clone()));
            }
        }
        // Of a server that is primary no longer we would hear late, or nothing.
        if listener
            .as_ref()
            .is_some_and(|listener| topology.links.iter().all(|link| link.node != listener.node))
        {
            self.deaf(listener);
        }
        match listener {
            Some(listener) if !std::mem::replace(&mut begun.hearing, true) => {
                tasks.spawn(hear(listener.connection.clone(), listener.since));
            }
            None if !topology.links.is_empty() && !std::mem::replace(&mut begun.listening, true) => {
                let link = Arc::clone(&topology.links[fastrand::usize(..topology.links.len())]);
                tasks.spawn(listen(link, self.names.channel()));
            }
            _ => {}
        }
    }

    fn done(
        &self,
        done: Done,
        begun: &mut Begun,
        listener: &mut Option<Listener>,
        tasks: &mut JoinSet<Done>,
    ) {
        match done {
            Done::Read { node, asked, counts, all } => {
                begun.reads.remove(&node);
                if !all {
                    self.refresh(begun, tasks);
                }
                self.pulse.send_modify(|pulse| {
                    pulse.tried = true;
                    for (bucket, count) in counts {
                        pulse.counts[bucket] = Some(Count { changes: count, asked });
                    }
                });
            }
            Done::Listening(new) => {
                begun.listening = false;
                *listener = new;
                if listener.is_some() {
                    self.hub.gap();
                }
            }
            Done::Heard { since, answered } => {
                begun.hearing = false;
                if !answered && listener.as_ref().is_some_and(|listener| listener.since == since) {
                    self.deaf(listener);
                }
            }
            Done::Refreshed => {
                begun.refreshing = false;
                self.follow(begun);
                // Without a primary there is nothing to read.
                if begun.topology.links.is_empty() {
                    self.pulse.send_modify(|pulse| pulse.tried = true);
                }
            }
        }
    }

    fn refresh(&self, begun: &mut Begun, tasks: &mut JoinSet<Done>) {
        if !std::mem::replace(&mut begun.refreshing, true) {
            begun.refreshed = Instant::now();
            let primaries = Arc::clone(&self.primaries);
            tasks.spawn(async move {
                primaries.refresh(&primaries.topology()).await;
                Done::Refreshed
            });
        }
    }

    /// Goes by the latest topology, whoever asked for it: a call may have been faster. What was published while we listened
    /// elsewhere, and changes that a failover lost, are a gap.
    fn follow(&self, begun: &mut Begun) {
        let latest = self.primaries.topology();
        if !Arc::ptr_eq(&begun.topology, &latest) {
            begun.topology = latest;
            self.hub.gap();
        }
    }

    /// Hands a signal on.
    fn told(&self, push: Option<PushInfo>, listener: &mut Option<Listener>) {
        match push {
            Some(PushInfo { kind: PushKind::Message, data }) => {
                let Some(Value::BulkString(message)) = data.into_iter().nth(1) else { return };
                let Some(end) = message.iter().position(|&byte| byte == b'\n') else { return };
                if let Ok(topic) = std::str::from_utf8(&message[..end]) {
                    self.hub.send(topic, message[end + 1..].to_vec().into());
                }
            }
            Some(PushInfo { kind: PushKind::Disconnection, .. }) | None => self.deaf(listener),
            Some(_) => {}
        }
    }

    /// Nothing is heard any more.
    fn deaf(&self, listener: &mut Option<Listener>) {
        if listener.take().is_some() {
            self.hub.gap();
        }
    }
}

/// The next push, if anybody listens.
async fn pushed(listener: &mut Option<Listener>) -> Option<PushInfo> {
    match listener {
        Some(listener) => listener.pushes.recv().await,
        None => std::future::pending().await,
    }
}

/// Reads the counts of the buckets that one primary holds.
async fn read(link: Arc<Link>, buckets: Vec<usize>, names: Names) -> Done {
    let asked = Instant::now();
    let mut commands = redis::pipe();
    for &bucket in &buckets {
        commands.cmd("GET").arg(names.count(bucket));
    }
    // A primary without buckets is asked for a sign of life.
    if buckets.is_empty() {
        commands.cmd("PING");
    }
    let answers = link.run_each(&commands, false).await.unwrap_or_default();
    let all = !answers.is_empty() && answers.iter().all(Result::is_ok);
    // A bucket that is elsewhere by now says nothing about the others.
    let counts = buckets.into_iter().zip(answers).filter_map(|(bucket, answer)| {
        let count = redis::from_redis_value::<Option<u64>>(answer.ok()?);
        Some((bucket, count.ok().flatten().unwrap_or(0)))
    });
    Done::Read { node: link.node.clone(), asked, counts: counts.collect(), all }
}

/// Listens on a connection of its own.
async fn listen(link: Arc<Link>, channel: String) -> Done {
    let (sender, pushes) = mpsc::unbounded_channel();
    let listening = async {
        let mut connection = link.listen(sender).await.ok()?;
        connection.subscribe(channel).await.ok()?;
        Some(Listener { node: link.node.clone(), since: Instant::now(), connection, pushes })
    };
    Done::Listening(tokio::time::timeout(TIMEOUT, listening).await.ok().flatten())
}

/// Asks the connection that listens for a word: one that broke silently never says so.
async fn hear(mut connection: MultiplexedConnection, since: Instant) -> Done {
    let ping = redis::cmd("PING");
    let answer = tokio::time::timeout(TIMEOUT, connection.req_packed_command(&ping)).await;
    Done::Heard { since, answered: matches!(answer, Ok(Ok(_))) }
}
