//! Whether a call that failed provably reached no handler, so that to make it again is no second call.

use std::error::Error;

use h2::Reason;
use tonic::ConnectError;

/// Whether nobody has begun with the call: there was no connection; the peer refused the stream, or closed the connection
/// and said that the stream came too late (RFC 9113, 8.7); or it was never sent.
pub(super) fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.is::<ConnectError>()
            || cause.downcast_ref().is_some_and(hyper::Error::is_canceled)
            || cause.downcast_ref().is_some_and(is_refused)
    })
}

fn is_refused(error: &h2::Error) -> bool {
    let reset = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // Of a connection that closes well h2 fails only those streams that are above the last one named.
    let unprocessed = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    error.is_remote() && (reset || unprocessed)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}
