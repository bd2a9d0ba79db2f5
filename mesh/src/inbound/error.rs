//! What the stack answers by itself. Deadlines have their own in [`crate::deadline`], since calls that leave meet them
//! too.

use std::time::Duration;

use crate::status::{Describe, Kind};

/// Why the stack refused a call or ended its answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Error {
    /// More calls came than are served at once.
    #[error("the service is at its limit of concurrent calls; nothing was begun")]
    Overloaded,
    /// The service stops, and the answer would not end by itself.
    #[error("the service is stopping")]
    Draining,
    /// The code that serves the call, or its answer, panicked.
    #[error("internal failure")]
    Panicked,
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Overloaded => Kind::Overloaded,
            Error::Draining => Kind::Unavailable,
            Error::Panicked => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Overloaded => "CONCURRENCY_LIMIT",
            Error::Draining => "DRAINING",
            Error::Panicked => "PANIC",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Overloaded | Error::Draining => Some(Duration::from_secs(1)),
            Error::Panicked => None,
        }
    }
}
