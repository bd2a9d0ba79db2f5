//! A field of which only a part may have arrived.

use std::ops::Range;

use crate::wire::{WireError, WireReader, WireType};

/// A field, of which the beginning is in the buffer.
pub(super) struct Arriving {
    /// The length of the tag, and of the length of the value if it has one.
    pub(super) head: usize,
    pub(super) number: u32,
    pub(super) wire_type: WireType,
    /// The length of the value, if it is known.
    pub(super) length: usize,
}

// === impl Arriving ===

impl Arriving {
    /// The head of a field; none if it has not arrived.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, WireError> {
        let mut reader = WireReader::new(bytes);
        let (number, wire_type) = match reader.tag() {
            Err(WireError::Truncated) => return Ok(None),
            tag => tag?,
        };
        let length = match wire_type {
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::Varint | WireType::StartGroup | WireType::EndGroup => 0,
            WireType::LengthDelimited => match reader.varint() {
                Err(WireError::Truncated) => return Ok(None),
                length => usize::try_from(length?).map_err(|_| WireError::Truncated)?,
            },
        };
        Ok(Some(Self { head: reader.at(), number, wire_type, length }))
    }

    /// The length of the field as a whole, and where its value is; none if it has not arrived.
    pub(super) fn whole(
        &self,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Option<(usize, Range<usize>)>, WireError> {
        if bytes.len() < self.head.saturating_add(self.length) {
            return Ok(None);
        }
        let mut reader = WireReader::new(bytes);
        let (number, wire_type) = reader.tag()?;
        match reader.value(number, wire_type, depth) {
            Ok(value) => Ok(Some((reader.at(), value))),
            // Of a group, the end shows its length.
            Err(WireError::Truncated | WireError::Group) if wire_type != WireType::EndGroup => Ok(None),
            Err(error) => Err(error),
        }
    }
}
