//! Detection of an encoding from the first bytes, and transcoding to UTF-8.

use encoding_rs::DecoderResult;

use crate::encoding::{CodePage, Encoding};
use crate::error::Fault;
use crate::excerpt::excerpt;

impl Encoding {
    /// Detects the encoding from the first bytes; also returns the length of the byte order mark. A declaration decides
    /// only between encodings in which it reads the same; [`Encoding::agrees_with`] checks the others after parsing it.
    pub(super) fn detect(head: &[u8]) -> Result<(Self, usize), Fault> {
        Ok(match head {
            [0xff, 0xfe, 0, 0, ..]
            | [0, 0, 0xfe, 0xff, ..]
            | [b'<' | b'{' | b'[', 0, 0, 0, ..]
            | [0, 0, 0, b'<' | b'{' | b'[', ..] => {
                return Err(Fault::UnsupportedEncoding { declared: "UTF-32".into() });
            }
            [0xef, 0xbb, 0xbf, ..] => (Self::Utf8, 3),
            [0xff, 0xfe, ..] => (Self::Utf16Le, 2),
            [0xfe, 0xff, ..] => (Self::Utf16Be, 2),
            [b'<' | b'{' | b'[', 0, ..] => (Self::Utf16Le, 0),
            [0, b'<' | b'{' | b'[', ..] => (Self::Utf16Be, 0),
            _ => match declared(head).as_deref() {
                Some("us-ascii" | "ascii") => (Self::Ascii, 0),
                Some(name) => (code_page(name).map_or(Self::Utf8, Self::SingleByte), 0),
                None => (Self::Utf8, 0),
            },
        })
    }

    /// Checks that a declaration of `name` is valid for a document in this encoding.
    pub(crate) fn agrees_with(self, name: &str) -> Result<(), Fault> {
        let lower = name.to_ascii_lowercase();
        let fits: &[Self] = match lower.as_str() {
            "utf-8" | "utf8" => &[Self::Utf8],
            "utf-16" | "utf16" => &[Self::Utf16Le, Self::Utf16Be],
            "utf-16le" => &[Self::Utf16Le],
            "utf-16be" => &[Self::Utf16Be],
            "us-ascii" | "ascii" => &[Self::Ascii],
            _ => match code_page(&lower) {
                Some(page) => &[Self::SingleByte(page)],
                None => return Err(Fault::UnsupportedEncoding { declared: excerpt(name) }),
            },
        };
        if fits.contains(&self) {
            return Ok(());
        }
        Err(Fault::ContradictoryEncoding { declared: excerpt(name), actual: self })
    }

    /// Number of bytes that `text` has in the document's encoding.
    #[inline]
    pub(super) fn bytes_of(self, text: &[u8]) -> u64 {
        // In UTF-8 every byte except continuation bytes starts a character; those from 0xf0 need two UTF-16 units.
        let characters = || text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64;
        match self {
            Self::Utf8 | Self::Ascii => text.len() as u64,
            Self::SingleByte(_) => characters(),
            Self::Utf16Le | Self::Utf16Be => {
                2 * (characters() + text.iter().filter(|&&byte| byte >= 0xf0).count() as u64)
            }
        }
    }

    /// Appends the decoded `bytes` to `text`. Returns the number of bytes consumed, and whether the following ones are
    /// valid. An incomplete character is not consumed.
    pub(super) fn decode(self, bytes: &[u8], text: &mut Vec<u8>) -> (usize, bool) {
        match self {
            Self::Utf8 => {
                text.extend_from_slice(bytes);
                (bytes.len(), true)
            }
            Self::Ascii => {
                let valid = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len());
                text.extend_from_slice(&bytes[..valid]);
                (valid, valid == bytes.len())
            }
            Self::SingleByte(CodePage { table, .. }) => single_bytes(table, bytes, text),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes, text),
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes, text),
        }
    }
}

/// The first byte that ISO 8859 has as a control character, and a code page of Windows as a character that texts use.
pub(super) fn first_beyond_iso(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| matches!(byte, 0x80..0xa0))
}

/// The code page with this name in lower case, as browsers know it (WHATWG Encoding). They read ISO-8859-1 as
/// windows-1252 too, because documents say so for both.
fn code_page(name: &str) -> Option<CodePage> {
    let label = if name == "latin-1" { "latin1" } else { name };
    let table = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())?;
    let is_of_windows = ["windows-", "cp", "x-cp", "dos-"].iter().any(|prefix| name.starts_with(prefix));
    let is_superset = table.name().starts_with("windows-") && !is_of_windows;
    let is_text = table.is_single_byte() && table != encoding_rs::X_USER_DEFINED;
    is_text.then_some(CodePage { table, is_superset })
}

fn single_bytes(table: &'static encoding_rs::Encoding, bytes: &[u8], text: &mut Vec<u8>) -> (usize, bool) {
    let mut decoder = table.new_decoder_without_bom_handling();
    let before = text.len();
    // Each byte becomes at most three.
    text.resize(before + bytes.len() * 3, 0);
    let (result, read, written) =
        decoder.decode_to_utf8_without_replacement(bytes, &mut text[before..], false);
    text.truncate(before + written);
    match result {
        DecoderResult::Malformed(..) => (read - 1, false),
        DecoderResult::InputEmpty | DecoderResult::OutputFull => (read, true),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, text: &mut Vec<u8>) -> (usize, bool) {
    text.reserve(bytes.len() / 2 * 3);
    let units = bytes.as_chunks::<2>().0.iter().map(|&pair| unit(pair));
    let mut used = 0;
    for character in char::decode_utf16(units) {
        match character {
            Ok(character) => {
                push(text, character);
                used += 2 * character.len_utf16();
            }
            // A high surrogate at the end may be completed by the next bytes.
            Err(error) => return (used, bytes.len() - used < 4 && error.unpaired_surrogate() < 0xdc00),
        }
    }
    (used, true)
}

fn push(text: &mut Vec<u8>, character: char) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The value of `encoding` in an XML declaration at the start of `head`, in lower case.
fn declared(head: &[u8]) -> Option<String> {
    let declaration = head.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = str::from_utf8(&declaration[..end]).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_ascii_lowercase)
}
