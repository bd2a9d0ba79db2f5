//! The conditions `If-Match` and `If-None-Match` (RFC 9110, 13) against the etag of a resource. For a request that
//! reads, the reply is the resource; for one that changes something, another call reads it first. A single etag of the
//! latter is for the service to compare, see `etag`.

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};

/// The conditions of a request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What a request with conditions is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The resource.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not the one that the client wants.
    Failed,
}

/// The value of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    /// Each with whether it is weak.
    These(Vec<(bool, String)>),
}

// === impl Conditions ===

impl Conditions {
    /// Reads the headers. A condition that is not in the form of RFC 9110 matches nothing.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self { if_match: Tags::read(headers, IF_MATCH), if_none_match: Tags::read(headers, IF_NONE_MATCH) }
    }

    /// Whether a request that changes something can only be decided by the present etag: the service compares one etag,
    /// and knows nothing of a version that the resource must not have. A method that `makes` a resource does not tell
    /// either whether there was one.
    pub(super) fn need_lookup(&self, makes: bool) -> bool {
        let needs = match &self.if_match {
            Some(Tags::Any) => makes,
            Some(Tags::These(tags)) => tags.len() > 1,
            None => false,
        };
        needs || self.if_none_match.is_some()
    }

    /// Whether the resource must exist.
    pub(super) fn require_one(&self) -> bool {
        self.if_match.is_some()
    }

    /// Whether it may have any etag.
    pub(super) fn require_any(&self) -> bool {
        self.if_match == Some(Tags::Any)
    }

    /// One of the etags that the resource may have, and that a service can compare.
    pub(super) fn required(&self) -> Option<&str> {
        let Some(Tags::These(tags)) = &self.if_match else { return None };
        let mut strong = tags.iter().filter(|(is_weak, _)| !is_weak).map(|(_, tag)| tag.as_str());
        strong.find(|tag| is_etag(tag))
    }

    /// Whether they state what the resource must not be.
    pub(super) fn exclude(&self) -> bool {
        self.if_none_match.is_some()
    }

    /// The etag of the representation that the client has, if it is one of the resource's: a 304 states it again.
    pub(super) fn known(&self, etag: &str) -> Option<&str> {
        let Some(Tags::These(tags)) = &self.if_none_match else { return None };
        tags.iter().map(|(_, tag)| tag.as_str()).find(|tag| *tag == etag || without_coding(tag) == etag)
    }

    /// Decides by the etag of the resource, which has none if it is empty, in the order of RFC 9110, 13.2.2.
    pub(super) fn verdict(&self, etag: &str) -> Verdict {
        let weakly =
            |(_, tag): &(bool, String)| !etag.is_empty() && (tag == etag || without_coding(tag) == etag);
        let strongly = |tag: &(bool, String)| !tag.0 && weakly(tag);
        match (&self.if_match, &self.if_none_match) {
            (Some(Tags::These(tags)), _) if !tags.iter().any(strongly) => Verdict::Failed,
            (_, Some(Tags::Any)) => Verdict::NotModified,
            (_, Some(Tags::These(tags))) if tags.iter().any(weakly) => Verdict::NotModified,
            _ => Verdict::Send,
        }
    }
}

// === impl Tags ===

impl Tags {
    /// The entity tags of all headers of this name; none if there is no such header.
    fn read(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        if !headers.contains_key(&name) {
            return None;
        }
        let mut tags = Vec::new();
        for value in headers.get_all(&name) {
            let value = value.to_str().unwrap_or_default().trim();
            if value == "*" {
                return Some(Tags::Any);
            }
            tags.extend(list(value).unwrap_or_default());
        }
        Some(Tags::These(tags))
    }
}

/// Whether a resource may have this etag: `etagc` of RFC 9110, as far as it is ASCII; without the comma, which would
/// read as a list.
pub(super) fn is_etag(tag: &str) -> bool {
    let is_char = |each: u8| each.is_ascii_graphic() && each != b'"' && each != b',';
    !tag.is_empty() && tag.bytes().all(is_char)
}

/// The suffixes of etags of representations in a coding.
const CODED: [&str; 2] = ["-gzip", "-br"];

