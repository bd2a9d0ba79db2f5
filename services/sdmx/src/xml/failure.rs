//! Maps the errors of quick-xml to [`Fault`].

use std::io::{BufRead, Read};

use quick_xml::encoding::EncodingError;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};

use super::EventReader;
use crate::error::{Fault, ParseError};

impl<R: Read> EventReader<R> {
    /// Types and positions an error of quick-xml.
    #[cold]
    pub(super) fn failure(&mut self, error: Error) -> ParseError {
        let mut position = self.input().event_position();
        if let Some(error) = self.input().take_error() {
            return error;
        }
        // An incomplete construct is a truncation only at the end of the document.
        let at_end = self.input().fill_buf().is_ok_and(<[u8]>::is_empty);
        let fault = match error {
            Error::Syntax(SyntaxError::UnclosedDoctype)
            | Error::IllFormed(IllFormedError::MissingDoctypeName) => Fault::Dtd,
            Error::Syntax(error) if at_end => Fault::Truncated {
                inside: format!("inside {}", construct(error)),
                expected: "its end, and that of the root element".into(),
            },
            Error::IllFormed(IllFormedError::UnclosedReference) if at_end => self.truncated(),
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                malformed("'&' that does not start a reference", "&amp;")
            }
            Error::Encoding(EncodingError::Utf8(error)) => {
                position.offset += error.valid_up_to() as u64;
                Fault::InvalidEncoding { encoding: self.input().encoding() }
            }
            Error::Io(error) => Fault::Read(std::io::Error::new(error.kind(), error)),
            other => malformed(&other.to_string(), "well-formed XML"),
        };
        ParseError { fault, position }
    }

    /// The document ended with open elements.
    pub(super) fn truncated(&self) -> Fault {
        let inside = match self.elements.depth() {
            0 => "before any element".to_owned(),
            1 => "inside its root element".to_owned(),
            depth => format!("{depth} elements deep"),
        };
        Fault::Truncated { inside, expected: "the end tag of the root element".to_owned() }
    }
}

/// An end tag that is not that of the innermost element.
pub(super) fn mismatched_end(found: &str, expected: &str) -> Fault {
    malformed(&format!("</{}>", short(found)), &format!("</{}>", short(expected)))
}

/// An end tag without an open element.
pub(super) fn unmatched_end(found: &str) -> Fault {
    malformed(&format!("</{}>", short(found)), "a start tag")
}

fn malformed(found: &str, expected: &str) -> Fault {
    Fault::Malformed { found: format!("found {found}"), expected: expected.to_owned() }
}

fn construct(error: SyntaxError) -> &'static str {
    match error {
        SyntaxError::UnclosedComment => "a comment",
        SyntaxError::UnclosedCData => "a CDATA section",
        SyntaxError::UnclosedPI | SyntaxError::UnclosedXmlDecl => "a processing instruction",
        SyntaxError::UnclosedSingleQuotedAttributeValue | SyntaxError::UnclosedDoubleQuotedAttributeValue => {
            "an attribute value"
        }
        SyntaxError::UnclosedTag | SyntaxError::InvalidBangMarkup | SyntaxError::UnclosedDoctype => "a tag",
    }
}

/// Shortens a name for a message.
fn short(name: &str) -> String {
    name.chars().take(60).collect()
}
