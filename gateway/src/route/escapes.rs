//! How percent-escapes in a path are read. Apart from the table, which decides where: what may be decoded and what must
//! stay as it was written is a question of RFC 3986 alone.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What RFC 3986 reserves as delimiters: decoded, they could change what a path of several segments says.
const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";

/// What is wrong with the escapes of a whole path; nothing in most.
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

/// As [`decode`], but what is [`RESERVED`] stays escaped as it was written.
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
