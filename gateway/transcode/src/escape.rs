//! Texts of JSON (RFC 8259, section 7): quoted, with what must be escaped escaped.

/// What a byte becomes: itself (0), `\u00XX` (`u`), or a backslash and this letter.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a text, and escapes what RFC 8259 requires.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Characters that are escaped in addition to those that JSON requires.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsafe {
    is_unsafe: fn(char) -> bool,
    /// The bytes that need a look: those to escape, and those of characters beyond ASCII.
    special: [bool; 256],
}

// === impl Unsafe ===

impl Unsafe {
    pub(crate) fn new(is_unsafe: fn(char) -> bool) -> Self {
        let special = std::array::from_fn(|code| {
            let byte = code as u8;
            !byte.is_ascii() || ESCAPES[code] != 0 || is_unsafe(char::from(byte))
        });
        Self { is_unsafe, special }
    }

    /// Writes a text, and escapes these characters too.
    pub(crate) fn quoted(&self, text: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| self.special[usize::from(byte)]) {
            let (plain, special) = rest.split_at(at);
            out.extend_from_slice(plain.as_bytes());
            let Some(found) = special.chars().next() else { break };
            let (character, after) = special.split_at(found.len_utf8());
            // What JSON escapes by itself is not looked at twice.
            if ESCAPES[usize::from(character.as_bytes()[0])] == 0 && (self.is_unsafe)(found) {
                for unit in found.encode_utf16(&mut [0; 2]) {
                    let digit = |shift: u16| HEX[usize::from(*unit >> shift & 0xf)];
                    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
                }
            } else {
                escaped(character.as_bytes(), out);
            }
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        out.push(b'"');
    }
}

fn escaped(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = bytes.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        let byte = bytes[at];
        out.extend_from_slice(&bytes[..at]);
        match ESCAPES[usize::from(byte)] {
            b'u' => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_rfc_8259() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            quoted(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(serde_json::from_str::<String>(expected).unwrap(), text);
        };
        check("", r#""""#);
        check("plain", r#""plain""#);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#);
        check("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\"");
        check("caffè 😀", "\"caffè 😀\"");
    }

    #[test]
    fn further_characters_are_escaped_on_demand() {
        let mut out = Vec::new();
        let escapes = Unsafe::new(|character| !(' '..='~').contains(&character));
        escapes.quoted("a\u{7f}\"\u{9b}😀b", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#""a\u007f\"\u009b\ud83d\ude00b""#);
    }
}
