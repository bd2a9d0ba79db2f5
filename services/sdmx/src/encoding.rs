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
    /// Seven bits; bytes from 0x80 are invalid.
    Ascii,
    /// One byte per character: a part of ISO 8859, a code page of Windows, KOI8.
    SingleByte(CodePage),
}

/// A table of 256 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodePage {
    pub(crate) table: &'static encoding_rs::Encoding,
    /// The document declares a part of ISO 8859, and is read by the code page of Windows that has its characters, and
    /// further ones where the standard has control characters.
    pub(crate) is_superset: bool,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Ascii => "US-ASCII",
            Self::SingleByte(CodePage { table, .. }) => table.name(),
        })
    }
}
