//! The tonic adapter of RuleService.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use dataflow_mesh::status::to_status;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleService;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::rulesets::{Rulesets, Snapshot};

/// Serves RuleService.
#[derive(Debug, Clone)]
pub struct Service {
    rulesets: Arc<Rulesets>,
    /// Ends the watches: an endless answer would hold up the service's stop.
    draining: CancellationToken,
}

impl Service {
    /// Serves these sets until `draining` is cancelled.
    pub fn new(rulesets: Arc<Rulesets>, draining: CancellationToken) -> Self {
        Self { rulesets, draining }
    }
}

#[tonic::async_trait]
impl RuleService for Service {
    async fn list_rulesets(
        &self,
        _: Request<pb::ListRulesetsRequest>,
    ) -> Result<Response<pb::ListRulesetsResponse>, Status> {
        let snapshot = self.rulesets.snapshot();
        let rulesets = snapshot.values().map(|set| set.as_ref().into()).collect();
        Ok(Response::new(pb::ListRulesetsResponse { rulesets }))
    }

    type WatchRulesetsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetsResponse, Status>> + Send>>;

    async fn watch_rulesets(
        &self,
        request: Request<pb::WatchRulesetsRequest>,
    ) -> Result<Response<Self::WatchRulesetsStream>, Status> {
        let wanted: BTreeSet<String> = request.into_inner().rulesets.into_iter().collect();
        let snapshot = self.rulesets.snapshot();
        if let Some(name) = wanted.iter().find(|name| !snapshot.contains_key(*name)) {
            return Err(to_status(&Error::RulesetNotFound { name: name.clone() }));
        }

        let mut sent = BTreeMap::new();
        let changes = WatchStream::new(self.rulesets.watch())
            .flat_map(move |snapshot| stream::iter(news(&snapshot, &wanted, &mut sent)))
            .map(Ok)
            .take_until(self.draining.clone().cancelled_owned());
        Ok(Response::new(changes.boxed()))
    }
}

/// The wanted sets whose revision is not the one `sent` before; the last of them completes what the watcher holds.
fn news(
    snapshot: &Snapshot,
    wanted: &BTreeSet<String>,
    sent: &mut BTreeMap<String, i64>,
) -> Vec<pb::WatchRulesetsResponse> {
    let mut news: Vec<_> = snapshot
        .values()
        .filter(|set| wanted.is_empty() || wanted.contains(&set.name))
        .filter(|set| sent.insert(set.name.clone(), set.revision) != Some(set.revision))
        .map(|set| pb::WatchRulesetsResponse { ruleset: Some(set.as_ref().into()), complete: false })
        .collect();
    if let Some(last) = news.last_mut() {
        last.complete = true;
    }
    news
}
