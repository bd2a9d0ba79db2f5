//! The wire format of protobuf (protobuf.dev/programming-guides/encoding): reads tags and values, writes varints and
//! lengths.

use std::ops::Range;

/// The most bytes of a varint.
const MAX_VARINT: usize = 10;

/// How a value is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WireType {
    Varint = 0,
    SixtyFourBit = 1,
    LengthDelimited = 2,
    StartGroup = 3,
    EndGroup = 4,
    ThirtyTwoBit = 5,
}

/// Why bytes are not a message on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends within a value, or a length leads beyond its end.
    #[error("a value is longer than its message")]
    Truncated,
    /// A varint has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Varint,
    /// A field has the number 0, or one beyond 2^29 - 1.
    #[error("a field has an impossible number")]
    Number,
    /// A tag has one of the two unassigned wire types.
    #[error("a field has an unknown wire type")]
    WireType,
    /// A group ends that did not start, or does not end.
    #[error("a group has no start or no end")]
    Group,
    /// Messages or groups are nested too deeply.
    #[error("messages are nested too deeply")]
    Depth,
}

/// Reads a message from its beginning to its end.
#[derive(Debug, Clone)]
pub(crate) struct WireReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl WireReader ===

impl<'a> WireReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The number of the next field, and how its value is delimited.
    pub(crate) fn tag(&mut self) -> Result<(u32, WireType), WireError> {
        let tag = self.varint()?;
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::SixtyFourBit,
            2 => WireType::LengthDelimited,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::ThirtyTwoBit,
            _ => return Err(WireError::WireType),
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => Ok((number, wire_type)),
            _ => Err(WireError::Number),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let rest = &self.bytes[self.at..];
        let mut value = 0;
        for (index, &byte) in rest.iter().take(MAX_VARINT).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                if index == MAX_VARINT - 1 && byte > 1 {
                    return Err(WireError::Varint);
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(if rest.len() < MAX_VARINT { WireError::Truncated } else { WireError::Varint })
    }

    pub(crate) fn fixed32(&mut self) -> Result<[u8; 4], WireError> {
        let range = self.range(4)?;
        Ok(self.bytes[range].try_into().expect("4 bytes"))
    }

    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], WireError> {
        let range = self.range(8)?;
        Ok(self.bytes[range].try_into().expect("8 bytes"))
    }

    /// Skips the value of a field, and returns where it is: without its length, and without the end of its group.
    pub(crate) fn value(
        &mut self,
        number: u32,
        wire_type: WireType,
        depth: usize,
    ) -> Result<Range<usize>, WireError> {
        let start = self.at;
        match wire_type {
            WireType::Varint => self.varint().map(|_| start..self.at),
            WireType::SixtyFourBit => self.range(8),
            WireType::ThirtyTwoBit => self.range(4),
            WireType::LengthDelimited => {
                let length = self.varint()?;
                self.range(usize::try_from(length).map_err(|_| WireError::Truncated)?)
            }
            WireType::StartGroup => self.group(number, depth),
            WireType::EndGroup => Err(WireError::Group),
        }
    }

    /// The bytes of [`Self::value`].
    pub(crate) fn bytes(
        &mut self,
        number: u32,
        wire_type: WireType,
        depth: usize,
    ) -> Result<&'a [u8], WireError> {
        let range = self.value(number, wire_type, depth)?;
        Ok(&self.bytes[range])
    }

    fn group(&mut self, number: u32, depth: usize) -> Result<Range<usize>, WireError> {
        let (start, depth) = (self.at, depth.checked_sub(1).ok_or(WireError::Depth)?);
        loop {
            let end = self.at;
            if self.is_at_end() {
                return Err(WireError::Group);
            }
            match self.tag()? {
                (found, WireType::EndGroup) if found == number => return Ok(start..end),
                (found, wire_type) => self.value(found, wire_type, depth)?,
            };
        }
    }

    fn range(&mut self, length: usize) -> Result<Range<usize>, WireError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let range = self.at..end.ok_or(WireError::Truncated)?;
        self.at = range.end;
        Ok(range)
    }
}

