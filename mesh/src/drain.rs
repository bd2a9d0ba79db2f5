//! The stages of a stop, as connections and calls see them.

use tokio_util::sync::CancellationToken;

/// The stages of a stop of one service. Cheap to clone: clones change together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    /// Canceled when the service begins to stop: it serves, and asks its clients to leave.
    pub(crate) leaving: CancellationToken,
    /// Canceled after the drain delay: connections finish their calls in flight and close.
    pub(crate) draining: CancellationToken,
}

/// The connection was accepted after the drain delay: an extension of its requests, which are rejected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Late;
