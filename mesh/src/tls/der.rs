//! DER, as far as the names and the times of a certificate need it. Certificates are verified elsewhere, by rustls.

/// The tags that names and times consist of (X.690, 8.19 and 8.23; RFC 5280, 4.1.2.4 and 4.1.2.5).
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element of DER.
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// The elements that bytes consist of; the last one is None if they are no DER.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

// === impl Element ===

impl<'a> Element<'a> {
    pub(super) fn content_of(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// The text of the kinds of strings that current certificates have.
    pub(super) fn text(&self) -> Option<String> {
        let text = str::from_utf8(self.content).ok()?;
        let is_text = match self.tag {
            UTF8_STRING => true,
            PRINTABLE_STRING | IA5_STRING => text.is_ascii(),
            _ => false,
        };
        is_text.then(|| text.to_owned())
    }
}

// === impl Elements ===

impl<'a> Elements<'a> {
    /// The element at the beginning and the bytes after it.
    fn split(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (length, rest) = match *bytes.get(1)? {
            short @ 0..=0x7f => (usize::from(short), &bytes[2..]),
            0x81 => (usize::from(*bytes.get(2)?), &bytes[3..]),
            0x82 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), &bytes[4..]),
            // Longer than a handshake may be, or not DER.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Element { tag: bytes[0], content }, rest))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let split = Self::split(self.0);
        self.0 = split.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(split.map(|(element, _)| element))
    }
}
