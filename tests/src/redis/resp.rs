//! A minimal client of Redis' protocol, version 2: sends a command, reads a reply. The client crate is not used, since
//! it is under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::eventually::TIMEOUT;

/// A reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status such as `OK`.
    Simple(String),
    /// An error; its first word is the kind: `NOPERM`, `MOVED`, `ERR`.
    Error(String),
    /// A number.
    Integer(i64),
    /// Stored bytes, or a text about the server.
    Bulk(Vec<u8>),
    /// An absent value or list.
    Nil,
    /// A list of replies.
    Array(Vec<Reply>),
}

/// A connection to a server. It closes when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

// === impl Reply ===

impl Reply {
    /// The text of a status or of UTF-8 bytes.
    ///
    /// # Panics
    ///
    /// If it is anything else.
    pub fn text(&self) -> &str {
        let text = match self {
            Self::Simple(word) => Some(word.as_str()),
            Self::Bulk(bytes) => str::from_utf8(bytes).ok(),
            Self::Error(_) | Self::Integer(_) | Self::Nil | Self::Array(_) => None,
        };
        text.unwrap_or_else(|| panic!("not a text: {self:?}"))
    }

    /// The number.
    ///
    /// # Panics
    ///
    /// If it is not a number.
    pub fn integer(&self) -> i64 {
        if let Self::Integer(number) = self { *number } else { panic!("not a number: {self:?}") }
    }

    /// The replies of a list.
    ///
    /// # Panics
    ///
    /// If it is not a list.
    pub fn items(&self) -> &[Self] {
        if let Self::Array(items) = self { items } else { panic!("not an array: {self:?}") }
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Reads one reply.
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let Some(line) = line.strip_suffix("\r\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
        let number = || rest.parse::<i64>().map_err(|_| malformed());
        Ok(match kind {
            "+" => Self::Simple(rest.to_owned()),
            "-" => Self::Error(rest.to_owned()),
            ":" => Self::Integer(number()?),
            "$" | "*" if rest == "-1" => Self::Nil,
            "$" => {
                let length = u64::try_from(number()?).map_err(|_| malformed())?;
                let mut bytes = Vec::new();
                from.take(length + 2).read_to_end(&mut bytes)?;
                Self::Bulk(bytes.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
            }
            "*" => (0..number()?).map(|_| Self::read(from)).collect::<io::Result<_>>().map(Self::Array)?,
            _ => return Err(malformed()),
        })
    }
}

// === impl Connection ===

impl Connection {
    /// Connects to a port of loopback.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        // A command to a paused server fails the test instead of hanging.
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Whether the server has not closed it, as it does when sentinels change its role. Between commands there is
    /// nothing else to read.
    pub(crate) fn is_open(&self) -> bool {
        let stream = self.stream.get_ref();
        let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        is_idle(&peeked) && stream.set_nonblocking(false).is_ok()
    }

    /// Sends a command and reads the reply to it.
    pub(crate) fn command(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.stream.get_mut().write_all(&command(words))?;
        Reply::read(&mut self.stream)
    }
}

/// Whether there was nothing to read, not even the end; operating systems differ in the error kind.
fn is_idle(peeked: &io::Result<usize>) -> bool {
    use io::ErrorKind::{TimedOut, WouldBlock};
    peeked.as_ref().is_err_and(|error| matches!(error.kind(), WouldBlock | TimedOut))
}

/// A command as it goes over the wire: an array of bulk strings.
fn command(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), words.collect::<String>()).into_bytes()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a malformed reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_to_its_end_and_no_further() {
        let check = |bytes: &str, expected: Reply| {
            let wire = format!("{bytes}+next\r\n");
            let mut wire = wire.as_bytes();
            assert_eq!(Reply::read(&mut wire).unwrap(), expected, "{bytes:?}");
            assert_eq!(wire, b"+next\r\n", "{bytes:?}");
        };
        check("+OK\r\n", Reply::Simple("OK".to_owned()));
        check("-ERR no\r\n", Reply::Error("ERR no".to_owned()));
        check(":-7\r\n", Reply::Integer(-7));
        check("$-1\r\n", Reply::Nil);
        check("*-1\r\n", Reply::Nil);
        check("$0\r\n\r\n", Reply::Bulk(Vec::new()));
        check("$4\r\na\r\nb\r\n", Reply::Bulk(b"a\r\nb".to_vec()));
        check("*0\r\n", Reply::Array(Vec::new()));
        check(
            "*2\r\n*1\r\n:1\r\n$-1\r\n",
            Reply::Array(vec![Reply::Array(vec![Reply::Integer(1)]), Reply::Nil]),
        );
    }

    #[test]
    fn truncated_and_malformed_replies_are_errors() {
        let check = |bytes: &str, expected: io::ErrorKind| {
            let error = Reply::read(&mut bytes.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), expected, "{bytes:?}");
        };
        check("", io::ErrorKind::UnexpectedEof);
        check("+OK", io::ErrorKind::UnexpectedEof);
        check("$3\r\nab", io::ErrorKind::UnexpectedEof);
        check("*2\r\n:1\r\n", io::ErrorKind::UnexpectedEof);
        check("\r\n", io::ErrorKind::InvalidData);
        check("HTTP/1.1 200 OK\r\n", io::ErrorKind::InvalidData);
        check(":x\r\n", io::ErrorKind::InvalidData);
        check("$-2\r\n", io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_command_counts_bytes() {
        assert_eq!(command(&["GET", "è"]), "*2\r\n$3\r\nGET\r\n$2\r\nè\r\n".as_bytes());
    }
}
