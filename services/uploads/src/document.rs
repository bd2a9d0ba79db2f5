//! Streams documents from the network to their parser thread: bytes go through a bounded channel, so that a slow parser
//! causes backpressure instead of memory growth. A call may have several documents, which are read one after the other.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::budget::Canceled;
use crate::seat::Seat;

/// Capacity of the channel, in pieces. Two, so that one can arrive while the other is read.
const CHANNEL_CAPACITY: usize = 2;

/// The most bytes of one read, of which each notices that the call was canceled: compressed ones may be a thousand times
/// as many elements.
const READ_BYTES: usize = 8 * 1024;

/// Identifies the documents of a call by their content. For one document it is the SHA-256 of its bytes as they were
/// sent; for several the SHA-256 of theirs, one after the other.
pub type Fingerprint = [u8; 32];

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes of the current document.
    Bytes(Bytes),
    /// The next document begins. The first one begins without it.
    NextDocument,
}

/// Documents that are read one after the other: reading ends at the end of the current one.
pub trait Documents: Read {
    /// Skips the rest of the current document and goes on to the next one. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// If the upload was interrupted.
    fn next_document(&mut self) -> io::Result<bool>;
}

/// One document, without further ones.
#[derive(Debug)]
pub struct Single<R>(pub R);

/// A document as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its bytes, as they were sent.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// Computes the fingerprint of documents.
#[derive(Debug, Clone, Default)]
struct Fingerprinter {
    /// The current document.
    document: Sha256,
    /// Its bytes so far.
    bytes: u64,
    /// The documents before it.
    before: Vec<Received>,
}

/// The sending half.
#[derive(Debug)]
pub struct DocumentSender {
    /// `None` marks the end of the last document. A sender that is dropped without it was interrupted, which must not
    /// look like an end.
    parts: mpsc::Sender<Option<Part>>,
}

/// The receiving half, which the parser reads.
#[derive(Debug)]
pub struct DocumentReader {
    parts: mpsc::Receiver<Option<Part>>,
    current: Bytes,
    state: State,
    canceled: Canceled,
    seat: Seat,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within a document.
    Within,
    /// At the end of a document that another one follows.
    Between,
    /// At the end of the last document.
    Ended,
}

/// Computes the fingerprint of everything that is read through it.
#[derive(Debug)]
pub struct FingerprintReader<R> {
    read: R,
    fingerprinter: Fingerprinter,
}

/// The parser stopped reading: it failed, and its result has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderClosed;

/// Creates a sender and its reader, which fails when the call was `canceled`.
pub fn channel(canceled: Canceled, seat: Seat) -> (DocumentSender, DocumentReader) {
    let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let reader =
        DocumentReader { parts: receiver, current: Bytes::new(), state: State::Within, canceled, seat };
    (DocumentSender { parts: sender }, reader)
}

/// The fingerprint of complete documents. Takes milliseconds per megabyte.
pub fn fingerprint(parts: &[Part]) -> Fingerprint {
    let mut fingerprinter = Fingerprinter::default();
    parts.iter().for_each(|part| fingerprinter.add(part));
    fingerprinter.finish()
}

/// The fingerprint of documents of which `parts` have arrived and `rest` is still to come.
///
/// # Errors
///
/// If the upload is interrupted.
pub async fn fingerprint_of<E>(
    parts: Vec<Part>,
    rest: impl Stream<Item = Result<Part, E>>,
) -> Result<Fingerprint, E> {
    let mut parts = std::pin::pin!(stream::iter(parts).map(Ok).chain(rest));
    let mut fingerprinter = Fingerprinter::default();
    while let Some(part) = parts.next().await.transpose()? {
        fingerprinter.add(&part);
    }
    Ok(fingerprinter.finish())
}

// === impl Fingerprinter ===

