//! The supported encodings.

use std::fmt;

/// A supported encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The most common one, and the default.
    Utf8,
    /// Two-byte units, little-endian.
    Utf16Le,
    /// Two-byte units, big-endian.
    Utf16Be,
    /// One byte per character, U+0000 to U+00FF.
    Latin1,
    /// Seven bits; bytes from 0x80 are invalid.
    Ascii,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Latin1 => "ISO-8859-1",
            Self::Ascii => "US-ASCII",
        })
    }
}
