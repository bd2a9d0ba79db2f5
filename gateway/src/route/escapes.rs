//! Decodes percent-escapes in a path. Separate from the table, because only RFC 3986 determines which of them may be
//! decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The reserved delimiters of RFC 3986: decoded, they could change the meaning of a path of several segments.
const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";

/// The error of the escapes of a whole path, if any.
pub(super) fn flaw(path: &str) -> Option<&'static str> {
    let is_whole = |after: &str| matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    if !path.split('%').skip(1).all(is_whole) {
        return Some("a percent sign without two hexadecimal digits");
    }
    match percent_decode_str(path).decode_utf8() {
        Err(_) => Some("percent-encoding of something other than UTF-8"),
        Ok(text) if text.contains('\0') => Some("a NUL byte"),
        Ok(_) => None,
    }
}

/// The text of a part of a path without [`flaw`]; borrowed, unless something is escaped. Lossless: such a path is
/// cut at ASCII characters only, so that its parts are UTF-8 too.
pub(super) fn decode(raw: &str) -> Cow<'_, str> {
    if raw.contains('%') { percent_decode_str(raw).decode_utf8_lossy() } else { Cow::Borrowed(raw) }
}

/// As [`decode`], but [`RESERVED`] characters stay escaped as they were written.
pub(super) fn decode_unreserved(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut written = 0;
    for (at, _) in raw.match_indices('%') {
        let end = at + "%2F".len();
        if u8::from_str_radix(&raw[at + 1..end], 16).is_ok_and(|byte| RESERVED.contains(&byte)) {
            text += &decode(&raw[written..at]);
            text += &raw[at..end];
            written = end;
        }
    }
    text + &decode(&raw[written..])
}
