//! The bounds of one reading. They stand apart because they are what an operator sets, and because every one of
//! them has a test on both sides.

/// What one document may cost. A document beyond a bound of its own shape fails; a dataflow beyond a bound of its
/// content is cut short and reported, and the rest of the catalogue is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document after decompression; default 256 MiB. One byte more is `DOCUMENT_TOO_LARGE`.
    pub document_bytes: u64,
    /// Bytes of one text, comment, instruction or tag, without the delimiter that ends it, and of the text of one
    /// element; default 1 MiB. One byte more is `EVENT_TOO_LARGE`.
    pub event_bytes: usize,
    /// Open elements, the root being the first; default 64. One more is `NESTED_TOO_DEEP`.
    pub depth: usize,
    /// Attributes of one element; default 256. One more is `TOO_MANY_ATTRIBUTES`.
    pub attributes: usize,
    /// Bytes of text kept for one dataflow; default 4 MiB. What comes after is dropped: `DATAFLOW_CUT_SHORT`.
    pub dataflow_bytes: usize,
    /// Names, descriptions and annotations kept for one dataflow, taken together; default 2,000. What comes after is
    /// dropped: `DATAFLOW_CUT_SHORT`.
    pub dataflow_parts: usize,
    /// Diagnostics kept; default 1,000. The rest is counted, and warnings displace information.
    pub diagnostics: usize,
    /// Identities remembered in search of duplicates, eight bytes each; default 65,536. Later ones are not compared.
    pub identities: usize,
}

impl Limits {
    /// All of them, for whoever must tell two sets of limits apart.
    pub fn numbers(&self) -> [u64; 8] {
        let &Self {
            document_bytes,
            event_bytes,
            depth,
            attributes,
            dataflow_bytes,
            dataflow_parts,
            diagnostics,
            identities,
        } = self;
        let rest = [event_bytes, depth, attributes, dataflow_bytes, dataflow_parts, diagnostics, identities];
        let mut numbers = [document_bytes; 8];
        for (number, limit) in numbers[1..].iter_mut().zip(rest) {
            *number = limit as u64;
        }
        numbers
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 256 << 20,
            event_bytes: 1 << 20,
            depth: 64,
            attributes: 256,
            dataflow_bytes: 4 << 20,
            dataflow_parts: 2_000,
            diagnostics: 1_000,
            identities: 65_536,
        }
    }
}
