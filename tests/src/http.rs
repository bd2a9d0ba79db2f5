//! HTTP/1 over a plain TCP connection, for requests that no client library sends: malformed heads, truncated bodies.
//!
//! One request per connection: a response without a length ends with the connection, so every request sends
//! `connection: close`.

use std::io;

use dataflow_mesh::outbound::Upstream;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::eventually::TIMEOUT;

/// The end of a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// A response.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// The status code, from 100 to 599.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decoded if it was chunked. Empty in an interim response.
    pub body: Vec<u8>,
}

/// A connection to a server. It closes when dropped.
#[derive(Debug)]
pub struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    unread: Vec<u8>,
}

/// Sends these bytes unchanged, and reads the response concurrently. A server that rejects the request may close the
/// connection before it has read everything; that is not an error.
///
/// # Errors
///
/// If there is no complete response within [`TIMEOUT`].
pub async fn send(upstream: &Upstream, bytes: &[u8]) -> io::Result<HttpResponse> {
    let Connection { reader, mut writer, unread } = Connection::open(upstream).await?;
    let sending = async {
        // The response shows the outcome; the connection must stay open until then.
        let _ = writer.write_all(bytes).await;
        std::future::pending().await
    };
    tokio::select! {
        response = in_time(read_response(reader, unread)) => response,
        never = sending => never,
    }
}

/// Sends a request of these unvalidated parts and reads the response. `Host`, `Connection` and, with a body,
/// `Content-Length` are added.
///
/// # Errors
///
/// As [`send`].
pub async fn request(
    upstream: &Upstream,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<HttpResponse> {
    let head = head(method, target, headers, (!body.is_empty()).then_some(body.len()));
    send(upstream, &[head.as_bytes(), body].concat()).await
}

/// The head of a request with `connection: close` and, if it has a body, its length.
pub fn head(method: &str, target: &str, headers: &[(&str, &str)], length: Option<usize>) -> String {
    let length = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{length}{headers}\r\n")
}

// === impl Connection ===

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If the port is closed.
    pub async fn open(upstream: &Upstream) -> io::Result<Self> {
        let url = upstream.to_string();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let (reader, writer) = in_time(TcpStream::connect(address)).await?.into_split();
        Ok(Self { reader, writer, unread: Vec::new() })
    }

    /// Sends these bytes unchanged.
    ///
    /// # Errors
    ///
    /// If the server has closed the connection, or does not accept them within [`TIMEOUT`].
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        in_time(self.writer.write_all(bytes)).await
    }

    /// The head of the next response, which may be an interim one without a body.
    ///
    /// # Errors
    ///
    /// If there is none within [`TIMEOUT`].
    pub async fn interim(&mut self) -> io::Result<HttpResponse> {
        in_time(next_head(&mut self.reader, &mut self.unread)).await
    }

    /// The next response with its body, which may end with the connection.
    ///
    /// # Errors
    ///
    /// If it is not complete within [`TIMEOUT`].
    pub async fn response(self) -> io::Result<HttpResponse> {
        let Self { reader, writer: _writer, unread } = self;
        in_time(read_response(reader, unread)).await
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(TIMEOUT, work).await?
}

async fn read_response(mut reader: OwnedReadHalf, mut unread: Vec<u8>) -> io::Result<HttpResponse> {
    let HttpResponse { status, headers, .. } = next_head(&mut reader, &mut unread).await?;
    let length = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    // A server may keep the connection open to drain the request; a response with a length ends before that.
    while length.is_none_or(|length: usize| unread.len() < length) && reader.read_buf(&mut unread).await? > 0
    {
    }
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if is_chunked { dechunked(&unread)? } else { unread };
    // A response to HEAD has a length but no body.
    if length.is_some_and(|length| length != body.len() && !body.is_empty()) {
        return Err(malformed("the length of the body differs from content-length"));
    }
    Ok(HttpResponse { status, headers, body })
}

async fn next_head(reader: &mut OwnedReadHalf, unread: &mut Vec<u8>) -> io::Result<HttpResponse> {
    let end = loop {
        match unread.windows(BLANK_LINE.len()).position(|window| window == BLANK_LINE) {
            Some(end) => break end,
            None if reader.read_buf(unread).await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    };
    let rest = unread.split_off(end + BLANK_LINE.len());
    let head = std::mem::replace(unread, rest);
    parsed(&head[..end]).ok_or_else(|| malformed("a malformed response head"))
}

/// Parses a head without its blank line.
fn parsed(head: &[u8]) -> Option<HttpResponse> {
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers
            .append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(HttpResponse { status, headers, body: Vec::new() })
}

/// Decodes chunks (RFC 9112, 7.1); trailers are ignored.
fn dechunked(mut chunks: &[u8]) -> io::Result<Vec<u8>> {
    let broken = || malformed("a truncated chunk");
    let mut whole = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").ok_or_else(broken)?;
        let size = str::from_utf8(&chunks[..end]).ok().and_then(|size| size.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or_else(broken)?;
        if size == 0 {
            return Ok(whole);
        }
        let (chunk, rest) = chunks[end + 2..].split_at_checked(size).ok_or_else(broken)?;
        whole.extend_from_slice(chunk);
        chunks = rest.strip_prefix(b"\r\n").ok_or_else(broken)?;
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_decoded_and_a_missing_end_is_an_error() {
        let check = |chunks: &str, expected: Option<&str>| {
            let whole = dechunked(chunks.as_bytes()).ok();
            assert_eq!(whole, expected.map(|whole| whole.as_bytes().to_vec()), "{chunks:?}");
        };
        check("0\r\n\r\n", Some(""));
        check("3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n", Some("abc0123456789"));
        check("3\r\nabc\r\n", None);
        check("3\r\nab", None);
        check("x\r\n", None);
        check("", None);
    }

    #[test]
    fn a_head_is_a_status_and_headers() {
        let check = |head: &str, expected: Option<(u16, &str)>| {
            let read = parsed(head.as_bytes());
            let read = read.map(|response| (response.status, format!("{:?}", response.headers)));
            assert_eq!(read, expected.map(|(status, headers)| (status, headers.to_owned())), "{head:?}");
        };
        check("HTTP/1.1 100 Continue", Some((100, "{}")));
        check("HTTP/1.0 200 OK\r\nA: b:c\r\nd:e", Some((200, r#"{"a": "b:c", "d": "e"}"#)));
        check("HTTP/1.1", None);
        check("HTTP/1.1 200 OK\r\nno header", None);
        check("ICY 200 OK", None);
    }
}
