//! Responses that have no valid set, each with a part of the problem that is reported.

use super::super::super::jwt::key_set::MAX_BYTES;
use super::server::ok;
use super::set;

/// Content of the responses that no error may show.
pub(super) const CONTENT: &str = "hidden-content";

pub(super) fn invalid() -> Vec<(String, &'static str)> {
    let valid = set(&["new"]);
    let many: Vec<_> = (0..10_000).map(|kid| kid.to_string()).collect();
    let many = set(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let html = format!("<!doctype html>\n<html><head><title>Sign in</title></head>{CONTENT}</html>");
    let zipped = ok("\u{1f}\u{8b}\u{8}").replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    vec![
        (with("500 Oops", ""), "the response has status 500 Internal Server Error, expected 200 OK"),
        (with("404 Not Found", ""), "the response has status 404 Not Found, expected 200 OK"),
        (with("203 X", ""), "the response has status 203 Non Authoritative Information, expected 200 OK"),
        (
            ok(&valid).replacen("200", "206", 1),
            "the response has status 206 Partial Content, expected 200 OK",
        ),
        ("HTTP/1.1 204 X\r\n\r\n".to_owned(), "the response has status 204 No Content, expected 200 OK"),
        (with("302 Found", "location: /keys\r\n"), "has status 302 Found, and redirects are not followed"),
        (with("308 X", "location: http://127.0.0.1:1\r\n"), "Redirect, and redirects are not followed"),
        (ok(&html), r#"not JSON: it starts with "<!doctype html>\n<html><head><title>Sign ""#),
        (ok(""), "the key set is empty"),
        (ok(r#"{"keys":[]}"#), "the key set has no usable key; 0 of"),
        (ok(&many), "the key set has 10000 keys, more than the 1000 allowed"),
        (chunked(&" ".repeat(1 << 16), 32), "more than the 1048576 bytes allowed"),
        // Ends with the connection.
        (format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(2 << 20)), "more than the 1048576 bytes allowed"),
        (ok(&" ".repeat(MAX_BYTES + 1)), "more than the 1048576 bytes allowed"),
        (ok(&" ".repeat(MAX_BYTES)), "the key set is empty"),
        // Ends early: in the body, in the fields, and before the response.
        (ok(&valid)[..100].to_owned(), "end of file before message length reached"),
        (chunked(&valid, 1).replace("0\r\n\r\n", ""), "unexpected EOF during chunk size line"),
        (format!("HTTP/1.1 200 OK\r\n\r\n{}", &valid[..90]), "not JSON"),
        ("HTTP/1.1 200 OK\r\ncontent-le".to_owned(), "connection closed before message completed"),
        (String::new(), "connection closed before message completed"),
        (format!("{CONTENT}\r\n\r\n"), "invalid HTTP version parsed"),
        // Nothing is decompressed.
        (zipped, "not JSON"),
    ]
}

fn with(status: &str, fields: &str) -> String {
    let length = CONTENT.len();
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{CONTENT}")
}

fn chunked(chunk: &str, count: usize) -> String {
    let chunk = format!("{:x}\r\n{chunk}\r\n", chunk.len());
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(count))
}
