//! White space: at the start of a document, where the first other byte tells XML from JSON, and between tags and values.

/// Enough for any XML declaration, and with it the name of the encoding.
const HEAD_BYTES: usize = 1 << 10;

/// White space at the start of a document in which the first other byte is searched.
const BLANK_BYTES: usize = 64 << 10;

/// Whether the first bytes of a document tell its encoding and its format. The first `blank` ones are white space or part
/// of a byte order mark, which the caller keeps from call to call, so that none is checked twice.
pub(super) fn is_enough(head: &[u8], blank: &mut usize) -> bool {
    let is_blank =
        |byte: &&u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff);
    *blank += head[*blank..].iter().take_while(is_blank).count();
    if *blank == head.len() {
        return head.len() >= BLANK_BYTES;
    }
    head.len() >= HEAD_BYTES || head.contains(&b'>')
}

/// Length of the leading white space of `text`; `None` if it is white space only. Indentation is a line end and many
/// spaces, so spaces are compared eight at a time.
#[inline]
pub(super) fn white_space(text: &[u8]) -> Option<usize> {
    const SPACES: [u8; 8] = [b' '; 8];
    let mut count = 0;
    loop {
        while text[count..].first_chunk() == Some(&SPACES) {
            count += SPACES.len();
        }
        match text.get(count)? {
            b' ' | b'\n' | b'\r' | b'\t' => count += 1,
            _ => return Some(count),
        }
    }
}
