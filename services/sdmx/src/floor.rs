//! The baseline for benchmarks: the cost of reading XML or JSON without using it. Benchmarks compare the real parser with
//! it, in the same run and on the same input.

use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::{Fault, ParseError};
use super::input::Input;
use super::json::Json;
use super::limits::Limits;

/// Reads a document event by event, discards everything, and returns the number of events, or of values of JSON. Checks
/// only what the readers of XML and JSON check by themselves, so it accepts truncated XML.
pub fn floor<R: Read>(read: R, limits: &Limits) -> Result<u64, ParseError> {
    let mut input = Input::new(read, limits);
    if matches!(input.first_byte(), Some(b'{' | b'[')) {
        let mut json = Json::new(input, limits);
        let root = json.value()?;
        return Ok(1 + json.content(root)?);
    }
    let mut reader = Reader::from_reader(input);
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
        assert_eq!(floor(r#" {"a": [1, "b", {}]}"#.as_bytes(), &Limits::default()).unwrap(), 5);
        assert_eq!(floor("{,}".as_bytes(), &Limits::default()).unwrap_err().reason(), "MALFORMED_JSON");
    }
}
