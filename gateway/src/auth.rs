//! Who calls, and what the caller may do: decided by the head of a request, before anything of its body is read, for
//! every protocol in the same way. [`credentials`] finds what a caller presents, `jwt`, [`admin_key`] and [`api_keys`]
//! verify it, and the table of scopes that the descriptor set makes decides. What services learn of it stands in the headers that the
//! gateway alone writes (`dataflow_mesh::identity`).

pub(crate) mod args;

mod admin_key;
mod api_keys;
mod credentials;
mod digest;
mod error;
mod jwt;
mod key_source;
mod metrics;

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_mesh::access::{Access, AccessTable, Scope};
use dataflow_mesh::context::Context;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::tasks::Task;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

use admin_key::AdminKey;
use api_keys::ApiKeys;
pub use args::AuthArgs;
use credentials::{API_KEY, Credential};
pub(crate) use error::AuthError;
use jwt::token::{Claims, Expected, verify};
use jwt::verified::VerifiedTokens;
use key_source::location::Location;
use key_source::{KeySource, KeySourceError, Renewal};
use metrics::Refusals;

/// Tokens that are remembered after they were verified.
const REMEMBERED: u64 = 10_000;

/// The prefix of methods that anybody may call: load balancers and the kubelet have no credentials.
const HEALTH: &str = "/grpc.health.";

/// The prefix of reflection, which needs the scope `read`.
const REFLECTION: &str = "/grpc.reflection.";

/// Decides about every call of the public port.
#[derive(Debug)]
pub(crate) struct Auth {
    access: AccessTable,
    /// None if callers are not authenticated: each may do what an administrator may.
    callers: Option<Authenticator>,
    refusals: Refusals,
}

/// Verifies what callers present.
#[derive(Debug)]
pub(crate) struct Authenticator {
    tokens: Option<Tokens>,
    admin_key: Option<AdminKey>,
    /// None in front of services without our config service.
    api_keys: Option<ApiKeys>,
    /// What a caller without credentials may do, if it may do anything.
    anonymous: Option<Scope>,
}

/// Verifies tokens.
#[derive(Debug)]
struct Tokens {
    source: KeySource,
    expected: Expected,
    verified: Arc<VerifiedTokens>,
}

/// Removes what a caller presents: no service needs it, and any could log it.
pub(crate) fn forget_credentials(headers: &mut HeaderMap) {
    for name in [AUTHORIZATION, COOKIE, API_KEY] {
        headers.remove(name);
    }
}

/// Callers cannot be authenticated as the flags say.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {problem}")]
pub struct NotAuthenticating {
    flag: &'static str,
    problem: String,
}

// === impl Auth ===

impl Auth {
    pub(crate) fn new(callers: Option<Authenticator>, descriptor_set: &[u8], context: &Context) -> Self {
        if let Some(key) = callers.as_ref().and_then(|callers| callers.admin_key.clone()) {
            context.tasks.spawn(Task::restarting("admin key", move || key.clone().follow()));
        }
        if let Some(keys) = callers.as_ref().and_then(|callers| callers.api_keys.clone()) {
            context.tasks.spawn(Task::restarting("api keys", move || keys.clone().follow()));
        }
        if let Some(tokens) = callers.as_ref().and_then(|callers| callers.tokens.as_ref()) {
            tokens.source.register(&context.metrics);
            let source = tokens.source.clone();
            context.tasks.spawn(Task::restarting("jwks", move || source.clone().run()));
        }
        Self { access: AccessTable::of(descriptor_set), callers, refusals: Refusals::new(&context.metrics) }
    }

