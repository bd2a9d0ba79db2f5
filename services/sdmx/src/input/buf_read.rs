//! Never returns more of an event than its limit.

use std::io::{self, BufRead, Read};

use super::Input;

// === impl BufRead ===

impl<R: Read> BufRead for Input<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.window {
            // The error stays until it is taken: a look-ahead must not read past it.
            if self.error.is_none() {
                self.error = self.refill().err();
            }
            if self.error.is_some() {
                return Err(io::Error::other("see Input::take_error"));
            }
        }
        Ok(self.available())
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
