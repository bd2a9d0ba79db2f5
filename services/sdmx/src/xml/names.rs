//! The names of the open elements.

/// Names of the open elements, and which of them quick-xml has opened.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each starts, and whether quick-xml knows it.
    open: Vec<(usize, bool)>,
}

// === impl Names ===

impl Names {
    pub(super) fn push(&mut self, name: &[u8], is_known: bool) {
        self.open.push((self.bytes.len(), is_known));
        self.bytes.extend_from_slice(name);
    }

    /// The innermost one, and whether quick-xml knows it.
    #[inline]
    pub(super) fn last(&self) -> Option<(&[u8], bool)> {
        self.open.last().map(|&(start, is_known)| (&self.bytes[start..], is_known))
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        if let Some((start, _)) = self.open.pop() {
            self.bytes.truncate(start);
        }
    }
}
