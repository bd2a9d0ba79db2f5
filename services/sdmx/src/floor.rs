//! The floor under every reader of this module: what reading XML costs when nothing is made of it. Benchmarks hold the
//! real work against it, in the same run and over the same input.

use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::{Fault, ParseError};
use super::input::Input;
use super::limits::Limits;

/// Passes over a document event by event and keeps nothing; how many events there were. Checks no more than the XML
/// reader does by itself, so that it takes a truncated document for a whole one.
pub fn floor<R: Read>(read: R, limits: &Limits) -> Result<u64, ParseError> {
    let mut reader = Reader::from_reader(Input::new(read, limits));
    let mut buffer = Vec::new();
    let mut events = 0;
    loop {
        buffer.clear();
        reader.get_mut().begin_event();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => return Ok(events),
            Ok(_) => events += 1,
            Err(error) => {
                let input = reader.get_mut();
                let position = input.event_position();
                let fault =
                    Fault::Malformed { found: error.to_string(), expected: "well-formed XML".to_owned() };
                return Err(input.take_error().unwrap_or(ParseError { fault, position }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_counts_events() {
        assert_eq!(floor("<a>b<c/></a>".as_bytes(), &Limits::default()).unwrap(), 4);
        assert_eq!(floor("<a></b>".as_bytes(), &Limits::default()).unwrap_err().reason(), "MALFORMED_XML");
        assert!(floor("<a>b</a>".as_bytes(), &Limits { document_bytes: 7, ..Limits::default() }).is_err());
    }
}
