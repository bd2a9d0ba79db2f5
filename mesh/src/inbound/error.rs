//! The errors that the stack itself returns. Those of deadlines are in [`crate::deadline`], because outgoing calls have
//! them too.

use std::time::Duration;

use crate::status::{Describe, Kind};

/// Why the stack rejected a call or ended its response.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Error {
    /// The limit of concurrent calls is reached.
    #[error("the service is at its limit of concurrent calls; the call was not started")]
    Overloaded,
    /// The service drains, and the response would not end by itself.
    #[error("the service is draining")]
    Draining,
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Overloaded => Kind::Overloaded,
            Error::Draining => Kind::Unavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Overloaded => "CONCURRENCY_LIMIT",
            Error::Draining => "DRAINING",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}
