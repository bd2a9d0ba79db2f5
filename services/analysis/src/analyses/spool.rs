//! The beginning of the documents, buffered for a cache lookup before parsing starts.

use dataflow_uploads::Error;
use dataflow_uploads::document::Part;
use futures_util::{Stream, StreamExt};

/// With more bytes than this, an upload has begun: one less than the flow-control window of a stream, at which a call
/// gets its permit.
pub(super) const BEGUN: usize = 64 * 1024 - 1;

/// The buffered beginning of the documents.
#[derive(Default)]
pub(super) struct Spool {
    pub(super) parts: Vec<Part>,
    /// Their bytes.
    size: usize,
    /// Whether `parts` are the complete documents.
    pub(super) whole: bool,
}

// === impl Spool ===

impl Spool {
    /// Buffers the documents until they have more than `size` bytes, or are complete.
    pub(super) async fn fill(
        &mut self,
        parts: &mut (impl Stream<Item = Result<Part, Error>> + Unpin),
        size: usize,
    ) -> Result<(), Error> {
        while !self.whole && self.size <= size {
            match parts.next().await.transpose()? {
                Some(part) => {
                    self.size += if let Part::Bytes(bytes) = &part { bytes.len() } else { 0 };
                    self.parts.push(part);
                }
                None => self.whole = true,
            }
        }
        Ok(())
    }
}
