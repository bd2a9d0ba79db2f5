//! The head of a part: its headers (RFC 7578, 4), of which the media type is passed on.

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use memchr::{memchr, memmem};

/// The media type of a part that states none.
const UNSTATED: &str = "application/octet-stream";

/// How the bytes of a part are coded (RFC 2045, 6).
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// The transfer encodings that leave the bytes as they are.
const IDENTITIES: [&[u8]; 3] = [b"7bit", b"8bit", b"binary"];

/// Why the head of a part is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem}")]
pub(crate) struct HeadError {
    /// The header that is.
    pub(super) header: &'static str,
    /// The error.
    pub(super) problem: &'static str,
}

/// The media type that the head of a part states, without the blank line at its end. A part must have a name, although
/// its place among the parts is all that counts.
pub(super) fn media_type(head: &[u8]) -> Result<String, HeadError> {
    let (mut disposition, mut media_type, mut encoding) = (None, None, None);
    let mut rest = head;
    while !rest.is_empty() {
        let end = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let (name, value) = header(&rest[..end])?;
        rest = rest.get(end + 2..).unwrap_or_default();
        let (slot, twice) = match name {
            CONTENT_DISPOSITION => (&mut disposition, DISPOSITION.is("it is given twice")),
            CONTENT_TYPE => (&mut media_type, TYPE.is("it is given twice")),
            name if name == TRANSFER_ENCODING => (&mut encoding, ENCODING.is("it is given twice")),
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(twice);
        }
    }
    let disposition = disposition.ok_or(DISPOSITION.is("it is missing"))?;
    check_disposition(disposition.as_bytes()).map_err(|problem| DISPOSITION.is(problem))?;
    let is_identity = |encoding: &HeaderValue| {
        IDENTITIES.iter().any(|identity| encoding.as_bytes().eq_ignore_ascii_case(identity))
    };
    if !encoding.as_ref().is_none_or(is_identity) {
        return Err(ENCODING.is("only 7bit, 8bit and binary are supported: send the bytes as they are"));
    }
    let Some(media_type) = media_type else { return Ok(UNSTATED.to_owned()) };
    match media_type.to_str() {
        Ok("") => Err(TYPE.is("it is empty")),
        Ok(text) if is_multipart(text) => Err(TYPE.is("parts within a part are not supported")),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(TYPE.is("it has characters other than those of ASCII")),
    }
}

/// A header of a part, named in errors.
struct Named(&'static str);

const DISPOSITION: Named = Named("Content-Disposition");
const TYPE: Named = Named("Content-Type");
const ENCODING: Named = Named("Content-Transfer-Encoding");

// === impl Named ===

impl Named {
    fn is(&self, problem: &'static str) -> HeadError {
        HeadError { header: self.0, problem }
    }
}

/// A line of the head. A header may not be continued on a second line (RFC 9112, 5.2).
fn header(line: &[u8]) -> Result<(HeaderName, HeaderValue), HeadError> {
    let invalid = Named("headers").is("a line is not a name, a colon and a value");
    let colon = memchr(b':', line).ok_or(invalid)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| invalid)?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| invalid)?;
    Ok((name, value))
}

fn is_multipart(media_type: &str) -> bool {
    media_type.split('/').next().is_some_and(|kind| kind.eq_ignore_ascii_case("multipart"))
}

/// Checks that a `Content-Disposition` is `form-data` with one name.
fn check_disposition(value: &[u8]) -> Result<(), &'static str> {
    let (kind, mut rest) = value.split_at(memchr(b';', value).unwrap_or(value.len()));
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err("it is not form-data");
    }
    let mut is_named = false;
    while let Some((_, parameter)) = rest.split_first() {
        let parameter = parameter.trim_ascii_start();
        if parameter.is_empty() {
            break;
        }
        let equals = memchr(b'=', parameter).ok_or("a parameter has no value")?;
        let (name, value) = (parameter[..equals].trim_ascii(), parameter[equals + 1..].trim_ascii_start());
        let is_name = name.eq_ignore_ascii_case(b"name");
        if is_name && is_named {
            return Err("it has two names");
        }
        is_named |= is_name;
        rest = value[end_of(value)?..].trim_ascii_start();
        if rest.first().is_some_and(|byte| *byte != b';') {
            return Err("a text in quotes is followed by other text");
        }
    }
    if is_named { Ok(()) } else { Err("it has no name") }
}

