//! Sends one call to a peer, with one transparent retry if it reached no handler.

use std::future::Future;
use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::Either;
use http::{HeaderMap, Method, Request, Response, Uri};
use tonic::body::Body;
use tower::{BoxError, Service, ServiceExt};

use super::peers::{Peers, RoundRobin};
use super::replay::{Attempt, Replay};
use super::unsent::{is_draining, is_unsent};

/// The head of a request, for a retry. The request's extensions, which have a meaning inside this process only, go with
/// the first attempt.
struct RequestHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// Sends a call, and retries it once if it provably reached no handler: at the next peer under round robin. A single
/// channel must be ready.
pub(super) fn send(
    peers: &mut Peers,
    request: Request<Body>,
) -> impl Future<Output = Result<Response<Body>, BoxError>> + use<> {
    let (head, body) = request.into_parts();
    let retry =
        RequestHead { method: head.method.clone(), uri: head.uri.clone(), headers: head.headers.clone() };
    let (replay, attempt) = Replay::new(body);
    let request = Request::from_parts(head, Body::new(attempt));
    let first = match &mut *peers {
        Peers::Single(channel) => Either::Left(channel.call(request).map_err(Into::into)),
        Peers::RoundRobin(round_robin) => Either::Right(send_round_robin(Arc::clone(round_robin), request)),
    };
    let peers = peers.clone();
    async move {
        let outcome = first.await;
        let reached_no_handler = match &outcome {
            Ok(response) => is_draining(response),
            Err(error) => is_unsent(&**error),
        };
        let Some(body) = reached_no_handler.then(|| replay.retry()).flatten() else { return outcome };
        let error = outcome.err();
        tracing::debug!(error, path = retry.uri.path(), "peers: call reached no handler, retrying");
        let request = retry.with(body);
        match peers {
            Peers::Single(channel) => channel.oneshot(request).await.map_err(Into::into),
            Peers::RoundRobin(round_robin) => send_round_robin(round_robin, request).await,
        }
    }
}

async fn send_round_robin(
    round_robin: Arc<RoundRobin>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let peer = round_robin.next().await?;
    let result = peer.channel.clone().oneshot(request).await;
    // Also after GOAWAY: the peer is closing its port, and concurrent calls may give the retry the same peer.
    let leaves = match &result {
        Ok(response) => is_draining(response),
        Err(error) => is_unsent(error),
    };
    if leaves {
        round_robin.eject(&peer);
    }
    result.map_err(Into::into)
}

// === impl RequestHead ===

impl RequestHead {
    fn with(self, body: Attempt) -> Request<Body> {
        let Self { method, uri, headers } = self;
        let mut request = Request::new(Body::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        request
    }
}
