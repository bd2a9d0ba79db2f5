//! The header of a message: who sent it, and when.

use std::io::Read;

use crate::error::ParseError;
use crate::namespace::Version;
use crate::xml::{Event, Xml};

/// The header of the message. Complete once the first dataflow has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// The version of SDMX-ML; `None` in a document without namespaces, and in SDMX-JSON.
    pub version: Option<Version>,
    /// The identifier of the message.
    pub id: String,
    /// The creation time, as written.
    pub prepared: String,
    /// The id of the first sender.
    pub sender: String,
}

/// Longer than any identifier or time in a header.
pub(super) const HEADER_TEXT_BYTES: usize = 1 << 10;

// === impl Header ===

impl Header {
    /// Reads up to the end of the element whose start tag was read last.
    pub(super) fn read<R: Read>(&mut self, xml: &mut Xml<R>) -> Result<(), ParseError> {
        let depth = xml.depth();
        let mut text = String::new();
        let mut name = String::new();
        while xml.depth() >= depth {
            match xml.next()? {
                Event::Start(start) => {
                    text.clear();
                    name.clear();
                    if start.depth == depth + 1 {
                        name.push_str(start.local_name());
                    }
                    if name == "Sender" && self.sender.is_empty() {
                        let sender = start.attribute("id").map(|id| id.unwrap_or_default().into_owned());
                        self.sender = sender.map_err(|fault| xml.error(fault))?;
                    }
                }
                Event::Text(piece) if text.len() + piece.len() <= HEADER_TEXT_BYTES => text.push_str(piece),
                Event::End => {
                    match name.as_str() {
                        "ID" => self.id = text.trim().to_owned(),
                        "Prepared" => self.prepared = text.trim().to_owned(),
                        _ => {}
                    }
                    name.clear();
                }
                _ => {}
            }
        }
        Ok(())
    }
}
