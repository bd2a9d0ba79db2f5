//! The header `x-forwarded-client-cert` as Envoy writes it. Each proxy on the way adds an element at the end, after a
//! comma; an element has keys and values, separated by semicolons; a value with one of these characters is quoted, and
//! `\"` in it is a quotation mark. Only the last element is by a proxy that is known: what stands before it may be by
//! anybody, and must not change where the last element begins. So the whole header is read from the left, and one that
//! is not in this form everywhere names no peer.

use super::name;

/// The key of the identity.
const URI: &str = "uri";

/// The beginning of the identities of a mesh.
const SCHEME: &str = "spiffe://";

/// The values of the key `URI` in one element.
#[derive(Default)]
struct Element<'a> {
    uri: Option<&'a [u8]>,
    has_several: bool,
}

/// The identity of the peer of the nearest proxy: the only URI in the last element. None if the header is malformed, or
/// the element has no URI, several, or one that is not a SPIFFE ID.
pub(super) fn identity(header: &[u8]) -> Option<&str> {
    let mut rest = header;
    let mut element = Element::default();
    loop {
        let (key, value, after) = pair(rest)?;
        if key.eq_ignore_ascii_case(URI.as_bytes()) {
            element.has_several = element.uri.replace(value).is_some();
        }
        match after {
            [] => break,
            [b';', after @ ..] => rest = after,
            // `pair` ends at one of the two, or at the end.
            [_, after @ ..] => (element, rest) = (Element::default(), after),
        }
    }
    let uri = element.uri.filter(|_| !element.has_several)?;
    let path = name(uri)?.strip_prefix(SCHEME)?;
    let has_trust_domain = path.starts_with(|first: char| first.is_ascii_alphanumeric());
    str::from_utf8(uri).ok().filter(|_| has_trust_domain)
}

/// The key and the value at the beginning, without quotation marks, and what follows: a separator, or nothing.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // A proxy that joins two headers puts a space after the comma.
    let text = text.trim_ascii_start();
    let equals = text.iter().position(|byte| !byte.is_ascii_alphabetic())?;
    let (key, value) = text.split_at(equals);
    let value = value.strip_prefix(b"=").filter(|_| !key.is_empty())?;
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let end = value.iter().position(|byte| b",;\"".contains(byte)).unwrap_or(value.len());
        let (value, after) = value.split_at(end);
        return (after.first() != Some(&b'"')).then_some((key, value, after));
    };
    let mut end = 0;
    while *quoted.get(end)? != b'"' {
        // A backslash belongs to the character after it, also to a further backslash: distinguished names have both.
        end += if quoted[end] == b'\\' { 2 } else { 1 };
    }
    let (value, after) = (&quoted[..end], &quoted[end + 1..]);
    matches!(after, [] | [b',' | b';', ..]).then_some((key, value, after))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests;
