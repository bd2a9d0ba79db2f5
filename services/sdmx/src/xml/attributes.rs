//! Scans the attributes of a start tag in one pass, and validates them: well-formed, no duplicates, within the limit.

use std::ops::Range;

use memchr::memchr2;

use crate::error::Fault;

/// The position of one attribute in its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    /// Whether the value is known to read as it is written.
    pub(super) is_plain: bool,
}

/// Fills `spans` with the attributes of `tag`, starting at `start`.
pub(super) fn scan(tag: &str, start: usize, limit: usize, spans: &mut Vec<Span>) -> Result<(), Fault> {
    let bytes = tag.as_bytes();
    let mut at = start;
    loop {
        let name_start = skip_space(bytes, at);
        if name_start == bytes.len() {
            return Ok(());
        }
        if name_start == at {
            return Err(malformed("two attributes without a space between", "white space"));
        }
        if spans.len() == limit {
            return Err(Fault::TooManyAttributes { limit });
        }
        let length = bytes[name_start..].iter().position(|&byte| byte == b'=' || is_space(byte));
        let name = name_start..length.map_or(bytes.len(), |length| name_start + length);
        let equals = skip_space(bytes, name.end);
        if name.is_empty() || bytes.get(equals) != Some(&b'=') {
            return Err(malformed("an attribute without a value", "name=\"value\""));
        }
        let open = skip_space(bytes, equals + 1);
        let Some(quote @ (b'"' | b'\'')) = bytes.get(open).copied() else {
            return Err(malformed("an attribute value without quotes", "name=\"value\""));
        };
        let value_start = open + 1;
        let value = match memchr2(quote, b'<', &bytes[value_start..]).map(|length| value_start + length) {
            Some(end) if bytes[end] == quote => value_start..end,
            Some(_) => return Err(malformed("'<' in an attribute value", "&lt;")),
            None => return Err(malformed("an attribute value without an end", "its closing quote")),
        };
        if spans.iter().any(|span| bytes[span.name.clone()] == bytes[name.clone()]) {
            let name = tag[name].chars().take(40).collect::<String>();
            return Err(malformed(&format!("attribute {name:?} twice"), "each attribute once"));
        }
        at = value.end + 1;
        spans.push(Span { name, value, is_plain: false });
    }
}

/// Whether one of these attributes of a tag declares a namespace.
#[inline]
pub(super) fn declare_namespaces(tag: &[u8], spans: &[Span]) -> bool {
    spans.iter().any(|span| tag[span.name.start..].starts_with(b"xmlns"))
}

/// The first non-white-space byte at or after `from`; the end if there is none.
#[inline]
fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(|&byte| is_space(byte)) {
        at += 1;
    }
    at
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cold]
fn malformed(found: &str, expected: &str) -> Fault {
    Fault::Malformed { found: format!("found {found} in a start tag"), expected: expected.to_owned() }
}
