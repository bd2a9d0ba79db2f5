//! What a reader sees of a text: names and descriptions may hold markup, links and addresses, which say nothing about
//! the subject, and entities, which hide letters.
//!
//! Texts without such characters, nearly all of them, are searched as they are. The others are rewritten, with the
//! origin of each character, so that evidence names positions of the text as the provider wrote it.

use memchr::{memchr, memchr_iter, memchr2_iter, memchr3_iter};

/// A text as a reader sees it.
#[derive(Debug)]
pub(super) enum Visible<'a> {
    /// As the provider wrote it, perhaps without a marker at its end.
    Written(&'a str),
    /// Rewritten.
    Rewritten {
        text: String,
        /// For each character, the number of scalar values before its origin.
        origins: Vec<u32>,
    },
}

/// A character and the number of scalar values before its origin.
type Origin = (char, u32);

/// What providers append to the names of tables that they no longer update, after a comma, a dash or an opening
/// bracket. `inactive` would otherwise be a word about labor.
const MARKERS: [&str; 8] =
    ["inactive", "inactif", "archived", "archive", "discontinued", "terminated", "cessata", "interrotta"];

/// Entities that are themselves a letter or part of markup; those of other letters are the letter and its accent.
const NAMED: [(&str, char); 11] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("szlig", 'ß'),
    ("aelig", 'æ'),
    ("AElig", 'æ'),
    ("oelig", 'œ'),
    ("OElig", 'œ'),
    ("thorn", 'þ'),
    ("eth", 'ð'),
    ("inodot", 'i'),
];

/// Names of accents at the end of an entity. Folding removes accents, so the letter alone remains.
const ACCENTS: [&str; 13] = [
    "grave", "acute", "circ", "tilde", "uml", "cedil", "ring", "slash", "caron", "macr", "breve", "ogon",
    "dot",
];

/// Labels that only host names have: those of countries are words of many languages (`prices.It includes`).
const HOST_LABELS: [&str; 10] = ["com", "org", "net", "int", "gov", "edu", "eu", "info", "gouv", "gob"];

/// The longest name of an entity, in characters.
const MAX_ENTITY: usize = 32;
/// The most bytes of `&`, such a name, and `;`.
const MOST_ENTITY_BYTES: usize = 1 + 4 * MAX_ENTITY + 1;

/// The visible part of a text.
pub(super) fn visible(text: &str) -> Visible<'_> {
    if is_plain(text) { Visible::Written(without_marker(text)) } else { rewritten(text) }
}

fn rewritten(text: &str) -> Visible<'static> {
    let characters = text.chars().zip(0..).collect::<Vec<Origin>>();
    // Twice: providers escape the entities of HTML once more.
    let characters = without_addresses(&without_tags(&decoded(&decoded(&characters))));
    let kept = without_marker(&characters.iter().map(|(c, _)| c).collect::<String>()).to_owned();
    Visible::Rewritten { text: kept, origins: characters.iter().map(|(_, origin)| *origin).collect() }
}

// === impl Visible ===

impl Visible<'_> {
    /// The text to search.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Written(text) => text,
            Self::Rewritten { text, .. } => text,
        }
    }

    /// The position in the text as written of the character at this position, both in scalar values.
    pub(super) fn origin(&self, position: u32) -> u32 {
        match self {
            Self::Written(_) => position,
            Self::Rewritten { origins, .. } => origins.get(position as usize).copied().unwrap_or(position),
        }
    }
}

/// Whether nothing in a text has to be rewritten.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let host = |at: usize| host_start(bytes, at).is_some();
    // Signs such as those in `R&D` and `<15` are text, and many names have them.
    let is_markup = |at: usize| match bytes[at] {
        b'<' => bytes.get(at + 1).is_some_and(|next| is_tag_start(char::from(*next))),
        b'&' => memchr(b';', &bytes[at..bytes.len().min(at + MOST_ENTITY_BYTES)]).is_some(),
        _ => true,
    };
    !memchr3_iter(b'<', b'&', b'@', bytes).any(is_markup)
        && !memchr2_iter(b':', b'.', bytes)
            .any(|at| if bytes[at] == b':' { bytes[at + 1..].starts_with(b"//") } else { host(at) })
}

/// The text without a marker at its end.
fn without_marker(text: &str) -> &str {
    // On bytes, and what is rare first: every text is asked.
    let bytes = text.as_bytes();
    let length = |is_end: fn(&u8) -> bool, until: usize| {
        bytes[..until].iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1)
    };
    let end = length(|byte| b" )].".contains(byte), bytes.len());
    let word = length(u8::is_ascii_alphabetic, end);
    let start = length(u8::is_ascii_whitespace, word);
    let Some(before) = text.get(..start) else { return text };
    if before.ends_with([',', '(', '[', '-', '–', '—', ';'])
        && MARKERS.iter().any(|marker| marker.as_bytes().eq_ignore_ascii_case(&bytes[word..end]))
    {
        before
    } else {
        text
    }
}

