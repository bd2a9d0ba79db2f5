//! Who makes a call, as the headers say that only the mesh may set. This module is the only one that reads them: from
//! the head of a request, after the gateway has removed those of outside callers and every listener the trailers.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::access::Scope;
use crate::rate::Rate;
use crate::status::{Describe, Kind, Violation};

/// The tenant of a call, set by the gateway.
pub const TENANT: HeaderName = HeaderName::from_static("dataflow-tenant");

/// The authenticated subject of a call, set by the gateway.
pub const SUBJECT: HeaderName = HeaderName::from_static("dataflow-subject");

/// The scopes of a call, set by the gateway.
pub(crate) const SCOPES: HeaderName = HeaderName::from_static("dataflow-scopes");

/// The address from which the caller's connection came, set by the gateway.
pub(crate) const PEER_ADDRESS: HeaderName = HeaderName::from_static("dataflow-peer-address");

/// The caller of a call that the gateway forwards, so that the services behind it share their permits by caller too.
const CALLER: HeaderName = HeaderName::from_static("dataflow-caller");

/// Marks a call that a service of the mesh makes itself. The gateway does not set it, because it calls on behalf of
/// clients.
const PEER: HeaderName = HeaderName::from_static("dataflow-peer");

/// The only value of [`PEER`].
const SERVICE: HeaderValue = HeaderValue::from_static("service");

/// The headers that state an [`Identity`].
static STATED: [HeaderName; 6] = [TENANT, SUBJECT, SCOPES, PEER_ADDRESS, CALLER, PEER];

/// The prefixes of all headers that only the gateway and the proxies of the mesh may set.
const TRUSTED_PREFIXES: [&str; 3] = ["dataflow-", "l5d-", "x-envoy-"];

/// The certificate of the peer, as proxies of the mesh verified it.
const PEER_CERTIFICATE: &str = "x-forwarded-client-cert";

/// The caller of a request. Every request that passed the inbound stack has it as an extension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The tenant; empty without tenants. Bytes that are not text are escaped, so that different names stay different.
    pub tenant: Arc<str>,
    /// The authenticated subject, escaped likewise; empty if anonymous.
    pub subject: Arc<str>,
    /// The address from which its connection came to the gateway, escaped likewise; empty if unknown.
    pub peer: Arc<str>,
    /// The connection to the gateway on which the call arrived there.
    pub(crate) caller: Option<CallerId>,
    /// Whether a service of the mesh makes the call itself, not on behalf of a client.
    pub is_peer: bool,
}

/// A caller as the gateway has authenticated it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// Empty if it is anonymous.
    pub subject: String,
    /// Empty if it belongs to no tenant.
    pub tenant: String,
    /// None if nothing is granted to it.
    pub scope: Option<Scope>,
    /// The rate that its credentials grant to it, in place of the usual one.
    pub rate: Option<Rate>,
    /// The burst of that rate, in place of the usual one.
    pub burst: Option<u32>,
}

/// The names of a caller as headers state them. Unlike an [`Identity`] they are neither checked nor escaped yet, so that
/// every call has them for its log records at little cost.
#[derive(Debug, Clone, Default)]
pub struct Names {
    tenant: Option<HeaderValue>,
    subject: Option<HeaderValue>,
}

/// Identifies a connection; every request has that of its own as an extension. Unique across processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerId(pub(crate) u64);

/// The address from which the connection of a request came; every request has it as an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Why the caller of a request is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A header occurs more than once, and any of them may be true.
    #[error("header {header} must occur once; only the gateway sets it")]
    Repeated {
        /// Its name.
        header: HeaderName,
    },
}

