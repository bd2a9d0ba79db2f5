//! Why a call is refused by a rate limit. The message names the kind of the limit and its rate, and no name.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::rate::Rate;
use dataflow_mesh::status::{Describe, Kind as ErrorKind};

use super::identity::Kind;
use super::standing::Standing;

/// The caller has used up a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {} makes more calls than its rate limit, {rate}", kind.name())]
pub(crate) struct RateLimited {
    pub(super) kind: Kind,
    pub(super) rate: Rate,
    pub(super) wait: Duration,
    pub(crate) standing: Standing,
}

// === impl RateLimited ===

impl Describe for RateLimited {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RateLimited { .. } => ErrorKind::Overloaded,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            RateLimited { .. } => "RATE_LIMITED",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let (identity, rate) = (self.kind.name().to_owned(), self.rate.to_string());
        HashMap::from([("identity".to_owned(), identity), ("rate".to_owned(), rate)])
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(self.wait)
    }
}
