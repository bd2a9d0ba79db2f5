//! Where a key set is, as a flag says it. Separate from the source, so that the flags need nothing else.

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

/// The prefixes of text that is a URL.
const SCHEMES: [&str; 2] = ["http://", "https://"];

/// A file or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Is read again every second.
    File(PathBuf),
    /// Is fetched: http or https, with a host, and without a user.
    Url(Url),
}

/// Text that begins like a URL, and is none that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is no URL.
    #[error("not a URL: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// It has a user or a password, which would appear in logs.
    #[error("a URL of a key set has no user and no password")]
    UserInfo,
    /// It has a fragment, which no server receives.
    #[error("a URL of a key set has no fragment (#)")]
    Fragment,
}

// === impl Location ===

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::File(text.into()));
        }
        // The parser repairs what it can, as browsers do; for instance, it takes a host from `http:///host`.
        let repaired = Cell::new(None);
        let note = |violation: _| repaired.set(Some(violation));
        let url = Url::options().syntax_violation_callback(Some(&note)).parse(text);
        let url = url.map_err(|error| LocationError::Malformed { problem: error.to_string() })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LocationError::UserInfo);
        }
        if let Some(violation) = repaired.into_inner() {
            return Err(LocationError::Malformed { problem: violation.to_string() });
        }
        if url.fragment().is_some() {
            return Err(LocationError::Fragment);
        }
        Ok(Self::Url(url))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_a_scheme_of_http_is_a_url() {
        for (text, shown) in [
            ("http://a", "http://a/"),
            ("https://id.example/.well-known/jwks.json", "https://id.example/.well-known/jwks.json"),
            ("https://id.example:8443/keys?tenant=1&v=2", "https://id.example:8443/keys?tenant=1&v=2"),
            ("https://[::1]:1/k", "https://[::1]:1/k"),
            ("http://127.0.0.1/", "http://127.0.0.1/"),
            ("https://ID.example/Keys", "https://id.example/Keys"),
        ] {
            let location = text.parse().unwrap();
            assert!(matches!(location, Location::Url(_)), "{text}");
            assert_eq!(location.to_string(), shown);
        }
    }

    #[test]
    fn any_other_text_is_a_file() {
        for text in [
            "/etc/jwks.json",
            "jwks.json",
            "",
            "http:/a",
            "http:a",
            "https",
            "ftp://a/b",
            "file:///etc/jwks.json",
            "HTTP://a",
            " https://a",
            "./http://a",
        ] {
            assert_eq!(text.parse(), Ok(Location::File(text.into())));
        }
    }

    #[test]
    fn a_url_that_cannot_be_fetched_is_an_error() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Location>().unwrap_err().to_string(), expected, "{text}");
        };
        check("https://", "not a URL: empty host");
        check("http://:80/a", "not a URL: empty host");
        check("http://?a", "not a URL: empty host");
        check("https:///etc/jwks.json", "not a URL: expected //");
        check("https://\\a", "not a URL: expected //");
        check("https://a\\b", "not a URL: backslash");
        check("https://a b/", "not a URL: invalid international domain name");
        check("https://a/b c", "not a URL: non-URL code point");
        check("https://a\n/b", "not a URL: tabs or newlines are ignored in URLs");
        check(
            "https://a/b ",
            "not a URL: leading or trailing control or space character are ignored in URLs",
        );
        check("https://a:b/", "not a URL: invalid port number");
        check("https://a:99999/", "not a URL: invalid port number");
        check("https://[::1/", "not a URL: invalid IPv6 address");
        check("https://1.2.3.256/", "not a URL: invalid IPv4 address");
        check("https://user@a/", "a URL of a key set has no user and no password");
        check("https://user:password@a/", "a URL of a key set has no user and no password");
        check("https://:password@a/", "a URL of a key set has no user and no password");
        check("https://a/b#c", "a URL of a key set has no fragment (#)");
        check("https://a/#", "a URL of a key set has no fragment (#)");
    }
}