/// Replaces entities by their characters.
fn decoded(text: &[Origin]) -> Vec<Origin> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&(c, origin)) = text.get(at) {
        let entity = if c == '&' { entity(&text[at + 1..]) } else { None };
        let (c, taken) = entity.unwrap_or((c, 0));
        out.push((c, origin));
        at += 1 + taken;
    }
    out
}

/// The character of an entity after its `&`, and the number of characters that it takes.
fn entity(text: &[Origin]) -> Option<(char, usize)> {
    let length = text.iter().take(MAX_ENTITY + 1).position(|(c, _)| *c == ';')?;
    let name: String = text[..length].iter().map(|(c, _)| c).collect();
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let hexadecimal = number.strip_prefix(['x', 'X']);
            let code = hexadecimal.map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16));
            char::from_u32(code.ok()?)?
        }
        None => named(&name)?,
    };
    Some((c, length + 1))
}

/// The character of a named entity; a space for one that is not a letter.
fn named(name: &str) -> Option<char> {
    let is_name = name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let known = NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    let accented = || {
        let (letter, accent) = name.split_at_checked(1)?;
        ACCENTS.contains(&accent).then(|| letter.chars().next())?
    };
    is_name.then(|| known.or_else(accented).unwrap_or(' '))
}

/// Replaces tags, with their attributes, and comments by spaces.
fn without_tags(text: &[Origin]) -> Vec<Origin> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    // Whether a `>` may follow: each search that finds none is the last, so that the cost stays linear.
    let mut may_end = true;
    while let Some(&(c, origin)) = text.get(at) {
        let tag = if c == '<' && may_end && begins_tag(&text[at + 1..]) {
            Some(tag_length(&text[at..]))
        } else {
            None
        };
        match tag {
            Some(Some(length)) => {
                out.push((' ', origin));
                at += length;
            }
            Some(None) => {
                may_end = false;
                out.push((c, origin));
                at += 1;
            }
            None => {
                out.push((c, origin));
                at += 1;
            }
        }
    }
    out
}

/// Whether what follows a `<` makes it the start of a tag; `x < y` and `<15` are text.
fn begins_tag(rest: &[Origin]) -> bool {
    rest.first().is_some_and(|(c, _)| is_tag_start(*c))
}

fn is_tag_start(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')
}

/// The length of a tag. A `>` in quotes does not end it, unless the quotes are never closed.
fn tag_length(text: &[Origin]) -> Option<usize> {
    let mut quote = None;
    let outside_quotes = text.iter().position(|&(c, _)| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == '>'
    });
    outside_quotes.or_else(|| text.iter().position(|(c, _)| *c == '>')).map(|end| end + 1)
}

/// Replaces URLs, host names and mail addresses by spaces: each run without white space or
/// brackets that contains one.
fn without_addresses(text: &[Origin]) -> Vec<Origin> {
    let mut out = Vec::with_capacity(text.len());
    let ends_run = |&(c, _): &Origin| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '(' | ')' | '[' | ']' | ',' | ';')
    };
    for run in text.split_inclusive(ends_run) {
        let (body, end) = match run.split_last() {
            Some((last, body)) if ends_run(last) => (body, &run[body.len()..]),
            _ => (run, &run[run.len()..]),
        };
        let start = address(body).unwrap_or(body.len());
        out.extend_from_slice(&body[..start]);
        if start < body.len() {
            out.push((' ', body[start].1));
        }
        out.extend_from_slice(end);
    }
    out
}

/// Where an address begins in a run of characters: a mail address takes the whole run, a URL its scheme and all after it.
fn address(run: &[Origin]) -> Option<usize> {
    if !run.iter().any(|(c, _)| matches!(c, '.' | ':' | '@')) {
        return None;
    }
    let text: String = run.iter().map(|(c, _)| c).collect();
    let before_scheme = |at: usize| {
        let scheme = text[..at].bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        (scheme > 0).then(|| at - scheme)
    };
    let url = text.find("://").and_then(before_scheme);
    let host = || memchr_iter(b'.', text.as_bytes()).find_map(|at| host_start(text.as_bytes(), at));
    let mail = || {
        let (user, host) = text.split_once('@')?;
        (!user.is_empty() && host.trim_end_matches('.').contains('.')).then_some(0)
    };
    let at = url.or_else(mail).or_else(host)?;
    Some(text[..at].chars().count())
}

/// Where the host name around a dot begins, if it is one: after `www`, or before a label of [`HOST_LABELS`].
fn host_start(text: &[u8], dot: usize) -> Option<usize> {
    let (before, after) = (&text[..dot], &text[dot + 1..]);
    let www = dot >= 3 && before[dot - 3..].eq_ignore_ascii_case(b"www");
    let label = after.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let is_label = |known: &&str| known.as_bytes().eq_ignore_ascii_case(&after[..label]);
    let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let is_host =
        www || (before.last().is_some_and(|last| is_of_name(&last)) && HOST_LABELS.iter().any(is_label));
    let is_of_host = |byte: &&u8| is_of_name(byte) || matches!(byte, b'.' | b'-');
    is_host.then(|| dot - before.iter().rev().take_while(is_of_host).count())
}

#[cfg(test)]
mod tests;
