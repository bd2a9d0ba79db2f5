//! Watches the rule sets of the config service, as its client.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::outbound::{self, CallObserver, Follower, Outbound, Upstream};
use dataflow_mesh::panics::{self, Panic};
use dataflow_mesh::tasks::Task;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::convert;
use crate::rulesets::{Ruleset, Rulesets};

/// The task that watches the config service until `draining`, if one is configured; and a future that resolves when its
/// sets are in use, or when the built-in ones are, because the first attempt failed or exceeded the peer timeout: the
/// service is ready without config too.
pub fn follow(
    rulesets: Arc<Rulesets>,
    config: Option<(&Upstream, &CallObserver)>,
    timeout: Duration,
    draining: CancellationToken,
) -> (Option<Task>, impl Future<Output = ()> + Send + 'static) {
    let first = watch::Sender::new(false);
    let mut attempted = first.subscribe();
    let task = config.map(|(upstream, observer)| {
        let (upstream, observer) = (upstream.clone(), observer.clone());
        let rulesets = Arc::clone(&rulesets);
        Task::restarting("rule sets", move || {
            // One client for all attempts, so that they use the replicas in turn. No message limit: every set that the
            // config service accepts must arrive, or the rules here would stay outdated.
            let client = RuleServiceClient::new(Outbound::watching(&upstream).observed(&observer));
            let client = client.max_decoding_message_size(usize::MAX);
            let (rulesets, first) = (Arc::clone(&rulesets), first.clone());
            let sets = Sets { rulesets, client, first, batch: Vec::new(), is_snapshot: true };
            draining.clone().run_until_cancelled_owned(outbound::follow(sets)).map(drop)
        })
    });
    if task.is_none() {
        tracing::info!("rule sets: no config service configured, using the built-in ones");
    }
    let ready = async move {
        // Without a task the sender is dropped. In any case there are rules to use.
        let _ = tokio::time::timeout(timeout, attempted.wait_for(|attempted| *attempted)).await;
        // Compiling takes milliseconds, too long for the runtime's threads. A set that panics the compiler fails its
        // calls, not the start of the process.
        if let Err(panic) = panics::catch(panics::spawn_blocking(move || rulesets.compile())).await {
            let Panic { message, location, backtrace } = panic;
            tracing::error!(panic = message, location, backtrace, "rule sets: compiler panicked");
        }
    };
    (task, ready)
}

/// Takes the sets that the config service pushes.
struct Sets {
    rulesets: Arc<Rulesets>,
    client: RuleServiceClient<Outbound>,
    /// Becomes true after the first attempt.
    first: watch::Sender<bool>,
    batch: Vec<pb::Ruleset>,
    /// Whether the next batch is a snapshot of all sets, and not what has changed.
    is_snapshot: bool,
}

impl Follower for Sets {
    type Message = pb::WatchRulesetsResponse;

    async fn open(&mut self) -> Result<Streaming<pb::WatchRulesetsResponse>, Status> {
        self.batch.clear();
        self.is_snapshot = true;
        Ok(self.client.watch_rulesets(pb::WatchRulesetsRequest::default()).await?.into_inner())
    }

    async fn take(&mut self, message: pb::WatchRulesetsResponse) {
        self.batch.extend(message.ruleset);
        if !message.complete {
            return;
        }
        let (rulesets, batch) = (Arc::clone(&self.rulesets), std::mem::take(&mut self.batch));
        let is_snapshot = std::mem::replace(&mut self.is_snapshot, false);
        panics::spawn_blocking(move || {
            rulesets.update(batch.into_iter().map(ruleset).collect(), is_snapshot);
        })
        .await;
        self.first.send_replace(true);
    }

    fn ended(&mut self, error: Option<&Status>) {
        self.first.send_replace(true);
        if let Some(error) = error {
            tracing::info!(%error, "rule sets: config service unavailable, keeping the current ones, retrying");
        }
    }
}

/// A set as the config service sends it.
fn ruleset(set: pb::Ruleset) -> Ruleset {
    let (name, revision) = (set.ruleset.clone(), set.revision);
    Ruleset::new(name, revision, convert::rules::ruleset(set).map_err(|error| error.to_string()))
}
