//! The root of a document: tells XML from JSON, and structure messages from other documents.

use std::io::Read;

use super::StructureReader;
use crate::error::{Fault, ParseError};
use crate::excerpt::excerpt;
use crate::namespace::Namespace;
use crate::sniff::{self, Root};
use crate::xml::Event;

impl<R: Read> StructureReader<R> {
    /// Reads up to the start of the root, and rejects documents that are not structure messages.
    pub(super) fn begin(&mut self) -> Result<(), ParseError> {
        if let Some(input) = self.xml.take_json(&self.limits) {
            return self.begin_json(input);
        }
        let start = loop {
            if let Event::Start(start) = self.xml.next()? {
                break start;
            }
        };
        let (root, name) =
            (sniff::classify_root(start.namespace, start.local_name()), start.local_name().to_owned());
        let version = match start.namespace {
            Namespace::Sdmx(None, _) => sniff::version_in(start.as_written()),
            _ => None,
        };
        if let Namespace::Sdmx(version, _) = start.namespace {
            self.header.version = version;
        }
        self.plain = start.namespace == Namespace::None;
        self.root = Some(root);
        self.root_position = self.xml.position();
        let fault = match (root, version) {
            (Root::Failure(what), _) => {
                Fault::NotStructure { found: format!("{what}: {:?}", self.xml.error_text()) }
            }
            (Root::Other(what), _) => Fault::NotStructure { found: format!("{what} (<{}>)", excerpt(&name)) },
            (_, Some(version)) => Fault::UnsupportedVersion { version },
            (Root::Unknown | Root::Structure, None) => return Ok(()),
        };
        Err(ParseError { fault, position: self.root_position })
    }
}
