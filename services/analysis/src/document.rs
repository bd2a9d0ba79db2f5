//! Streams a document from the network to its parser thread: bytes go through a bounded channel, so that a slow parser
//! causes backpressure instead of memory growth.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::budget::Canceled;

/// Capacity of the channel, in pieces. Two, so that one can arrive while the other is read.
const CHANNEL_CAPACITY: usize = 2;

/// Identifies a document by its content: SHA-256 of the bytes as they were sent.
pub type Fingerprint = [u8; 32];

/// The sending half.
#[derive(Debug)]
pub struct DocumentSender {
    /// `None` marks the end of the document. A sender that is dropped without it was interrupted, which must not look
    /// like an end.
    pieces: mpsc::Sender<Option<Bytes>>,
}

/// The receiving half, which the parser reads.
#[derive(Debug)]
pub struct DocumentReader {
    pieces: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
    canceled: Canceled,
}

/// Computes the fingerprint of everything that is read through it.
#[derive(Debug)]
pub struct FingerprintReader<R> {
    read: R,
    hasher: Sha256,
}

/// The parser stopped reading: it failed, and its result has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderClosed;

/// Creates a sender and its reader, which fails when the call was `canceled`.
pub fn channel(canceled: Canceled) -> (DocumentSender, DocumentReader) {
    let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    (
        DocumentSender { pieces: sender },
        DocumentReader { pieces: receiver, current: Bytes::new(), ended: false, canceled },
    )
}

/// The fingerprint of a complete document. Takes milliseconds per megabyte.
pub fn fingerprint(pieces: &[Bytes]) -> Fingerprint {
    let hasher = pieces.iter().fold(Sha256::new(), |hasher, piece| hasher.chain_update(piece));
    hasher.finalize().into()
}

/// The fingerprint of a document of which `pieces` have arrived and `rest` is still to come.
///
/// # Errors
///
/// If the upload is interrupted.
pub async fn fingerprint_of<E>(
    pieces: Vec<Bytes>,
    rest: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Fingerprint, E> {
    let hasher = stream::iter(pieces).map(Ok).chain(rest);
    let hasher = hasher.try_fold(Sha256::new(), async |hasher, piece| Ok(hasher.chain_update(&piece)));
    Ok(hasher.await?.finalize().into())
}

// === impl DocumentSender ===

impl DocumentSender {
    /// Sends a piece, and waits while the channel is full.
    ///
    /// # Errors
    ///
    /// [`ReaderClosed`] if the parser has stopped reading.
    pub async fn send(&self, piece: Bytes) -> Result<(), ReaderClosed> {
        self.pieces.send(Some(piece)).await.map_err(|_| ReaderClosed)
    }

    /// Marks the document as complete.
    ///
    /// # Errors
    ///
    /// [`ReaderClosed`] if the parser has stopped reading.
    pub async fn finish(self) -> Result<(), ReaderClosed> {
        self.pieces.send(None).await.map_err(|_| ReaderClosed)
    }
}

// === impl DocumentReader ===

/// Blocks until a piece arrives: call it on blocking threads, never on the runtime's threads.
impl Read for DocumentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.current = piece,
                Some(None) => self.ended = true,
                None => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload was interrupted"));
                }
            }
        }
        // A large piece keeps the parser busy long after the caller has left.
        if self.canceled.get() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the call was canceled"));
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

// === impl FingerprintReader ===

impl<R> FingerprintReader<R> {
    /// Wraps a document from which nothing has been read yet.
    pub fn new(read: R) -> Self {
        Self { read, hasher: Sha256::new() }
    }

    /// The fingerprint of everything that was read.
    pub fn fingerprint(self) -> Fingerprint {
        self.hasher.finalize().into()
    }
}

impl<R: Read> Read for FingerprintReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_up_to_the_end() {
        let (sender, mut pieces) = channel(Canceled::default());
        let reader = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            pieces.read_to_string(&mut text).map(|_| text)
        });
        for piece in ["ab", "", "c", "def"] {
            sender.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        sender.finish().await.unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn an_interrupted_document_is_an_error() {
        let (sender, mut pieces) = channel(Canceled::default());
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        drop(sender);
        let read = tokio::task::spawn_blocking(move || pieces.read_to_end(&mut Vec::new())).await.unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn sending_to_a_closed_reader_fails() {
        let (sender, pieces) = channel(Canceled::default());
        drop(pieces);
        assert_eq!(sender.send(Bytes::from_static(b"a")).await, Err(ReaderClosed));
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_the_chunks() {
        let of = |texts: &[&'static str]| {
            fingerprint(&texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect::<Vec<_>>())
        };
        assert_eq!(of(&["ab", "", "c"]), of(&["abc"]));
        assert_ne!(of(&["ab"]), of(&["abc"]));
    }

    #[tokio::test]
    async fn a_fingerprint_does_not_depend_on_what_has_arrived() {
        let [first, second] = ["ab", "c"].map(Bytes::from);
        let rest = stream::iter([Ok::<_, ()>(second.clone())]);
        assert_eq!(fingerprint_of(vec![first.clone()], rest).await, Ok(fingerprint(&[first, second])));
        assert_eq!(fingerprint_of(Vec::new(), stream::iter([Err(7)])).await, Err(7));
    }
}
