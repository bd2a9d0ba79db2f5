//! Turns received bytes into chunks of UTF-8.

use std::mem;

use memchr::memchr_iter;

use super::Input;
use super::chunk::{self, Chunk};
use super::encoding;
use crate::encoding::{CodePage, Encoding};
use crate::error::{Fault, ParseError, Position};

// === impl Input ===

impl<R> Input<R> {
    /// Turns the received bytes into a chunk. An incomplete character is kept for the next chunk.
    pub(super) fn decode(&mut self, at_end: bool) {
        if self.encoding == Encoding::Utf8 {
            return self.take_utf8(at_end);
        }
        if let Encoding::SingleByte(CodePage { is_superset: true, .. }) = self.encoding
            && self.mislabeled.is_none()
            && let Some(at) = encoding::first_beyond_iso(&self.undecoded[..self.filled])
        {
            let lines = memchr_iter(b'\n', &self.undecoded[..at]).count();
            let Position { offset, line, .. } = self.base;
            let position = Position { offset: offset + at as u64, line: line + lines as u64, ..self.base };
            self.mislabeled = Some(position);
        }
        let mut text = mem::take(&mut self.chunk).into_bytes();
        let (used, valid) = self.encoding.decode(&self.undecoded[..self.filled], &mut text);
        self.chunk = Chunk::new(text);
        self.undecoded.copy_within(used..self.filled, 0);
        self.filled -= used;
        if !valid || (at_end && self.filled > 0) {
            let position = self.base.after(self.chunk.bytes(), self.encoding);
            self.pending =
                Some(ParseError { fault: Fault::InvalidEncoding { encoding: self.encoding }, position });
        }
    }

    /// Makes the received bytes the chunk, except an incomplete character at their end. They are copied, because the
    /// buffer that they were received in keeps its length, so that it need not be cleared before each read.
    fn take_utf8(&mut self, at_end: bool) {
        let used = if at_end { self.filled } else { chunk::complete(&self.undecoded[..self.filled]) };
        self.chunk.fill(&self.undecoded[..used]);
        self.undecoded.copy_within(used..self.filled, 0);
        self.filled -= used;
    }
}
