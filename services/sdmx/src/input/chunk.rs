//! A piece of the document in UTF-8. It is validated as a whole, which takes a fraction of the time that it takes tag by
//! tag and text by text.

/// The longest beginning of a character that lacks its end.
const MOST_INCOMPLETE: usize = 3;

/// See the module.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Valid, as nearly all documents are.
    Text(String),
    /// With bytes that are not UTF-8: the readers validate what they read, so that errors name the event.
    Bytes(Vec<u8>),
}

// === impl Chunk ===

impl Chunk {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }

    /// Replaces the chunk, and keeps its memory.
    pub(super) fn fill(&mut self, bytes: &[u8]) {
        let mut own = std::mem::take(self).into_bytes();
        own.clear();
        *self = match str::from_utf8(bytes) {
            Ok(text) => {
                let mut own = String::from_utf8(own).unwrap_or_default();
                own.push_str(text);
                Self::Text(own)
            }
            Err(_) => {
                own.extend_from_slice(bytes);
                Self::Bytes(own)
            }
        };
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The text, if the whole chunk is valid.
    #[inline]
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(_) => None,
        }
    }

    /// The buffer, to be used again.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// The number of bytes without the beginning of a character at their end.
pub(super) fn complete(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(MOST_INCOMPLETE);
    let start = bytes[last..].iter().rposition(|byte| !(0x80..0xc0).contains(byte));
    let Some(start) = start.map(|start| last + start) else { return bytes.len() };
    let length = match bytes[start] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if start + length > bytes.len() { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_without_its_end_is_not_complete() {
        for text in ["", "a", "é", "x€", "𝒳", "aé", "\u{10ffff}"] {
            let bytes = text.as_bytes();
            let last = text.chars().next_back().map_or(0, char::len_utf8);
            assert_eq!(complete(bytes), bytes.len(), "{text}");
            for end in bytes.len() - last.saturating_sub(1)..bytes.len() {
                assert_eq!(complete(&bytes[..end]), bytes.len() - last, "{text} {end}");
            }
        }
        // What is in no character is left to the readers.
        for bytes in [&b"\x80\x80\x80\x80"[..], b"a\xff", b"\xc0", b"a\xc1\x80"] {
            assert_eq!(complete(bytes), bytes.len(), "{bytes:?}");
        }
    }

    #[test]
    fn only_a_valid_chunk_is_text() {
        assert_eq!(Chunk::new(b"caf\xc3\xa9".to_vec()).text(), Some("café"));
        let chunk = Chunk::new(b"caf\xe9".to_vec());
        assert_eq!((chunk.text(), chunk.bytes()), (None, &b"caf\xe9"[..]));
        assert_eq!(chunk.into_bytes(), b"caf\xe9");
    }
}