impl Fingerprinter {
    fn add(&mut self, part: &Part) {
        match part {
            Part::Bytes(bytes) => self.update(bytes),
            Part::NextDocument => self.next_document(),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.document.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn next_document(&mut self) {
        let sha256 = std::mem::take(&mut self.document).finalize().into();
        self.before.push(Received { bytes: std::mem::take(&mut self.bytes), sha256 });
    }

    fn into_documents(mut self) -> Vec<Received> {
        self.next_document();
        self.before
    }

    fn finish(self) -> Fingerprint {
        fingerprint_of_all(&self.into_documents())
    }
}

/// The fingerprint of documents.
fn fingerprint_of_all(documents: &[Received]) -> Fingerprint {
    match documents {
        [only] => only.sha256,
        several => {
            let digests = several.iter().map(|document| document.sha256);
            digests.fold(Sha256::new(), |all, digest| all.chain_update(digest)).finalize().into()
        }
    }
}

// === impl DocumentSender ===

impl DocumentSender {
    /// Resolves when the parser has stopped reading.
    pub async fn closed(&self) {
        self.parts.closed().await;
    }

    /// Sends a part, and waits while the channel is full.
    ///
    /// # Errors
    ///
    /// [`ReaderClosed`] if the parser has stopped reading.
    pub async fn send(&self, part: Part) -> Result<(), ReaderClosed> {
        self.parts.send(Some(part)).await.map_err(|_| ReaderClosed)
    }

    /// Marks the last document as complete.
    ///
    /// # Errors
    ///
    /// [`ReaderClosed`] if the parser has stopped reading.
    pub async fn finish(self) -> Result<(), ReaderClosed> {
        self.parts.send(None).await.map_err(|_| ReaderClosed)
    }
}

// === impl DocumentReader ===

/// Blocks until a part arrives: call it on blocking threads, never on the runtime's threads.
impl Read for DocumentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && self.state == State::Within {
            let part = match self.parts.try_recv() {
                Err(TryRecvError::Empty) => {
                    let parts = &mut self.parts;
                    self.seat.leave_for(|| parts.blocking_recv())
                }
                part => part.ok(),
            };
            match part {
                Some(Some(Part::Bytes(bytes))) => self.current = bytes,
                Some(Some(Part::NextDocument)) => self.state = State::Between,
                Some(None) => self.state = State::Ended,
                None => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload was interrupted"));
                }
            }
        }
        // A large piece keeps the parser busy long after the caller has left.
        if self.canceled.get() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the call was canceled"));
        }
        let count = self.current.len().min(buffer.len()).min(READ_BYTES);
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Documents for DocumentReader {
    fn next_document(&mut self) -> io::Result<bool> {
        io::copy(self, &mut io::sink())?;
        let follows = self.state == State::Between;
        if follows {
            self.state = State::Within;
        }
        Ok(follows)
    }
}

// === impl Single ===

impl<R: Read> Read for Single<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Documents for Single<R> {
    fn next_document(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

// === impl FingerprintReader ===

impl<R> FingerprintReader<R> {
    /// Wraps documents from which nothing has been read yet.
    pub fn new(read: R) -> Self {
        Self { read, fingerprinter: Fingerprinter::default() }
    }

    /// The fingerprint of everything that was read.
    pub fn fingerprint(self) -> Fingerprint {
        self.fingerprinter.finish()
    }

    /// Each document that was read, and the fingerprint of all of them.
    pub fn into_documents(self) -> (Vec<Received>, Fingerprint) {
        let documents = self.fingerprinter.into_documents();
        let fingerprint = fingerprint_of_all(&documents);
        (documents, fingerprint)
    }
}

impl<R: Read> Read for FingerprintReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        self.fingerprinter.update(&buffer[..count]);
        Ok(count)
    }
}

impl<R: Documents> Documents for FingerprintReader<R> {
    fn next_document(&mut self) -> io::Result<bool> {
        // What the parser has not read counts too.
        io::copy(self, &mut io::sink())?;
        let follows = self.read.next_document()?;
        if follows {
            self.fingerprinter.next_document();
        }
        Ok(follows)
    }
}

#[cfg(test)]
mod tests;
