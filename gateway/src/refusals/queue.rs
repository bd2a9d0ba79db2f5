//! The refusals that wait for the next report, and what became of all of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dataflow_mesh::metrics::Metrics;
use dataflow_proto::config::v1 as pb;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;

/// The most refusals that wait: those of ten reports.
const MAX_WAITING: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// What became of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The config service has it.
    Reported,
    /// Its caller had too many in a minute.
    LeftOut,
    /// Too many were waiting.
    Overflowed,
    /// Its report has failed.
    Lost,
}

/// The queue. It never waits: a call is delayed by no report.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<pb::Refusal>>,
    news: Notify,
    outcomes: Family<Labels, Counter>,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let outcomes = Family::<Labels, Counter>::default();
        for outcome in [Outcome::Reported, Outcome::LeftOut, Outcome::Overflowed, Outcome::Lost] {
            // At 0, because a rate needs a first sample.
            drop(outcomes.get_or_create(&outcome.labels()));
        }
        metrics.register(
            "gateway_refused_writes",
            "Refused writes of authenticated callers, by what became of their record",
            outcomes.clone(),
        );
        Self { waiting: Mutex::default(), news: Notify::new(), outcomes }
    }

    /// Adds a refusal, unless too many wait.
    pub(super) fn push(&self, refusal: pb::Refusal) {
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MAX_WAITING {
                drop(waiting);
                return self.count(Outcome::Overflowed, 1);
            }
            waiting.push_back(refusal);
        }
        self.news.notify_one();
    }

    /// The oldest refusals, at most this many.
    pub(super) fn take(&self, limit: usize) -> Vec<pb::Refusal> {
        let mut waiting = self.waiting();
        let count = limit.min(waiting.len());
        let taken = waiting.drain(..count).collect();
        if !waiting.is_empty() {
            self.news.notify_one();
        }
        taken
    }

    /// Waits until there are refusals.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Counts what became of refusals.
    pub(super) fn count(&self, outcome: Outcome, refusals: usize) {
        self.outcomes.get_or_create(&outcome.labels()).inc_by(refusals as u64);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<pb::Refusal>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Outcome ===

impl Outcome {
    fn labels(self) -> Labels {
        let outcome = match self {
            Outcome::Reported => "reported",
            Outcome::LeftOut => "left_out",
            Outcome::Overflowed => "overflowed",
            Outcome::Lost => "lost",
        };
        Labels { outcome }
    }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::process::Process;

    use super::*;

    #[tokio::test]
    async fn no_more_wait_than_the_limit_and_the_others_are_counted() {
        let queue = Queue::new(&Process::default().metrics);
        let numbered = |left_out: i64| pb::Refusal { left_out, ..pb::Refusal::default() };
        let limit = i64::try_from(MAX_WAITING).unwrap();
        for number in 0..limit + 5 {
            queue.push(numbered(number));
        }
        let overflowed = queue.outcomes.get_or_create(&Outcome::Overflowed.labels()).get();
        assert_eq!(overflowed, 5);
        queue.news().await;
        assert_eq!(queue.take(3), [0, 1, 2].map(numbered));
        // What is left is news.
        queue.news().await;
        let rest = queue.take(usize::MAX);
        assert_eq!((rest.len(), rest.last().cloned()), (MAX_WAITING - 3, Some(numbered(limit - 1))));
        queue.push(numbered(7));
        queue.news().await;
        assert_eq!(queue.take(100), [numbered(7)]);
    }
}