/// Removes the headers that only the mesh may set, from a request of an outside caller.
pub fn strip(headers: &mut HeaderMap) {
    let is_trusted = |name: &str| {
        name == PEER_CERTIFICATE || TRUSTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let found: Vec<_> = headers.keys().filter(|name| is_trusted(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// States who makes a call, in a request from which [`strip`] has removed what its client may have stated.
pub fn state(headers: &mut HeaderMap, Names { tenant, subject }: &Names, scope: Option<Scope>) {
    for (name, value) in [(SUBJECT, subject), (TENANT, tenant)] {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    if let Some(scope) = scope {
        headers.insert(SCOPES, HeaderValue::from_static(scope.words()));
    }
}

/// States from which address the caller's connection came, in a request from which [`strip`] has removed what its client
/// may have stated.
pub fn state_peer(headers: &mut HeaderMap, peer: SocketAddr) {
    let address = HeaderValue::try_from(peer.to_string()).expect("an address is visible ASCII");
    headers.insert(PEER_ADDRESS, address);
}

/// Names the connection of the caller in a call that the gateway forwards.
pub fn mark_caller(request: &mut Parts) {
    if let Some(CallerId(id)) = request.extensions.get() {
        let id = HeaderValue::try_from(format!("{id:016x}")).expect("digits are visible ASCII");
        request.headers.insert(CALLER, id);
    }
}

/// Marks a call as one that this service makes itself.
pub(crate) fn mark_own(headers: &mut HeaderMap) {
    headers.insert(PEER, SERVICE);
}

/// Text of a header as it stands in an [`Identity`]: what is not printable ASCII is escaped.
fn escaped(text: &[u8]) -> String {
    // Mostly nothing is, and then the text is copied as a whole.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'\'' | b'"');
    match str::from_utf8(text) {
        Ok(plain) if text.iter().all(is_plain) => plain.to_owned(),
        _ => text.escape_ascii().to_string(),
    }
}

// === impl Principal ===

impl Principal {
    /// The subject as services learn it, and as the audit names it.
    pub fn subject_of_identity(&self) -> String {
        escaped(self.subject.as_bytes())
    }
}

// === impl Names ===

impl Names {
    /// The names that headers state.
    pub(crate) fn stated(headers: &HeaderMap) -> Self {
        Self { tenant: headers.get(TENANT).cloned(), subject: headers.get(SUBJECT).cloned() }
    }

    /// The names of a caller that was authenticated.
    pub fn of(Principal { tenant, subject, .. }: &Principal) -> Self {
        // Text without control characters is a header value.
        let value = |name: &str| HeaderValue::from_bytes(name.as_bytes()).ok().filter(|_| !name.is_empty());
        Self { tenant: value(tenant), subject: value(subject) }
    }

    /// The tenant as it stands in an [`Identity`].
    pub(crate) fn tenant(&self) -> Option<String> {
        self.tenant.as_ref().map(|tenant| escaped(tenant.as_bytes()))
    }

    /// The subject as it stands in an [`Identity`].
    pub(crate) fn subject(&self) -> Option<String> {
        self.subject.as_ref().map(|subject| escaped(subject.as_bytes()))
    }
}

// === impl Identity ===

impl Identity {
    /// Reads the head of a request.
    ///
    /// # Errors
    ///
    /// [`Error::Repeated`] if a header occurs more than once. Taking the first would make the identity depend on the
    /// order in which a proxy forwards headers.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Error> {
        let mut stated = [None; STATED.len()];
        // One pass: a look-up of each costs more than all headers that a call has.
        for (name, value) in headers {
            let Some(number) = STATED.iter().position(|stated| stated == name) else { continue };
            if stated[number].replace(value).is_some() {
                return Err(Error::Repeated { header: name.clone() });
            }
        }
        let [tenant, subject, _, peer, id, service] = stated;
        let text = |value: Option<&HeaderValue>| {
            value.map(|value| escaped(value.as_bytes()).into()).unwrap_or_default()
        };
        let caller = |id: &HeaderValue| u64::from_str_radix(id.to_str().ok()?, 16).ok().map(CallerId);
        Ok(Self {
            tenant: text(tenant),
            subject: text(subject),
            peer: text(peer),
            caller: id.and_then(caller),
            is_peer: service == Some(&SERVICE),
        })
    }

    /// The caller of a request with these extensions: an anonymous one outside the mesh if it passed no inbound stack.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }
}

// === impl Error ===

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Repeated { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Repeated { .. } => "IDENTITY_AMBIGUOUS",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let Error::Repeated { header } = self;
        vec![Violation { field: header.to_string(), description: "must occur once".to_owned() }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            // As a parser of HTTP/1.1 or HTTP/2 reads it: names become lower case.
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn an_identity_is_read_from_each_header_in_any_case() {
        let check = |fields: &[(&str, &[u8])], tenant: &str, subject: &str, is_peer: bool| {
            let (tenant, subject) = (tenant.into(), subject.into());
            let expected = Identity { tenant, subject, is_peer, ..Identity::default() };
            assert_eq!(Identity::read(&headers(fields)), Ok(expected), "{fields:?}");
        };
        check(&[], "", "", false);
        check(&[("dataflow-tenant", b"acme"), ("Dataflow-Subject", b"ada")], "acme", "ada", false);
        check(&[("DATAFLOW-PEER", b"service")], "", "", true);
        check(&[("dataflow-peer", b"client")], "", "", false);
        check(&[("dataflow-tenant", b"caf\xe9")], r"caf\xe9", "", false);
        check(&[("dataflow-subject", br#"a b~'c"\"#)], "", r#"a b~\'c\"\\"#, false);
        // Binary metadata, and names that only resemble ours.
        check(&[("dataflow-tenant-bin", b"YWNtZQ"), ("dataflow_tenant", b"acme")], "", "", false);
        check(&[("dataflow-peer-bin", b"c2VydmljZQ"), ("x-dataflow-peer", b"service")], "", "", false);
    }

    #[test]
    fn the_caller_of_a_forwarded_call_is_read_as_it_was_written() {
        let mut request = http::Request::new(()).into_parts().0;
        mark_caller(&mut request);
        assert_eq!(Identity::read(&request.headers).unwrap().caller, None);
        request.extensions.insert(CallerId(0xff));
        mark_caller(&mut request);
        assert_eq!(Identity::read(&request.headers).unwrap().caller, Some(CallerId(0xff)));
    }

    #[test]
    fn a_principal_is_read_as_it_was_stated() {
        let check = |subject: &str, tenant: &str, scope: Option<Scope>, scopes: Option<&str>| {
            let (subject, tenant) = (subject.to_owned(), tenant.to_owned());
            let principal = Principal {
                subject: subject.clone(),
                tenant: tenant.clone(),
                scope,
                rate: None,
                burst: None,
            };
            let mut stated = HeaderMap::new();
            state(&mut stated, &Names::of(&principal), scope);
            let read = Identity::read(&stated).unwrap();
            let escaped = subject.as_bytes().escape_ascii().to_string();
            assert_eq!(principal.subject_of_identity(), escaped);
            assert_eq!((&*read.subject, &*read.tenant), (escaped.as_str(), tenant.as_str()));
            assert_eq!(stated.get(SCOPES).map(|scopes| scopes.to_str().unwrap()), scopes);
        };
        check("", "", None, None);
        check("ada", "acme", Some(Scope::Read), Some("read"));
        check("ad\u{e0}", "", Some(Scope::Admin), Some("read write admin"));
    }

    #[test]
    fn a_repeated_header_is_an_error() {
        for name in [
            "dataflow-caller",
            "dataflow-tenant",
            "dataflow-subject",
            "dataflow-scopes",
            "dataflow-peer",
            "dataflow-peer-address",
        ] {
            let repeated = Identity::read(&headers(&[(name, b"service"), (name, b"service")])).unwrap_err();
            assert_eq!(repeated.violations()[0].field, name);
        }
    }

    #[test]
    fn everything_that_the_mesh_sets_is_removed() {
        let mut outside = headers(&[
            ("Dataflow-Tenant", b"acme"),
            ("dataflow-tenant", b"acme"),
            ("dataflow-tenant-bin", b"YWNtZQ"),
            ("dataflow-peer", b"service"),
            ("dataflow-later", b"x"),
            ("l5d-client-id", b"x"),
            ("x-envoy-peer-metadata", b"x"),
            ("X-Forwarded-Client-Cert", b"x"),
            ("x-dataflow", b"kept"),
        ]);
        strip(&mut outside);
        assert_eq!(outside, headers(&[("x-dataflow", b"kept")]));
    }
}
