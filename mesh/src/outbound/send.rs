//! Sends one call to a peer, with transparent retries if it reached no handler.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, Uri};
use tonic::body::Body;
use tower::BoxError;

use super::peers::{Peers, RoundRobin};
use super::replay::{Attempt, Replay};
use super::unsent::{is_draining, is_unsent};

/// Retries of one call under round robin, each at another peer while there is one.
const MAX_RETRIES: usize = 2;

/// The head of a request, for a retry. The request's extensions, which have a meaning inside this process only, go with
/// the first attempt.
#[derive(Debug, Clone)]
struct RequestHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

pub(super) type Outcome = Result<Response<Body>, BoxError>;

/// Sends a call, and retries it while it provably reached no handler: once over a single channel, and up to
/// [`MAX_RETRIES`] times under round robin.
pub(super) async fn send(peers: Peers, request: Request<Body>) -> Outcome {
    let (head, body) = request.into_parts();
    let retry =
        RequestHead { method: head.method.clone(), uri: head.uri.clone(), headers: head.headers.clone() };
    let (replay, attempt) = Replay::new(body);
    let request = Request::from_parts(head, Body::new(attempt));
    match peers {
        Peers::Single(channel) => {
            let outcome = channel.clone().call(request).await;
            let Some(request) = retry.if_unsent(&outcome, &replay) else { return outcome };
            channel.call(request).await
        }
        Peers::RoundRobin(round_robin) => send_round_robin(round_robin, request, retry, replay).await,
    }
}

async fn send_round_robin(
    round_robin: Arc<RoundRobin>,
    request: Request<Body>,
    retry: RequestHead,
    replay: Replay,
) -> Outcome {
    let (mut request, mut tried) = (request, Vec::new());
    loop {
        let peer = round_robin.next(&tried).await?;
        let outcome = peer.channel.clone().call(request).await;
        if reached_no_handler(&outcome) {
            // Also after GOAWAY: the peer is closing its port.
            round_robin.eject(&peer);
        }
        if tried.len() == MAX_RETRIES {
            return outcome;
        }
        let Some(next) = retry.if_unsent(&outcome, &replay) else { return outcome };
        tried.push(peer);
        request = next;
    }
}

fn reached_no_handler(outcome: &Outcome) -> bool {
    match outcome {
        Ok(response) => is_draining(response),
        Err(error) => is_unsent(&**error),
    }
}

// === impl RequestHead ===

impl RequestHead {
    /// The request again, if the outcome of the last attempt and the size of the body permit it.
    fn if_unsent(&self, outcome: &Outcome, replay: &Replay) -> Option<Request<Body>> {
        let body = reached_no_handler(outcome).then(|| replay.retry()).flatten()?;
        let error = outcome.as_ref().err();
        tracing::debug!(error, path = self.uri.path(), "peers: call reached no handler, retrying");
        Some(self.clone().with(body))
    }

    fn with(self, body: Attempt) -> Request<Body> {
        let Self { method, uri, headers } = self;
        let mut request = Request::new(Body::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        request
    }
}