    /// The caller of a request that goes to the method at `path`.
    ///
    /// # Errors
    ///
    /// If it is not authenticated, or may not call the method.
    pub(crate) fn admit(&self, headers: &HeaderMap, path: &str) -> Result<Principal, AuthError> {
        if path.starts_with(HEALTH) {
            return Ok(Principal::default());
        }
        let caller = match &self.callers {
            Some(callers) => callers.caller(headers)?,
            None => Principal::default(),
        };
        let needed = match self.access.get(path) {
            Some(Access::Scope(scope)) => scope,
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
        headers: &HeaderMap,
        path: &str,
        error: AuthError,
    ) -> Result<Principal, AuthError> {
        let tokens = self.callers.as_ref().and_then(|callers| callers.tokens.as_ref());
        let Some(tokens) = tokens.filter(|_| error.is_unknown_key()) else { return Err(error) };
        match tokens.source.renew().await {
            Renewal::Fetched => self.admit(headers, path),
            Renewal::Current => Err(error),
            Renewal::Unknown => Err(AuthError::KeysUnavailable),
        }
    }

    /// Counts a call that is not admitted.
    pub(crate) fn count(&self, error: &AuthError) {
        self.refusals.count(error);
    }
}

// === impl Authenticator ===

impl Authenticator {
    /// What the flags say; none if they name nothing by which callers are authenticated. `config` has the API keys.
    pub(crate) fn new(
        args: &AuthArgs,
        allows_anonymous: bool,
        config: Option<&Upstream>,
    ) -> Result<Option<Self>, NotAuthenticating> {
        if !args.is_on() {
            return Ok(None);
        }
        let failed = |flag, problem: String| NotAuthenticating { flag, problem };
        let tokens = args.jwks.clone().map(|location| {
            Tokens::open(location, args.expected()).map_err(|error| failed("--jwks", error.to_string()))
        });
        let admin_key = args.admin_key_file.as_ref().map(|file| {
            let problem = |error| format!("{}: {error}", file.display());
            AdminKey::read(file).map_err(|error| failed("--admin-key-file", problem(error)))
        });
        let anonymous = allows_anonymous.then_some(Scope::Read);
        let api_keys = config.map(ApiKeys::new);
        Ok(Some(Self { tokens: tokens.transpose()?, admin_key: admin_key.transpose()?, api_keys, anonymous }))
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        match Credential::of(headers)? {
            None if self.anonymous.is_some() => {
                Ok(Principal { scope: self.anonymous, ..Principal::default() })
            }
            None => Err(AuthError::Missing),
            Some(Credential::Token(token)) => {
                let tokens = self.tokens.as_ref().ok_or(AuthError::TokensUnknown)?;
                Ok(principal(&*tokens.claims(token)?))
            }
            Some(Credential::Key(key)) => {
                if self.admin_key.as_ref().is_some_and(|admin| admin.is(key)) {
                    return Ok(AdminKey::principal());
                }
                self.api_keys.as_ref().map_or(Err(AuthError::KeyUnknown), |keys| keys.caller(key))
            }
        }
    }
}

fn principal(claims: &Claims) -> Principal {
    Principal {
        subject: claims.subject.clone(),
        tenant: claims.tenant.clone().unwrap_or_default(),
        scope: Scope::widest(claims.scopes.iter().map(String::as_str)),
        rate: claims.rate,
    }
}

// === impl Tokens ===

impl Tokens {
    fn open(location: Location, expected: Expected) -> Result<Self, KeySourceError> {
        // The provider may be there already. https needs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let verified = Arc::new(VerifiedTokens::new(REMEMBERED, expected.skew));
        let forgotten = Arc::clone(&verified);
        let source = KeySource::open(location, Arc::new(move || forgotten.clear()))?;
        Ok(Self { source, expected, verified })
    }

    fn claims(&self, token: &str) -> Result<Arc<Claims>, AuthError> {
        let now = SystemTime::now();
        if let Some(claims) = self.verified.get(token, now) {
            return Ok(claims);
        }
        let epoch = self.verified.epoch();
        let keys = self.source.current().ok_or(AuthError::KeysUnavailable)?;
        let claims = Arc::new(verify(&keys, &self.expected, token, now)?);
        self.verified.insert(epoch, token, Arc::clone(&claims));
        Ok(claims)
    }
}

#[cfg(test)]
mod tests;
