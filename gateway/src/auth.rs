//! Who calls, and what the caller may do: decided by the head of a request, before anything of its body is read, for
//! every protocol in the same way. [`credentials`] finds what a caller presents. The [`authenticator`] verifies it by
//! `jwt`, [`admin_key`] and [`api_keys`], or else takes the client certificate or the [`peer`] of a mesh, for which
//! [`subjects`] says what it may do. The table of scopes that the descriptor set makes decides. What services learn of
//! it stands in the headers that the gateway alone writes (`dataflow_mesh::identity`).

pub(crate) mod args;

mod admin_key;
mod api_keys;
mod authenticator;
mod credentials;
mod digest;
mod error;
mod jwt;
mod key_source;
mod key_uses;
mod metrics;
mod names;
mod peer;
mod subjects;

use dataflow_mesh::access::{Access, AccessTable, Scope};
use dataflow_mesh::context::Context;
use dataflow_mesh::status::{Describe, Kind};
use http::Request;

pub use args::AuthArgs;
pub(crate) use authenticator::Authenticator;
pub use authenticator::NotAuthenticating;
use credentials::Peer;
pub(crate) use credentials::{Presented, forget_credentials, forward_credentials};
pub(crate) use error::AuthError;
use key_source::Renewal;
pub(crate) use key_uses::KeyUses;
use metrics::Refusals;
pub(crate) use names::KEY_SUBJECT;

use crate::caller::Caller;

/// The prefix of methods that anybody may call: load balancers and the kubelet have no credentials.
const HEALTH: &str = "/grpc.health.";

/// The prefix of reflection, which needs the scope `read` unless `--public-docs` says otherwise.
const REFLECTION: &str = "/grpc.reflection.";

/// Decides about every call of the public port.
#[derive(Debug)]
pub(crate) struct Auth {
    access: AccessTable,
    /// None if callers are not authenticated: each may do what an administrator may.
    callers: Option<Authenticator>,
    /// The caller of what needs no credentials.
    nameless: Caller,
    /// Whether reflection needs no credentials.
    has_public_docs: bool,
    refusals: Refusals,
}

// === impl Auth ===

impl Auth {
    pub(crate) fn new(
        callers: Option<Authenticator>,
        has_public_docs: bool,
        descriptor_set: &[u8],
        context: &Context,
    ) -> Self {
        if let Some(callers) = &callers {
            callers.start(context);
        }
        let (access, refusals) = (AccessTable::of(descriptor_set), Refusals::new(&context.metrics));
        Self { access, callers, nameless: Caller::default(), has_public_docs, refusals }
    }

    /// Notes who is at the other end of a request, by what will be removed from it.
    pub(crate) fn note_peer<B>(&self, request: &mut Request<B>) {
        if let Some(peer) = self.callers.as_ref().and_then(|callers| callers.peer(request)) {
            request.extensions_mut().insert(Peer(peer));
        }
    }

    /// Whether callers are authenticated.
    pub(crate) fn is_on(&self) -> bool {
        self.callers.is_some()
    }

    /// The caller of a request that goes to the method at `path`.
    ///
    /// # Errors
    ///
    /// If it is not authenticated, or may not call the method.
    pub(crate) fn admit(&self, presented: Presented<'_>, path: &str) -> Result<Caller, AuthError> {
        if path.starts_with(HEALTH) || (self.has_public_docs && path.starts_with(REFLECTION)) {
            return Ok(self.nameless.clone());
        }
        let caller = match &self.callers {
            Some(callers) => callers.caller(presented)?,
            None => self.nameless.clone(),
        };
        let needed = match self.access.get(path) {
            Some(Access::Scope(scope)) => scope,
            Some(Access::TenantWrite) if caller.tenant.is_empty() => Scope::Admin,
            Some(Access::TenantWrite) => Scope::Write,
            Some(Access::OfMesh) if !caller.tenant.is_empty() => return Err(AuthError::OfMesh),
            Some(Access::OfMesh) => Scope::Admin,
            Some(Access::Internal) => return Err(AuthError::Internal),
            None if path.starts_with(REFLECTION) => Scope::Read,
            // What a service behind the gateway, or a proxy that normalizes paths, makes of it is not known here.
            None => return Err(AuthError::MethodUnknown),
        };
        if self.callers.is_none() {
            return Ok(caller);
        }
        if caller.scope >= Some(needed) { Ok(caller) } else { Err(AuthError::ScopeMissing { needed }) }
    }

    /// Decides again after an error that a newer key set may resolve, when that has come; otherwise it is the error.
    pub(crate) async fn admit_again(
        &self,
        presented: Presented<'_>,
        path: &str,
        error: AuthError,
    ) -> Result<Caller, AuthError> {
        let Some(callers) = &self.callers else { return Err(error) };
        match callers.renew_keys(&error).await {
            Some(Renewal::Fetched) => self.admit(presented, path),
            Some(Renewal::Unknown) => Err(AuthError::KeysUnavailable),
            Some(Renewal::Current) | None => Err(error),
        }
    }

    /// The caller of a call that was not admitted; none if it is not authenticated.
    pub(crate) fn denied_caller(&self, presented: Presented<'_>, error: &AuthError) -> Option<Caller> {
        let callers = self.callers.as_ref().filter(|_| error.kind() == Kind::Denied)?;
        callers.caller(presented).ok()
    }

    /// The access of every method.
    pub(crate) fn access(&self) -> &AccessTable {
        &self.access
    }

    /// The uses of API keys; none if there are no API keys.
    pub(crate) fn key_uses(&self) -> Option<KeyUses> {
        self.callers.as_ref()?.key_uses()
    }

    /// Counts a call that is not admitted.
    pub(crate) fn count(&self, error: &AuthError) {
        self.refusals.count(error);
    }
}

#[cfg(test)]
mod tests;
