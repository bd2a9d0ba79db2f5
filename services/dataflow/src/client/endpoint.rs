//! The address of a mesh that a command calls: of its gateway, or of one of its services.

use std::fmt;
use std::str::FromStr;

use dataflow_mesh::outbound::{NotAnUpstream, Upstream};
use http::Uri;
use http::uri::Scheme;

/// An address, with or without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `http://HOST:PORT`, or several addresses as peers have them.
    Plain(Upstream),
    /// `https://HOST` or `https://HOST:PORT`.
    Secure(Uri),
}

/// The text is not the address of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnEndpoint {
    /// It begins with `https://`.
    #[error("{given:?} is not the address of a mesh: expected https://HOST or https://HOST:PORT")]
    Secure {
        /// The text.
        given: String,
    },
    /// It does not.
    #[error("{0}, or https://HOST")]
    Plain(#[from] NotAnUpstream),
}

// === impl Endpoint ===

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(given: &str) -> Result<Self, NotAnEndpoint> {
        if !given.starts_with("https://") {
            return Ok(Self::Plain(given.parse()?));
        }
        let uri = given.parse::<Uri>().ok().filter(|uri| {
            let path = uri.path_and_query().map(|rest| rest.as_str());
            let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
            uri.scheme() == Some(&Scheme::HTTPS) && matches!(path, None | Some("" | "/")) && !has_user
        });
        uri.map(Self::Secure).ok_or_else(|| NotAnEndpoint::Secure { given: given.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(upstream) => upstream.fmt(f),
            Self::Secure(uri) => uri.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_nothing_after_it() {
        let check = |given: &str, expected: Option<&str>| {
            let found = given.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{given}");
        };
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/"));
        check("https://dataflow.example.org", Some("https://dataflow.example.org/"));
        check("https://[::1]:8443/", Some("https://[::1]:8443/"));
        check("http://dataflow.example.org", None);
        check("https://dataflow.example.org/path", None);
        check("https://user@dataflow.example.org", None);
        check("https://", None);
        check("ftp://dataflow.example.org:21", None);
    }
}