/// Where the value of a parameter ends: a token, or a text in quotes, in which a backslash takes the next character as
/// it is.
fn end_of(value: &[u8]) -> Result<usize, &'static str> {
    if value.first() != Some(&b'"') {
        return Ok(memchr(b';', value).unwrap_or(value.len()));
    }
    let mut is_escaped = false;
    for (at, byte) in value.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err("a text in quotes has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The media type of a part, or the header that is invalid and why.
    fn read(head: &str) -> Result<String, String> {
        media_type(head.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_head_states_the_media_type() {
        let check = |head: &str, expected: &str| assert_eq!(read(head).as_deref(), Ok(expected), "{head:?}");
        let named = "Content-Disposition: form-data; name=\"a\"";
        check(named, UNSTATED);
        check(&format!("{named}\r\nContent-Type: text/csv; charset=utf-8"), "text/csv; charset=utf-8");
        check(&format!("content-type:text/csv \r\nX-Other: y\r\n{named}"), "text/csv");
        check(&format!("{named}\r\nContent-Transfer-Encoding: Binary"), UNSTATED);
        check("CONTENT-DISPOSITION: Form-Data ; NAME=a", UNSTATED);
        check("Content-Disposition: form-data; filename=\"a;name=b\\\".xml\"; name = \"\";", UNSTATED);
        check("Content-Disposition: form-data; name=\"a\"; filename=\"caff\u{e8}.xml\"", UNSTATED);
    }

    #[test]
    fn an_invalid_head_names_the_header() {
        let check = |head: &str, expected: &str| {
            assert_eq!(read(head).as_ref().map_err(String::as_str), Err(expected), "{head:?}");
        };
        let named = "Content-Disposition: form-data; name=a";
        check("", "Content-Disposition: it is missing");
        check("Content-Disposition: attachment; name=a", "Content-Disposition: it is not form-data");
        check("Content-Disposition: form-data", "Content-Disposition: it has no name");
        check("Content-Disposition: form-data; filename=\"name=a\"", "Content-Disposition: it has no name");
        check("Content-Disposition: form-data; name*=UTF-8''a", "Content-Disposition: it has no name");
        check("Content-Disposition: form-data; name", "Content-Disposition: a parameter has no value");
        check(&format!("{named}; name=b"), "Content-Disposition: it has two names");
        check(&format!("{named}; filename=\"b"), "Content-Disposition: a text in quotes has no end");
        check(
            &format!("{named}; filename=\"b\"c"),
            "Content-Disposition: a text in quotes is followed by other text",
        );
        check(&format!("{named}\r\n{named}"), "Content-Disposition: it is given twice");
        check(
            &format!("{named}\r\nContent-Type: a/b\r\nContent-Type: a/b"),
            "Content-Type: it is given twice",
        );
        check(&format!("{named}\r\nContent-Type:"), "Content-Type: it is empty");
        check(
            &format!("{named}\r\nContent-Type: a/\u{e8}"),
            "Content-Type: it has characters other than those of ASCII",
        );
        check(
            &format!("{named}\r\nContent-Type: Multipart/Mixed; boundary=b"),
            "Content-Type: parts within a part are not supported",
        );
        for encoding in ["base64", "quoted-printable", "gzip", ""] {
            check(
                &format!("{named}\r\nContent-Transfer-Encoding: {encoding}"),
                "Content-Transfer-Encoding: only 7bit, 8bit and binary are supported: send the bytes as they are",
            );
        }
        let line = "headers: a line is not a name, a colon and a value";
        for head in ["no colon", ": a", "a b: c", "a: b\r\n folded", "a: b\nc: d", "a: b\rc: d", "a: \0"] {
            check(head, line);
        }
    }
}
