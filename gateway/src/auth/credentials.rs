//! What a caller presents: a token or an API key, in the headers of its request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::AuthError;

/// Carries an API key, for clients that cannot set `Authorization`.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The beginning of every API key.
pub(super) const KEY_PREFIX: &str = "dfk_";

/// What a caller presents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// A JWT.
    Token(&'a str),
    /// An API key.
    Key(&'a str),
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