/// The suffix of an etag that ends like one of these by itself.
const PLAIN: &str = "-id";

/// The etag of a resource, as it stands in a header, where a suffix says what its representation is coded in.
pub(super) fn in_header(etag: &str) -> String {
    let is_ambiguous = CODED.iter().chain([&PLAIN]).any(|suffix| etag.ends_with(suffix));
    format!("\"{etag}{}\"", if is_ambiguous { PLAIN } else { "" })
}

/// The etag of a resource whose representation has this one.
pub(super) fn without_coding(tag: &str) -> &str {
    let plain = CODED.iter().find_map(|suffix| tag.strip_suffix(suffix)).unwrap_or(tag);
    plain.strip_suffix(PLAIN).unwrap_or(plain)
}

/// A list of entity tags, `W/"a", "b"`. A comma within a tag does not separate.
fn list(value: &str) -> Option<Vec<(bool, String)>> {
    let (mut tags, mut rest) = (Vec::new(), value.trim_start_matches([' ', '\t', ',']));
    while !rest.is_empty() {
        let (is_weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push((is_weak, tag.to_owned()));
        let after = after.trim_start();
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn conditions_are_those_of_rfc_9110() {
        let check = |headers: &[(HeaderName, &'static str)], expected: Verdict| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let headers = headers.fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            });
            assert_eq!(Conditions::read(&headers).verdict("7"), expected, "{headers:?}");
        };
        let (if_match, if_none_match) = (|value| (IF_MATCH, value), |value| (IF_NONE_MATCH, value));
        check(&[], Verdict::Send);
        check(&[if_none_match("\"7\"")], Verdict::NotModified);
        check(&[if_none_match("W/\"7\"")], Verdict::NotModified);
        check(&[if_none_match("\"6\", \"a,b\" ,W/\"7\"")], Verdict::NotModified);
        check(&[if_none_match("\"6\""), if_none_match("\"7\"")], Verdict::NotModified);
        check(&[if_none_match("*")], Verdict::NotModified);
        check(&[if_none_match("\"7-gzip\"")], Verdict::NotModified);
        check(&[if_none_match("\"7-zip\"")], Verdict::Send);
        check(&[if_match("\"7-br\"")], Verdict::Send);
        check(&[if_none_match("\"6\"")], Verdict::Send);
        check(&[if_none_match("7")], Verdict::Send);
        check(&[if_none_match("\"7")], Verdict::Send);
        check(&[if_none_match("")], Verdict::Send);
        check(&[if_match("\"7\"")], Verdict::Send);
        check(&[if_match("\"6\",\"7\"")], Verdict::Send);
        check(&[if_match("*")], Verdict::Send);
        check(&[if_match("W/\"7\"")], Verdict::Failed);
        check(&[if_match("\"6\"")], Verdict::Failed);
        check(&[if_match("7")], Verdict::Failed);
        check(&[if_match("\"6\""), if_none_match("\"7\"")], Verdict::Failed);
        check(&[if_match("\"7\""), if_none_match("\"7\"")], Verdict::NotModified);
    }

    #[test]
    fn the_service_compares_an_etag_that_it_may_have_made() {
        for (value, expected) in [
            ("\"a,b\", \"c\"", Some("c")),
            ("\"a b\", \"a,b\"", None),
            ("W/\"a\", \"\", \"b\"", Some("b")),
            ("*", None),
        ] {
            let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(value))]);
            assert_eq!(Conditions::read(&headers).required(), expected, "{value}");
        }
    }

    #[test]
    fn an_etag_returns_from_its_header_whatever_it_ends_in() {
        for etag in ["7", "a-gzip", "a-br", "a-id", "a-br-id", "a-id-br", "-id", "gzip", "a-gzip-br"] {
            let stated = in_header(etag);
            let tag = stated.trim_matches('"');
            assert_eq!(without_coding(tag), etag);
            for coding in CODED {
                assert_eq!(without_coding(&format!("{tag}{coding}")), etag, "{coding}");
            }
        }
    }

    #[test]
    fn a_resource_without_an_etag_matches_no_tag() {
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"\""))]);
        assert_eq!(Conditions::read(&headers).verdict(""), Verdict::Send);
    }
}
