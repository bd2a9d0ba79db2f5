//! Decides whether a call provably reached no handler, by its error or by the head of its response, so that a retry
//! does not execute it twice.

use std::error::Error;

use h2::Reason;
use http::Response;
use tonic::ConnectError;

use crate::status;
use crate::status::peer::Broken;

/// Whether the call was not processed: there was no connection; the peer reset the stream with REFUSED_STREAM, or sent
/// GOAWAY with a lower last stream id (RFC 9113, 8.7).
pub(super) fn is_unsent(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<ConnectError>() || cause.downcast_ref().is_some_and(is_refused))
}

/// Whether the peer rejected the call because it drains: it was not processed.
pub(super) fn is_draining<B>(response: &Response<B>) -> bool {
    status::failure_in(response.headers()).is_some_and(|status| status::is_draining(&status))
}

fn is_refused(Broken { error, .. }: &Broken) -> bool {
    let reset = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // On a graceful GOAWAY, h2 fails only the streams above the last stream id.
    let unprocessed = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    error.is_remote() && (reset || unprocessed)
}

/// An error and its causes, outermost first.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}
