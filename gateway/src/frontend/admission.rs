//! Whether a call may begin, and what its service and the log of refused writes learn of its caller.

use axum::body::Body;
use dataflow_mesh::identity::{self, PeerAddress};
use http::header::WWW_AUTHENTICATE;
use http::{Request, Response};

use super::Frontend;
use crate::auth::{self, AuthError, Presented};
use crate::call::service_in;
use crate::caller::Caller;
use crate::dialect::Exchange;
use crate::refusals::Attempt;

// === impl Frontend ===

impl Frontend {
    /// The caller of a request of a dialect.
    async fn admit(&self, presented: Presented<'_>, path: &str) -> Result<Caller, AuthError> {
        match self.auth.admit(presented, path) {
            Err(error) => self.auth.admit_again(presented, path, error).await,
            admitted => admitted,
        }
    }

    /// The caller of a request that goes to the method of an exchange. It may also read what that has to look up.
    pub(super) async fn admit_exchange(
        &self,
        presented: Presented<'_>,
        exchange: &dyn Exchange,
    ) -> Result<Caller, AuthError> {
        let caller = self.admit(presented, exchange.path().path()).await?;
        if let Ok(Some(lookup)) = exchange.lookup() {
            self.admit(presented, lookup.path.path()).await?;
        }
        Ok(caller)
    }

    /// Begins a call of a method, which is that of the path unless it is given: states the caller to its service. What the
    /// caller presents ends here, unless the service receives it. Returns how a refusal of the call is recorded, if that is
    /// to be.
    pub(super) fn begin(
        &self,
        caller: &Caller,
        method: Option<&str>,
        request: &mut Request<Body>,
    ) -> Option<Attempt> {
        let service = service_in(method.unwrap_or(request.uri().path()));
        if !self.credential_receivers.contains(service) {
            auth::forget_credentials(request.headers_mut());
        }
        identity::state(request.headers_mut(), caller.names(), caller.scope);
        if let Some(PeerAddress(peer)) = request.extensions().get().copied() {
            identity::state_peer(request.headers_mut(), peer);
        }
        self.refusals.attempt(caller, method, request)
    }

    /// The response to a call that is not admitted: it tells the client what to present.
    pub(super) fn refusing(&self, mut response: Response<Body>, error: &AuthError) -> Response<Body> {
        self.auth.count(error);
        self.refused.count_error(error);
        if let Some(challenge) = error.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// Records a call that is not admitted although its caller is authenticated.
    pub(super) fn record(&self, error: &AuthError, method: Option<&str>, request: &mut Request<Body>) {
        let caller = self.auth.denied_caller(Presented::of(request), error);
        if let Some(attempt) = caller.and_then(|caller| self.refusals.attempt(&caller, method, request)) {
            attempt.refused(error);
        }
    }
}
