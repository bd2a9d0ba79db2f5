//! The path templates of `google.api.http`, parsed once at start. Separate from the table, because a template is also
//! the metric label of its route, and its variables are the fields that a path sets.

use std::fmt;

/// `"/" Segments [":" verb]`, where a segment is a literal, `*` (one segment), `**` (all that follow, so only the last)
/// or a variable, `{field.path}` or `{field.path=Segments}`. Literals and verbs are written unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// At least one; [`Segment::Rest`] only as the last.
    pub(super) segments: Vec<Segment>,
    variables: Vec<Variable>,
    pub(super) verb: Option<String>,
}

/// The pattern of one segment of a path; variables are expanded to the segments that they cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// This very text, once decoded.
    Literal(String),
    /// `*`
    One,
    /// `**`
    Rest,
}

/// A field of the request that the path fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    field: String,
    /// The first segment it covers.
    start: usize,
    /// How many it covers, at least one; `None` if it ends in `**`.
    count: Option<usize>,
}

/// Why a text is not a template; positions are byte offsets from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Something else stands there.
    #[error("{what} expected at byte {at}")]
    Expected {
        /// The expected syntax.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// Two variables fill the same field.
    #[error("second variable for field {field} at byte {at}")]
    RepeatedField {
        /// The field's path.
        field: String,
        /// The position of the second one.
        at: usize,
    },
}

// === impl Template ===

impl Template {
    /// Reads a template. `/` alone is the root.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parser = Parser { text, at: 0, segments: Vec::new(), variables: Vec::new() };
        if !parser.eat('/') {
            return Err(parser.expected("`/`"));
        }
        if text == "/" {
            parser.segments.push(Segment::Literal(String::new()));
        } else {
            parser.segments(false)?;
        }
        let verb = parser.eat(':').then(|| parser.word(is_literal).to_owned());
        if verb.as_deref() == Some("") || parser.at < text.len() {
            return Err(parser.expected("a verb or the end"));
        }
        Ok(Self { text: text.to_owned(), segments: parser.segments, variables: parser.variables, verb })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In the order of the path.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Variable ===

impl Variable {
    /// The field it fills, as a path of field names with dots between them.
    pub fn field_path(&self) -> &str {
        &self.field
    }

    /// Whether it always covers exactly one segment; then its value is fully decoded.
    pub fn is_single(&self) -> bool {
        self.count == Some(1)
    }

    /// The part that it covers of a path that matches, still escaped; paths come without the leading slash.
    pub(super) fn slice<'p>(&self, path: &'p str) -> &'p str {
        let tail = path.splitn(self.start + 1, '/').nth(self.start).unwrap_or_default();
        let end = self.count.and_then(|count| tail.match_indices('/').nth(count - 1));
        end.map_or(tail, |(at, _)| &tail[..at])
    }
}

// === impl Parser ===

/// Recursive descent; each method parses the rule that it is named after.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

impl<'t> Parser<'t> {
    fn segments(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        loop {
            if self.segments.last() == Some(&Segment::Rest) {
                return Err(self.expected("nothing after `**`"));
            }
            match !in_variable && self.eat('{') {
                true => self.variable()?,
                false => self.segment()?,
            }
            if !self.eat('/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self) -> Result<(), TemplateError> {
        let wrong = self.expected("a literal or a wildcard");
        let segment = match self.word(|c| c == '*' || is_literal(c)) {
            "*" => Segment::One,
            "**" => Segment::Rest,
            // Dot segments are not literals: elsewhere they are directories.
            word if matches!(word, "" | "." | "..") || word.contains('*') => return Err(wrong),
            word => Segment::Literal(word.to_owned()),
        };
        self.segments.push(segment);
        Ok(())
    }

    /// The rest after the brace.
    fn variable(&mut self) -> Result<(), TemplateError> {
        let (at, wrong) = (self.at, self.expected("a field path"));
        let field = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).to_owned();
        if !field.split('.').all(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')) {
            return Err(wrong);
        }
        if self.variables.iter().any(|earlier| earlier.field == field) {
            return Err(TemplateError::RepeatedField { field, at });
        }
        let start = self.segments.len();
        match self.eat('=') {
            true => self.segments(true)?,
            false => self.segments.push(Segment::One),
        }
        let is_open = self.segments.last() == Some(&Segment::Rest);
        let count = (!is_open).then_some(self.segments.len() - start);
        self.variables.push(Variable { field, start, count });
        if self.eat('}') { Ok(()) } else { Err(self.expected("`}`")) }
    }

    fn word(&mut self, is_part: fn(char) -> bool) -> &'t str {
        let rest = &self.text[self.at..];
        let word = rest.split_once(|c| !is_part(c)).map_or(rest, |(word, _)| word);
        self.at += word.len();
        word
    }

    /// Consumes an ASCII character if it is next.
    fn eat(&mut self, token: char) -> bool {
        let is_there = self.text[self.at..].starts_with(token);
        self.at += usize::from(is_there);
        is_there
    }

    fn expected(&self, what: &'static str) -> TemplateError {
        TemplateError::Expected { what, at: self.at }
    }
}

/// A colon would be ambiguous with a verb, and an escape would have several spellings.
fn is_literal(c: char) -> bool {
    !matches!(c, '/' | ':' | '*' | '{' | '}' | '%' | '?' | '#') && !c.is_whitespace() && !c.is_control()
}

#[cfg(test)]
mod tests;
