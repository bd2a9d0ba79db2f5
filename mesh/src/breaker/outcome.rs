//! How a call through a circuit breaker ended.

/// The outcome of a call that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignored,
}
