//! Verifies what callers present, by the flags: tokens, API keys, client certificates and the peers of a mesh. Separate
//! from the decision about a call, which is the same for all of them.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_mesh::access::Scope;
use dataflow_mesh::context::Context;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::tasks::Task;
use dataflow_mesh::tls::ClientCertificate;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1::key_service_server::SERVICE_NAME as KEY_SERVICE;
use http::Request;

use super::admin_key::AdminKey;
use super::api_keys::ApiKeys;
use super::args::AuthArgs;
use super::credentials::{Credential, Peer, Presented};
use super::error::AuthError;
use super::jwt::token::{Claims, Expected, verify};
use super::jwt::verified::{Verified, VerifiedTokens};
use super::key_source::location::Location;
use super::key_source::{KeySource, KeySourceError, Renewal};
use super::key_uses::KeyUses;
use super::names::CERTIFICATE_SUBJECT;
use super::peer::PeerIdentity;
use super::subjects::Subjects;
use crate::caller::Caller;

/// Tokens that are remembered after they were verified.
const REMEMBERED: u64 = 10_000;

/// Verifies what callers present.
#[derive(Debug)]
pub(crate) struct Authenticator {
    tokens: Option<Tokens>,
    admin_key: Option<AdminKey>,
    /// None in front of services without our config service.
    api_keys: Option<ApiKeys>,
    peer_identity: PeerIdentity,
    /// What callers without credentials may do that are known otherwise.
    subjects: Option<Subjects>,
    /// What a caller without credentials may do, if it may do anything.
    anonymous: Option<Caller>,
}

/// Verifies tokens.
#[derive(Debug)]
struct Tokens {
    source: KeySource,
    expected: Expected,
    verified: Arc<VerifiedTokens>,
}

/// Callers cannot be authenticated as the flags say.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {problem}")]
pub struct NotAuthenticating {
    flag: &'static str,
    problem: String,
}

// === impl Authenticator ===

impl Authenticator {
    /// What the flags say; none if they name nothing by which callers are authenticated. `config` has the API keys.
    pub(crate) fn new(
        args: &AuthArgs,
        allows_anonymous: bool,
        config: Option<&Upstream>,
    ) -> Result<Option<Self>, NotAuthenticating> {
        let failed = |flag, problem: String| NotAuthenticating { flag, problem };
        match (args.by_table(), &args.subjects_file) {
            (Some(flag), None) => {
                return Err(failed(
                    flag,
                    "needs --subjects-file, which says what each caller may do".to_owned(),
                ));
            }
            (None, Some(_)) => {
                let problem = "needs --tls-client-ca or --peer-identity, by which its subjects are known";
                return Err(failed("--subjects-file", problem.to_owned()));
            }
            _ => {}
        }
        if !args.is_on() {
            return Ok(None);
        }
        let tokens = args.jwks.clone().map(|location| {
            Tokens::open(location, args.expected()).map_err(|error| failed("--jwks", error.to_string()))
        });
        let admin_key = args.admin_key_file.as_ref().map(|file| {
            let problem = |error| format!("{}: {error}", file.display());
            AdminKey::read(file).map_err(|error| failed("--admin-key-file", problem(error)))
        });
        let subjects = args.subjects_file.as_ref().map(|file| {
            let problem = |error| format!("{}: {error}", file.display());
            Subjects::read(file).map_err(|error| failed("--subjects-file", problem(error)))
        });
        Ok(Some(Self {
            tokens: tokens.transpose()?,
            admin_key: admin_key.transpose()?,
            api_keys: config.map(ApiKeys::new),
            peer_identity: args.peer_identity,
            subjects: subjects.transpose()?,
            anonymous: allows_anonymous
                .then(|| Principal { scope: Some(Scope::Read), ..Principal::default() }.into()),
        }))
    }

