//! The outcome of a call. It is separate because both the state machine and its observer use it.

/// The outcome of a call that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignored,
}
