//! Standard error as the log writes to it. A record that cannot be written, because the pipe is closed or the disk is
//! full, is counted and lost: the service goes on.

use std::io::{self, Write};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// See the module. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub(super) struct Output {
    lost: Counter,
}

// === impl Output ===

impl Output {
    /// Counts the records that are lost.
    pub(super) fn new(lost: Counter) -> Self {
        Self { lost }
    }

    /// Writes one record.
    pub(super) fn write_record(&self, record: &[u8]) {
        self.write_to(io::stderr(), record);
    }

    fn write_to(&self, mut destination: impl Write, record: &[u8]) {
        if destination.write_all(record).is_err() {
            self.lost.inc();
        }
    }
}

/// For the log in text. It never fails: tracing would report that on standard error, and panic since it cannot.
impl Write for Output {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.write_record(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Output {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_written_is_counted() {
        let output = Output::new(Counter::default());
        let mut room = [0; 6];
        output.write_to(&mut room[..], b"first\n");
        assert_eq!((output.lost.get(), &room), (0, b"first\n"));
        output.write_to(&mut room[..5], b"second");
        assert_eq!(output.lost.get(), 1);
    }
}
