//! One call on its way to a peer, and to another if it reached no handler.

use std::future::Future;
use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::Either;
use http::{HeaderMap, Method, Request, Response, Uri};
use tonic::body::Body;
use tower::{BoxError, Service, ServiceExt};

use super::peers::{Peers, RoundRobin};
use super::replay::{Attempt, Replay};
use super::unsent::is_unsent;

/// What it takes to send a request again besides its body. What hangs on the request inside this process goes with the
/// first attempt.
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

/// Sends a call, and once more if it provably reached no handler: to the next peer, where there are several. Of one peer
/// the channel must be ready.
pub(super) fn send(
    peers: &mut Peers,
    request: Request<Body>,
) -> impl Future<Output = Result<Response<Body>, BoxError>> + use<> {
    let (head, body) = request.into_parts();
    let again = Head { method: head.method.clone(), uri: head.uri.clone(), headers: head.headers.clone() };
    let (replay, attempt) = Replay::new(body);
    let request = Request::from_parts(head, Body::new(attempt));
    let first = match &mut *peers {
        Peers::One(channel) => Either::Left(channel.call(request).map_err(Into::into)),
        Peers::RoundRobin(several) => Either::Right(in_turn(Arc::clone(several), request)),
    };
    let peers = peers.clone();
    async move {
        let error: BoxError = match first.await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(body) = is_unsent(&*error).then(|| replay.again()).flatten() else { return Err(error) };
        tracing::debug!(error, path = again.uri.path(), "a call reached nobody: making it again");
        let request = again.with(body);
        match peers {
            Peers::One(channel) => channel.oneshot(request).await.map_err(Into::into),
            Peers::RoundRobin(several) => in_turn(several, request).await,
        }
    }
}

async fn in_turn(several: Arc<RoundRobin>, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let peer = several.next().await?;
    let answer = peer.channel.clone().oneshot(request).await;
    answer.map_err(|error| {
        // Also where it said goodbye: its port is closed by the next call, which others' calls may have made its turn.
        if is_unsent(&error) {
            several.eject(&peer);
        }
        error.into()
    })
}

// === impl Head ===

impl Head {
    fn with(self, body: Attempt) -> Request<Body> {
        let Self { method, uri, headers } = self;
        let mut request = Request::new(Body::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        request
    }
}
