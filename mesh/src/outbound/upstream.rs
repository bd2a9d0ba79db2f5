//! The address of an upstream, as flags state it.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The address of a peer. `http://HOST:PORT` is a single channel, as appropriate where a mesh balances. For round
/// robin, `http://HOST:PORT,http://HOST:PORT` is a list, and `dns://HOST:PORT` stands for all addresses of HOST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream(pub(super) Target);

/// The forms of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Single(Uri),
    List(Vec<Uri>),
    Dns(Authority),
}

/// The text is not the address of a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not the address of a peer: expected http://HOST:PORT, a comma-separated list of these, or \
     dns://HOST:PORT"
)]
pub struct NotAnUpstream {
    given: String,
}

impl FromStr for Upstream {
    type Err = NotAnUpstream;

    fn from_str(given: &str) -> Result<Self, NotAnUpstream> {
        let read = || {
            let mut all = given.split(',').map(|one| parse_uri(one.trim()));
            let first = all.next()??;
            let rest: Vec<_> = all.collect::<Option<_>>()?;
            let is_http = |uri: &Uri| uri.scheme() == Some(&Scheme::HTTP);
            if first.scheme_str() == Some("dns") && rest.is_empty() {
                return Some(Target::Dns(first.into_parts().authority?));
            }
            if !is_http(&first) || !rest.iter().all(is_http) {
                return None;
            }
            Some(if rest.is_empty() {
                Target::Single(first)
            } else {
                Target::List([vec![first], rest].concat())
            })
        };
        read().map(Self).ok_or_else(|| NotAnUpstream { given: given.to_owned() })
    }
}

// === impl Upstream ===

impl Upstream {
    /// The address, if it is a single one.
    pub(super) fn single(&self) -> Option<&Uri> {
        match &self.0 {
            Target::Single(uri) => Some(uri),
            Target::List(_) | Target::Dns(_) => None,
        }
    }
}

/// Parses a URI that consists of scheme, host and port only.
fn parse_uri(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let path = uri.path_and_query().map(|rest| rest.as_str());
    (uri.port_u16().is_some() && matches!(path, None | Some("" | "/"))).then_some(uri)
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Single(uri) => write!(f, "{uri}"),
            Target::List(all) => all
                .iter()
                .enumerate()
                .try_for_each(|(index, uri)| write!(f, "{}{uri}", if index == 0 { "" } else { "," })),
            Target::Dns(authority) => write!(f, "dns://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_with_host_and_port_only() {
        let check =
            |given: &str, right: bool| assert_eq!(given.parse::<Upstream>().is_ok(), right, "{given:?}");
        check("http://config:8083", true);
        check("http://127.0.0.1:1", true);
        check("http://[::1]:1/", true);
        check("http://a:1,http://b:2", true);
        check("http://a:1, http://b:2", true);
        check("dns://config:8083", true);
        check("https://config:8083", false);
        check("http://config", false);
        check("http://config:99999", false);
        check("config:8083", false);
        check("http://config:8083/path", false);
        check("http://config:8083?x=1", false);
        check("dns://config", false);
        check("dns://config:8083/path", false);
        check("dns://a:1,dns://b:1", false);
        check("http://a:1,dns://b:1", false);
        check("http://a:1,", false);
        check("", false);
    }

    #[test]
    fn an_address_is_displayed_as_it_was_parsed() {
        for text in ["http://config:8083/", "http://a:1/,http://b:2/", "dns://config:8083"] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), text);
        }
    }
}
