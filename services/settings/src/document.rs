//! Parses YAML, and with it JSON, as settings. Reads events instead of typed values, because scalars must stay as
//! written: to a general parser a password `0123` is a number, and a version `1.10` is less than `1.9`.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// One value of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The names of the path to it, joined by full stops.
    pub(super) name: String,
    /// Its text: none for a null, several for a list.
    pub(super) values: Vec<String>,
    /// The line of its name, from 1.
    pub(super) line: usize,
}

/// A syntax error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// Line, from 1.
    pub(super) line: usize,
    /// The error message.
    pub(super) message: String,
}

/// The values of a document, or `None` if it is not an object.
pub(super) fn read(text: &str) -> Result<Option<Vec<Leaf>>, SyntaxError> {
    let mut events = Events(Parser::new_from_str(text));
    let mut leaves = Vec::new();
    loop {
        match events.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::MappingStart(..), _) => break,
            _ => return Ok(None),
        }
    }
    events.mapping("", &mut leaves)?;
    loop {
        match events.next()? {
            (Event::DocumentEnd, _) => {}
            (Event::StreamEnd, _) => return Ok(Some(leaves)),
            (_, span) => return Err(syntax_error(&span, "more than one document")),
        }
    }
}

struct Events<'a>(Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>);

// === impl Events ===

impl<'a> Events<'a> {
    /// The next event, without comments.
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        loop {
            match self.0.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    /// Reads a mapping up to its end. The parser limits the nesting depth of mappings.
    fn mapping(&mut self, above: &str, leaves: &mut Vec<Leaf>) -> Result<(), SyntaxError> {
        loop {
            let (name, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(()),
                (Event::Scalar(name, ..), span) => (name, span.start.line()),
                (_, span) => return Err(syntax_error(&span, "expected a name")),
            };
            let name = if above.is_empty() { name.into_owned() } else { format!("{above}.{name}") };
            let values = match self.next()? {
                (Event::Scalar(text, style, ..), _) => value(&text, style).into_iter().collect(),
                (Event::SequenceStart(..), _) => self.sequence()?,
                (Event::MappingStart(..), _) => {
                    self.mapping(&name, leaves)?;
                    continue;
                }
                (_, span) => return Err(syntax_error(&span, "expected a value; aliases are not supported")),
            };
            leaves.push(Leaf { name, values, line });
        }
    }

    fn sequence(&mut self) -> Result<Vec<String>, SyntaxError> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(values),
                (Event::Scalar(text, style, ..), _) => values.extend(value(&text, style)),
                (_, span) => return Err(syntax_error(&span, "a list may contain only scalars")),
            }
        }
    }
}

/// A scalar as written; `None` for a null.
fn value(text: &str, style: ScalarStyle) -> Option<String> {
    let is_null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    (!is_null).then(|| text.to_owned())
}

fn syntax_error(span: &Span, message: &str) -> SyntaxError {
    SyntaxError { line: span.start.line(), message: message.to_owned() }
}

// === impl SyntaxError ===

impl From<ScanError> for SyntaxError {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), message: error.info() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(text: &str) -> Vec<(String, Vec<String>, usize)> {
        let leaves = read(text).unwrap().unwrap();
        leaves.into_iter().map(|leaf| (leaf.name, leaf.values, leaf.line)).collect()
    }

    #[test]
    fn objects_flatten_and_scalars_stay_as_written() {
        let check = |text: &str, expected: &[(&str, &[&str], usize)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, values, line)| {
                    ((*name).to_owned(), values.iter().map(ToString::to_string).collect(), *line)
                })
                .collect();
            assert_eq!(leaves(text), expected, "{text}");
        };
        check(
            r#"{"redis": {"host": "x", "port": 6379}}"#,
            &[("redis.host", &["x"], 1), ("redis.port", &["6379"], 1)],
        );
        check("redis-url: a:b\n", &[("redis-url", &["a:b"], 1)]);
        check(
            "a: 0123\nb: 1.10\nc: true\nd: 1e3\n",
            &[("a", &["0123"], 1), ("b", &["1.10"], 2), ("c", &["true"], 3), ("d", &["1e3"], 4)],
        );
        check("# why\na:\n  b:\n    c: 'x'\n", &[("a.b.c", &["x"], 4)]);
        check("a: [b, 7]\nc:\n- d\n", &[("a", &["b", "7"], 1), ("c", &["d"], 2)]);
        check(
            "a: null\nb: ~\nc:\nd: 'null'\ne: []\n",
            &[("a", &[], 1), ("b", &[], 2), ("c", &[], 3), ("d", &["null"], 4), ("e", &[], 5)],
        );
        check("{\n\t\"a\": 1\n}", &[("a", &["1"], 2)]);
        check("{}", &[]);
        check("---\na: 1\n...\n", &[("a", &["1"], 2)]);
    }

    #[test]
    fn only_objects_are_settings() {
        for text in ["", "debug", "6379", "true", "[a]", "\"x\"", "# nothing"] {
            assert_eq!(read(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn syntax_errors_name_the_line() {
        let check = |text: &str, line: usize| assert_eq!(read(text).unwrap_err().line, line, "{text}");
        check("{\"a\": 1", 1);
        check("a: 1\nb: [{c: 1}]", 2);
        check("a: &x 1\nb: *x", 2);
        check("a: 1\n---\nb: 1", 2);
        check("[a]: 1", 1);
        check(&"{a: ".repeat(100_000), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in "[a-c:{}\\[\\],\"'&*#\n \t-]{0,64}") {
            drop(read(&text));
        }
    }
}
