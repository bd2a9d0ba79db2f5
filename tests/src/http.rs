//! HTTP/1 over a bare connection, for what no client library would send: heads that are none, bodies that break off.
//!
//! One request a connection: an answer without a length ends with the connection, so every request asks for its close.

use std::io;

use dataflow_mesh::outbound::Upstream;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::eventually::TIMEOUT;

/// What ends a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code, from 100 to 599.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, out of its chunks if it came in such. Empty in an interim answer.
    pub body: Vec<u8>,
}

/// A connection to a server. Dropped, it closes.
#[derive(Debug)]
pub struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    unread: Vec<u8>,
}

/// Sends these bytes as they are, and reads the answer meanwhile. A server that has refused may close before it has
/// read everything; that is no failure.
///
/// # Errors
///
/// When there is no whole answer within [`TIMEOUT`].
pub async fn send(upstream: &Upstream, bytes: &[u8]) -> io::Result<Answer> {
    let Connection { reader, mut writer, unread } = Connection::open(upstream).await?;
    let sending = async {
        // What became of it shows in the answer, until which the connection must stay open.
        let _ = writer.write_all(bytes).await;
        std::future::pending().await
    };
    tokio::select! {
        answer = in_time(answer(reader, unread)) => answer,
        never = sending => never,
    }
}

/// Sends a request of these parts, none of which is looked at, and reads the answer. `Host`, `Connection` and, with a
/// body, `Content-Length` are added.
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
) -> io::Result<Answer> {
    let head = head(method, target, headers, (!body.is_empty()).then_some(body.len()));
    send(upstream, &[head.as_bytes(), body].concat()).await
}

/// The head of a request that says how long its body is, if it has one, and closes the connection.
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
    /// When nobody listens.
    pub async fn open(upstream: &Upstream) -> io::Result<Self> {
        let url = upstream.to_string();
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let (reader, writer) = in_time(TcpStream::connect(address)).await?.into_split();
        Ok(Self { reader, writer, unread: Vec::new() })
    }

    /// Sends these bytes as they are.
    ///
    /// # Errors
    ///
    /// When the server has closed, or does not take them within [`TIMEOUT`].
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        in_time(self.writer.write_all(bytes)).await
    }

    /// The next answer's head, be it an interim one, which has no body.
    ///
    /// # Errors
    ///
    /// When there is none within [`TIMEOUT`].
    pub async fn interim(&mut self) -> io::Result<Answer> {
        in_time(next_head(&mut self.reader, &mut self.unread)).await
    }

    /// The next answer and, with the connection, its body.
    ///
    /// # Errors
    ///
    /// When it is not whole within [`TIMEOUT`].
    pub async fn answer(self) -> io::Result<Answer> {
        let Self { reader, writer: _writer, unread } = self;
        in_time(answer(reader, unread)).await
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(TIMEOUT, work).await?
}

async fn answer(mut reader: OwnedReadHalf, mut unread: Vec<u8>) -> io::Result<Answer> {
    let Answer { status, headers, .. } = next_head(&mut reader, &mut unread).await?;
    let length = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    // A server may keep the connection for what it still reads; of an answer that tells its length, none waits for it.
    while length.is_none_or(|length: usize| unread.len() < length) && reader.read_buf(&mut unread).await? > 0
    {
    }
    let is_chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let body = if is_chunked { dechunked(&unread)? } else { unread };
    // An answer to HEAD has none of the bytes it tells of.
    if length.is_some_and(|length| length != body.len() && !body.is_empty()) {
        return Err(malformed("a body of another length than its head says"));
    }
    Ok(Answer { status, headers, body })
}

async fn next_head(reader: &mut OwnedReadHalf, unread: &mut Vec<u8>) -> io::Result<Answer> {
    let end = loop {
        match unread.windows(BLANK_LINE.len()).position(|window| window == BLANK_LINE) {
            Some(end) => break end,
            None if reader.read_buf(unread).await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    };
    let rest = unread.split_off(end + BLANK_LINE.len());
    let head = std::mem::replace(unread, rest);
    parsed(&head[..end]).ok_or_else(|| malformed("an answer's head that is none"))
}

/// What a head says, without the blank line.
fn parsed(head: &[u8]) -> Option<Answer> {
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers
            .append(name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(Answer { status, headers, body: Vec::new() })
}

/// The bytes in chunks (RFC 9112, 7.1); trailers are not looked at.
fn dechunked(mut chunks: &[u8]) -> io::Result<Vec<u8>> {
    let broken = || malformed("a chunk that breaks off");
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
    fn chunks_are_put_together_and_a_missing_end_is_noticed() {
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
            let read = read.map(|answer| (answer.status, format!("{:?}", answer.headers)));
            assert_eq!(read, expected.map(|(status, headers)| (status, headers.to_owned())), "{head:?}");
        };
        check("HTTP/1.1 100 Continue", Some((100, "{}")));
        check("HTTP/1.0 200 OK\r\nA: b:c\r\nd:e", Some((200, r#"{"a": "b:c", "d": "e"}"#)));
        check("HTTP/1.1", None);
        check("HTTP/1.1 200 OK\r\nno header", None);
        check("ICY 200 OK", None);
    }
}