/// Where the last value of a field is, of those that a length or a group delimits. None if there is none, also because
/// the bytes are no message.
pub fn last_delimited(wire: &[u8], number: u32) -> Option<Range<usize>> {
    let (mut reader, mut last) = (WireReader::new(wire), None);
    while !reader.is_at_end() {
        let (found, wire_type) = reader.tag().ok()?;
        let range = reader.value(found, wire_type, crate::MAX_DEPTH).ok()?;
        if found == number && matches!(wire_type, WireType::LengthDelimited | WireType::StartGroup) {
            last = Some(range);
        }
    }
    last
}

/// Where the first field begins whose number is this one or a larger one; the end if there is none.
pub fn first_from(wire: &[u8], number: u32) -> usize {
    let mut reader = WireReader::new(wire);
    while !reader.is_at_end() {
        let start = reader.at();
        match reader.tag() {
            Ok((found, wire_type)) if found < number => {
                if reader.value(found, wire_type, crate::MAX_DEPTH).is_err() {
                    break;
                }
            }
            _ => return start,
        }
    }
    wire.len()
}

/// Writes a varint.
#[inline]
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes the tag of a field.
#[inline]
pub(crate) fn put_tag(number: u32, wire_type: WireType, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | wire_type as u64, out);
}

/// Opens a value whose length is known at its end only. Mostly the length takes one byte, which is reserved.
#[inline]
pub(crate) fn open_delimited(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of the value that was opened here; a long value makes room for it.
#[inline]
pub(crate) fn close_delimited(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(MAX_VARINT);
    put_varint(length as u64, &mut prefix);
    let end = out.len();
    out.resize(end + prefix.len() - 1, 0);
    out.copy_within(start..end, start + prefix.len() - 1);
    out[start - 1..][..prefix.len()].copy_from_slice(&prefix);
}

/// Whether a value on the wire is the default of its type: a length of 0, the number 0 and false are zeros.
pub(crate) fn is_default(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}

/// The sign moves to the lowest bit, so that small negative numbers are short.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_are_read_as_they_were_written(value: u64) {
            let mut out = Vec::new();
            put_varint(value, &mut out);
            let mut reader = WireReader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_at_end());
            prop_assert_eq!(WireReader::new(&out[..out.len() - 1]).varint(), Err(WireError::Truncated));
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }

        #[test]
        fn a_length_is_written_after_the_value(length in 0_usize..70_000) {
            let mut out = vec![9];
            let start = open_delimited(&mut out);
            out.resize(start + length, 7);
            close_delimited(start, &mut out);
            let mut reader = WireReader::new(&out[1..]);
            let value = reader.value(1, WireType::LengthDelimited, 0).unwrap();
            prop_assert_eq!(&out[1..][value], &vec![7; length][..]);
            prop_assert!(reader.is_at_end());
        }
    }

    #[test]
    fn malformed_fields_are_errors() {
        let check = |bytes: &[u8], expected: WireError| {
            let mut reader = WireReader::new(bytes);
            let read = reader.tag().and_then(|(number, wire_type)| reader.value(number, wire_type, 2));
            assert_eq!(read.unwrap_err(), expected, "{bytes:?}");
        };
        check(&[], WireError::Truncated);
        check(&[0x00], WireError::Number);
        check(&[0x80, 0x80, 0x80, 0x80, 0x10], WireError::Number);
        check(&[0x0e], WireError::WireType);
        check(&[0x0f], WireError::WireType);
        check(&[0x0c], WireError::Group);
        check(&[0x0a, 0x02, 0x00], WireError::Truncated);
        check(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], WireError::Truncated);
        check(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], WireError::Varint);
        check(&[0x09, 0, 0, 0, 0, 0, 0, 0], WireError::Truncated);
        check(&[0x0b, 0x08, 0x01], WireError::Group);
        check(&[0x0b, 0x14], WireError::Group);
        check(&[0x0b, 0x0b, 0x0b, 0x0c, 0x0c, 0x0c], WireError::Depth);
    }
}
