//! What a caller presents: a token or an API key, in the headers of its request; or else whom its connection names.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::error::AuthError;

/// Carries an API key, for clients that cannot set `Authorization`.
pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The beginning of every API key.
pub(super) const KEY_PREFIX: &str = "dfk_";

/// The headers in which callers present something.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, API_KEY];

/// What a request shows of its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Option<&'a Peer>,
}

/// The subject that the connection or the proxy of a request names, or why it cannot be taken: an extension of the
/// request, since the headers that only the mesh may set are removed before anything is decided.
#[derive(Debug, Clone)]
pub(super) struct Peer(pub(super) Result<String, AuthError>);

/// What a caller presents in headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// A JWT.
    Token(&'a str),
    /// An API key.
    Key(&'a str),
}

/// Removes what a caller presents: none of our services needs it, and any could log it.
pub(crate) fn forget_credentials(headers: &mut HeaderMap) {
    for name in CREDENTIALS {
        headers.remove(name);
    }
}

/// Adds what a caller presents, if it has not been removed, to the headers of a call that is made of its request.
pub(crate) fn forward_credentials(from: &HeaderMap, to: &mut HeaderMap) {
    for name in CREDENTIALS {
        for value in from.get_all(&name) {
            to.append(&name, value.clone());
        }
    }
}

// === impl Presented ===

impl<'a> Presented<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self { headers: request.headers(), peer: request.extensions().get() }
    }
}

// === impl Credential ===

impl<'a> Credential<'a> {
    /// The credential of a request; none if it has none.
    ///
    /// # Errors
    ///
    /// If there are several, of which one may be another caller's, or it is of another kind.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Option<Self>, AuthError> {
        let (authorization, key) = (one(headers, AUTHORIZATION)?, one(headers, API_KEY)?);
        match (authorization, key) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(AuthError::Ambiguous),
            (None, Some(key)) => match key.to_str() {
                Ok(key) if key.starts_with(KEY_PREFIX) => Ok(Some(Credential::Key(key))),
                _ => Err(AuthError::KeyUnknown),
            },
            (Some(value), None) => {
                let value = value.to_str().map_err(|_| AuthError::SchemeUnknown)?;
                let (scheme, credential) = value.split_once(' ').ok_or(AuthError::SchemeUnknown)?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(AuthError::SchemeUnknown);
                }
                let credential = credential.trim_matches(' ');
                let is_key = credential.starts_with(KEY_PREFIX);
                Ok(Some(if is_key { Credential::Key(credential) } else { Credential::Token(credential) }))
            }
        }
    }
}

fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(AuthError::Ambiguous),
        (value, None) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_credential() {
        let check = |fields: &[(&str, &str)], expected: Result<Option<Credential<'_>>, &str>| {
            let fields = fields.iter().map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            });
            let headers = fields.fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            });
            let found = Credential::of(&headers).map_err(|error| format!("{error:?}"));
            assert_eq!(found, expected.map_err(str::to_owned), "{headers:?}");
        };
        let (key, token) = (|key| Ok(Some(Credential::Key(key))), |token| Ok(Some(Credential::Token(token))));
        check(&[], Ok(None));
        check(&[("authorization", "Bearer a.b.c")], token("a.b.c"));
        check(&[("Authorization", "bearer  a.b.c ")], token("a.b.c"));
        check(&[("authorization", "Bearer dfk_x")], key("dfk_x"));
        check(&[("x-api-key", "dfk_x")], key("dfk_x"));
        check(&[("x-api-key", "DFK_x")], Err("KeyUnknown"));
        check(&[("x-api-key", "a.b.c")], Err("KeyUnknown"));
        check(&[("authorization", "Basic YTpi")], Err("SchemeUnknown"));
        check(&[("authorization", "a.b.c")], Err("SchemeUnknown"));
        check(&[("authorization", "")], Err("SchemeUnknown"));
        check(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], Err("Ambiguous"));
        check(&[("authorization", "Bearer a"), ("x-api-key", "dfk_x")], Err("Ambiguous"));
        check(&[("x-api-key", "dfk_x"), ("X-API-Key", "dfk_y")], Err("Ambiguous"));
    }
}