    /// Keeps current what comes from files and from the config service.
    pub(super) fn start(&self, context: &Context) {
        if let Some(key) = self.admin_key.clone() {
            context.tasks.spawn(Task::restarting("admin key", move || key.clone().follow()));
        }
        if let Some(keys) = self.api_keys.clone() {
            let observer = context.observer("config", &[KEY_SERVICE], FILE_DESCRIPTOR_SET);
            context.tasks.spawn(Task::restarting("api keys", move || keys.clone().follow(observer.clone())));
        }
        if let Some(tokens) = &self.tokens {
            tokens.source.register(&context.metrics);
            let source = tokens.source.clone();
            context.tasks.spawn(Task::restarting("jwks", move || source.clone().run()));
        }
        if let Some(subjects) = self.subjects.clone() {
            subjects.register(&context.metrics);
            context.tasks.spawn(Task::restarting("subjects", move || subjects.clone().follow()));
        }
    }

    /// The subject that the connection of a request or the proxy before the gateway names, if either does.
    ///
    /// # Errors
    ///
    /// If it names none that can be used.
    pub(super) fn peer<B>(&self, request: &Request<B>) -> Option<Result<String, AuthError>> {
        // What the gateway has verified itself counts before the statement of a proxy.
        match request.extensions().get::<ClientCertificate>() {
            Some(certificate) => Some(subject_of(certificate)),
            None => self.peer_identity.read(request.headers()),
        }
    }

    /// The uses of API keys; none if there are no API keys.
    pub(super) fn key_uses(&self) -> Option<KeyUses> {
        Some(self.api_keys.as_ref()?.uses().clone())
    }

    /// Fetches the key set again if it may lack the key of a token; none if it does not matter.
    pub(super) async fn renew_keys(&self, error: &AuthError) -> Option<Renewal> {
        let tokens = self.tokens.as_ref().filter(|_| error.is_unknown_key())?;
        Some(tokens.source.renew().await)
    }

    /// The caller with these headers, whose connection or proxy names this subject.
    ///
    /// # Errors
    ///
    /// If it presents nothing that is valid, or nothing is granted to it.
    pub(super) fn caller(&self, presented: Presented<'_>) -> Result<Caller, AuthError> {
        match Credential::of(presented.headers)? {
            None => self.caller_without_credential(presented.peer),
            Some(Credential::Token(token)) => {
                self.tokens.as_ref().ok_or(AuthError::TokensUnknown)?.caller(token)
            }
            Some(Credential::Key(key)) => {
                if let Some(admin) = self.admin_key.as_ref().and_then(|admin| admin.caller(key)) {
                    return Ok(admin);
                }
                self.api_keys.as_ref().map_or(Err(AuthError::KeyUnknown), |keys| keys.caller(key))
            }
        }
    }

    fn caller_without_credential(&self, peer: Option<&Peer>) -> Result<Caller, AuthError> {
        match (peer, &self.subjects) {
            (Some(Peer(subject)), Some(subjects)) => {
                Ok(subjects.caller(subject.as_ref().map_err(Clone::clone)?)?.into())
            }
            _ => self.anonymous.clone().ok_or(AuthError::Missing),
        }
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

    /// The caller that a token names.
    fn caller(&self, token: &str) -> Result<Caller, AuthError> {
        let now = SystemTime::now();
        if let Some(caller) = self.verified.get(token, now) {
            return Ok(caller);
        }
        let epoch = self.verified.epoch();
        let keys = self.source.current().ok_or(AuthError::KeysUnavailable)?;
        let claims = verify(&keys, &self.expected, token, now)?;
        let expires = claims.expires;
        let caller = Caller::from(principal(claims));
        self.verified.insert(epoch, token, Verified { caller: caller.clone(), expires });
        Ok(caller)
    }
}

fn subject_of(certificate: &ClientCertificate) -> Result<String, AuthError> {
    let identity = certificate.identity().ok_or(AuthError::CertificateNameless)?;
    Ok(format!("{CERTIFICATE_SUBJECT}{identity}"))
}

fn principal(Claims { subject, tenant, scopes, rate, expires: _ }: Claims) -> Principal {
    let scope = Scope::widest(scopes.iter().map(String::as_str));
    Principal { subject, tenant: tenant.unwrap_or_default(), scope, rate, burst: None }
}
