//! A server of HTTP/1.1 whose responses the test writes itself, byte for byte.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::location::Location;

pub(super) struct Server(TcpListener);

/// A request without its response.
pub(super) struct Request {
    stream: TcpStream,
    /// The request line and the fields.
    pub(super) head: String,
}

// === impl Server ===

impl Server {
    pub(super) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn location(&self) -> Location {
        format!("http://{}/keys?tenant=1", self.0.local_addr().unwrap()).parse().unwrap()
    }

    /// The next request. Each has a connection of its own, unless the client gave up before it sent the request.
    pub(super) async fn request(&self) -> Request {
        loop {
            let (mut stream, _) = self.0.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n")
                && let Ok(byte) = stream.read_u8().await
            {
                head.push(byte);
            }
            if head.ends_with(b"\r\n\r\n") {
                return Request { stream, head: String::from_utf8(head).unwrap() };
            }
        }
    }

    /// Answers every request with a document.
    pub(super) async fn serve(&self, document: &str) {
        loop {
            self.request().await.answer(&ok(document)).await;
        }
    }

    /// Answers the first part of one request, and then neither the rest nor any other.
    pub(super) async fn hang(&self, part: &str) {
        let mut request = self.request().await;
        // The client may have given up.
        let _ = request.stream.write_all(part.as_bytes()).await;
        pending().await
    }
}

// === impl Request ===

impl Request {
    pub(super) async fn answer(mut self, response: &str) {
        // The client may close the connection before it has read everything.
        let _ = self.stream.write_all(response.as_bytes()).await;
        let _ = self.stream.shutdown().await;
    }
}

/// The response with a document.
pub(super) fn ok(document: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}", document.len())
}
