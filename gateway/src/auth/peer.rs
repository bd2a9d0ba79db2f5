//! Who is at the other end, as a proxy of the mesh states it in a header. It is read before the headers are removed
//! that only the mesh may set, and it counts only if `--peer-identity` says that every request comes from such a proxy.

mod forwarded_certificate;

use clap::ValueEnum;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::AuthError;
use super::names::{MAX_SUBJECT, PEER_SUBJECT};

/// What Envoy, and so Istio, writes.
const FORWARDED_CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// What the proxy of Linkerd writes.
const CLIENT_ID: HeaderName = HeaderName::from_static("l5d-client-id");

/// The most bytes of an identity.
const MAX_IDENTITY: usize = MAX_SUBJECT - PEER_SUBJECT.len();

/// Finds the identity in the value of a header; none unless it names exactly one.
type Find = fn(&[u8]) -> Option<&str>;

/// Whose header names the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PeerIdentity {
    /// No header.
    #[default]
    None,
    /// `x-forwarded-client-cert` of Istio's sidecar: the URI in the element that it added.
    Istio,
    /// `l5d-client-id` of Linkerd's proxy.
    Linkerd,
}

// === impl PeerIdentity ===

impl PeerIdentity {
    /// The subject of the peer; none if no proxy states one.
    ///
    /// # Errors
    ///
    /// If the header is there more than once, or does not name one identity.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<Result<String, AuthError>> {
        let (header, find): (_, Find) = match self {
            PeerIdentity::None => return None,
            PeerIdentity::Istio => (FORWARDED_CERTIFICATE, forwarded_certificate::identity),
            PeerIdentity::Linkerd => (CLIENT_ID, name),
        };
        let mut values = headers.get_all(&header).iter().map(HeaderValue::as_bytes);
        let value = values.next()?;
        let identity = if values.next().is_some() { None } else { find(value) };
        let subject = identity.map(|identity| format!("{PEER_SUBJECT}{identity}"));
        Some(subject.ok_or(AuthError::PeerInvalid { header }))
    }
}

/// The characters of a SPIFFE ID (SPIFFE-ID, 2), which the names of Linkerd have too.
fn name(text: &[u8]) -> Option<&str> {
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(byte);
    let is_name = !text.is_empty() && text.len() <= MAX_IDENTITY && text.iter().all(is_name_byte);
    str::from_utf8(text).ok().filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_of_the_chosen_mesh_names_the_peer() {
        let check = |mesh: PeerIdentity, fields: &[(&str, &str)], expected: Option<Result<&str, &str>>| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let found = mesh.read(&headers).map(|found| {
                found.map_err(|error| match error {
                    AuthError::PeerInvalid { header } => header.to_string(),
                    error => panic!("{error:?}"),
                })
            });
            let expected = expected.map(|expected| expected.map(str::to_owned).map_err(str::to_owned));
            assert_eq!(found, expected, "{mesh:?} {fields:?}");
        };
        use PeerIdentity::{Istio, Linkerd, None as Off};
        let (xfcc, l5d) = ("x-forwarded-client-cert", "l5d-client-id");
        let uri = "URI=spiffe://cluster.local/ns/a/sa/b";
        let known = Some(Ok("peer:spiffe://cluster.local/ns/a/sa/b"));
        for headers in [&[][..], &[(xfcc, uri)], &[(l5d, "b.a")], &[(xfcc, ""), (xfcc, "")]] {
            check(Off, headers, None);
        }
        check(Istio, &[], None);
        check(Istio, &[(l5d, "b.a")], None);
        check(Istio, &[(xfcc, uri)], known);
        check(Istio, &[("X-Forwarded-Client-Cert", uri), (l5d, "b.a")], known);
        check(Istio, &[(xfcc, uri), (xfcc, uri)], Some(Err(xfcc)));
        check(Istio, &[(xfcc, ""), (xfcc, uri)], Some(Err(xfcc)));
        check(Istio, &[(xfcc, "")], Some(Err(xfcc)));
        check(Linkerd, &[], None);
        check(Linkerd, &[(xfcc, uri)], None);
        let id = "b.a.serviceaccount.identity.linkerd.cluster.local";
        check(Linkerd, &[(l5d, id)], Some(Ok(&format!("peer:{id}"))));
        check(Linkerd, &[(l5d, "spiffe://root/b")], Some(Ok("peer:spiffe://root/b")));
        check(Linkerd, &[(l5d, id), (l5d, id)], Some(Err(l5d)));
        for wrong in ["", "a b", "a,b", "a;b", "\"a\"", "a\tb"] {
            check(Linkerd, &[(l5d, wrong)], Some(Err(l5d)));
        }
        let longest = "x".repeat(MAX_IDENTITY);
        check(Linkerd, &[(l5d, &longest)], Some(Ok(&format!("peer:{longest}"))));
        check(Linkerd, &[(l5d, &format!("{longest}x"))], Some(Err(l5d)));
    }
}
