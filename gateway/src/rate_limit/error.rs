//! Why a call is refused by a rate limit. The message names the kind of the limit and its rate, and no caller.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::rate::Rate;
use dataflow_mesh::status::{Describe, Kind};

use super::standing::Standing;
use crate::caller;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RateLimitError {
    /// The caller has used up a rate.
    #[error("the {} makes more calls than its rate limit, {rate}", identity.name())]
    Exceeded {
        /// Whose rate it is.
        identity: caller::Kind,
        /// The rate.
        rate: Rate,
        /// The time until the next call may come.
        wait: Duration,
        /// What the caller learns of all of its limits.
        standing: Standing,
    },
}

// === impl RateLimitError ===

impl RateLimitError {
    /// What the caller learns of its limits.
    pub(crate) fn into_standing(self) -> Standing {
        let RateLimitError::Exceeded { standing, .. } = self;
        standing
    }
}

impl Describe for RateLimitError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            RateLimitError::Exceeded { .. } => Kind::Overloaded,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            RateLimitError::Exceeded { .. } => "RATE_LIMITED",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let RateLimitError::Exceeded { identity, rate, .. } = self;
        HashMap::from([
            ("identity".to_owned(), identity.name().to_owned()),
            ("rate".to_owned(), rate.to_string()),
        ])
    }

    fn retry_after(&self) -> Option<Duration> {
        let RateLimitError::Exceeded { wait, .. } = self;
        Some(*wait)
    }
}
