//! Entity and character references: the five predefined entities of XML and every allowed character, nothing else.

use std::borrow::Cow;

use crate::error::Fault;

/// The character that `&name;` refers to.
pub(super) fn resolve(name: &str) -> Result<char, Fault> {
    match name {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => match name.strip_prefix('#') {
            Some(number) => {
                character(number).ok_or_else(|| Fault::InvalidCharacterReference { reference: shown(name) })
            }
            None => Err(Fault::UndefinedEntity { name: shown(name) }),
        },
    }
}

fn character(number: &str) -> Option<char> {
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    // `from_str_radix` accepts a sign, but XML does not.
    let plain = digits.chars().all(|digit| digit.is_digit(radix));
    let code = plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()?;
    char::from_u32(code).filter(|&character| is_allowed(character))
}

/// Whether XML 1.0 allows the character in a document.
pub(crate) fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// An attribute value with references resolved and white space replaced by spaces.
pub(super) fn attribute(raw: &str) -> Result<Cow<'_, str>, Fault> {
    // Without an early end, so that the compiler checks many bytes at a time.
    if !raw.bytes().fold(false, |found, byte| found | (byte == b'&') | (byte < b' ')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        push_with_spaces(before, &mut value);
        let (name, after) = after.split_once(';').ok_or_else(|| Fault::Malformed {
            found: "found '&' that does not start a reference".to_owned(),
            expected: "&amp;".to_owned(),
        })?;
        value.push(resolve(name)?);
        rest = after;
    }
    push_with_spaces(rest, &mut value);
    Ok(Cow::Owned(value))
}

fn push_with_spaces(text: &str, value: &mut String) {
    value.extend(text.chars().map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c }));
}

/// Shortens a name for a message.
fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}
