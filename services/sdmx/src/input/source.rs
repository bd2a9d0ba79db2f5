//! The source of the bytes: plain, or gzip if they start with its magic number.

use std::io::{self, Chain, Cursor, Read};
use std::mem;

use flate2::read::MultiGzDecoder;

use crate::error::Fault;

/// The first two bytes of every gzip member; no document starts with them.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

type WithHead<R> = Chain<Cursor<Vec<u8>>, R>;

/// A reader, before and after its compression is detected.
#[derive(Debug)]
pub(super) enum Source<R> {
    Unknown(R),
    Plain(WithHead<R>),
    Gzip(Box<MultiGzDecoder<WithHead<R>>>),
    /// Without any bytes: during detection, and after it failed.
    Empty,
}

impl<R: Read> Source<R> {
    pub(super) fn new(read: R) -> Self {
        Self::Unknown(read)
    }

    pub(super) fn empty() -> Self {
        Self::Empty
    }

    /// Maps an error of this source to a fault.
    pub(super) fn fault(&self, error: io::Error) -> Fault {
        match (self, error.kind()) {
            (Self::Gzip(_), io::ErrorKind::UnexpectedEof) => Fault::TruncatedGzip,
            (Self::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Fault::CorruptGzip(error)
            }
            _ => Fault::Read(error),
        }
    }

    fn open(mut read: R) -> io::Result<Self> {
        let mut head = Vec::with_capacity(GZIP_MAGIC.len());
        read.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
        let compressed = head == GZIP_MAGIC;
        let rejoined = Cursor::new(head).chain(read);
        Ok(if compressed {
            Self::Gzip(Box::new(MultiGzDecoder::new(rejoined)))
        } else {
            Self::Plain(rejoined)
        })
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        *self = match mem::replace(self, Self::Empty) {
            Self::Unknown(read) => Self::open(read)?,
            known => known,
        };
        match self {
            Self::Plain(read) => read.read(into),
            Self::Gzip(read) => read.read(into),
            Self::Unknown(_) | Self::Empty => Ok(0),
        }
    }
}
