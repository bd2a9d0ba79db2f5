//! The first row: what the columns are. Their positions are kept, not their names.

use std::io::Read;

use super::FIELD_BYTES;
use super::fields::{After, Fields};
use crate::error::{Fault, ParseError};
use crate::excerpt::excerpt;

/// The columns that matter.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// It is of SDMX-CSV 2.0, which names the kind of the structure first.
    pub(super) is_second: bool,
    pub(super) count: usize,
    pub(super) period: Option<usize>,
    pub(super) value: Option<usize>,
    action: Option<usize>,
    series_key: Option<usize>,
    observation_key: Option<usize>,
    structure_name: Option<usize>,
}

/// What the fields of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The kind of the structure.
    Kind,
    /// The structure.
    Reference,
    Action,
    /// A part of what is the same in all rows of a series.
    Key,
    Period,
    Value,
    /// The name of the structure, or the key of an observation: other columns have what they say.
    Label,
    Other,
}

/// The names of the first column.
const FIRST: [&str; 2] = ["DATAFLOW", "STRUCTURE"];

/// Whether a document starts as its first row has to, whatever delimiter follows.
pub(super) fn is_data(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\"").unwrap_or(head);
    FIRST.iter().any(|name| {
        let rest = head.strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| {
            matches!(rest, [] | [b',' | b';' | b'\t' | b'"' | b':' | b'[' | b'\r' | b'\n', ..])
        })
    })
}

// === impl Columns ===

impl Columns {
    /// Reads the first row. Also returns what follows it.
    pub(super) fn read<R: Read>(fields: &mut Fields<R>) -> Result<(Self, After), ParseError> {
        let mut columns = Self::default();
        let mut field = Vec::new();
        loop {
            field.clear();
            let after = fields.read(|piece| {
                let room = FIELD_BYTES - field.len();
                field.extend_from_slice(&piece[..piece.len().min(room)]);
            })?;
            let text = String::from_utf8_lossy(&field);
            columns.add(&text).map_err(|fault| fields.error(fault))?;
            if after == After::Field {
                continue;
            }
            if columns.is_second && columns.count == 1 {
                let found = "found STRUCTURE as the only column".to_owned();
                return Err(fields.error(malformed(found, "STRUCTURE_ID after it")));
            }
            return Ok((columns, after));
        }
    }

    /// Adds a column: `ID`, `ID: name`, or `ID[]` with several values in a field.
    fn add(&mut self, text: &str) -> Result<(), Fault> {
        let id = text.split([':', '[']).next().unwrap_or_default().trim_ascii();
        let position = self.count;
        self.count += 1;
        match position {
            0 if !FIRST.contains(&id) => {
                let found = format!("found the first column {:?}", excerpt(text));
                return Err(malformed(
                    found,
                    "',' after DATAFLOW or STRUCTURE, the only delimiter of SDMX-CSV",
                ));
            }
            0 => self.is_second = id == FIRST[1],
            1 if self.is_second => {
                if id != "STRUCTURE_ID" {
                    let found = format!("found the column {:?} after STRUCTURE", excerpt(text));
                    return Err(malformed(found, "STRUCTURE_ID"));
                }
            }
            _ => {
                let column = match id {
                    "TIME_PERIOD" => &mut self.period,
                    "OBS_VALUE" => &mut self.value,
                    "ACTION" => &mut self.action,
                    "SERIES_KEY" => &mut self.series_key,
                    "OBS_KEY" => &mut self.observation_key,
                    "STRUCTURE_NAME" => &mut self.structure_name,
                    _ => return Ok(()),
                };
                column.get_or_insert(position);
            }
        }
        Ok(())
    }

    /// Whether rows of one series can be told from others.
    pub(super) fn tell_series(&self) -> bool {
        self.period.is_some() || self.series_key.is_some()
    }

    /// What the field at a position is. By the recommendation of the standard, dimensions come before the period and
    /// attributes after it.
    #[inline]
    pub(super) fn role(&self, position: usize) -> Role {
        let at = Some(position);
        match position {
            0 if self.is_second => Role::Kind,
            0 => Role::Reference,
            1 if self.is_second => Role::Reference,
            _ if at == self.period => Role::Period,
            _ if at == self.value => Role::Value,
            _ if at == self.action => Role::Action,
            _ if at == self.series_key => Role::Key,
            _ if at == self.observation_key || at == self.structure_name => Role::Label,
            _ if self.series_key.is_none() && at < self.period => Role::Key,
            _ => Role::Other,
        }
    }
}

// === impl Role ===

impl Role {
    /// Whether its fields name the structure, or say what is to be done with the data.
    #[inline]
    pub(super) fn is_of_structure(self) -> bool {
        matches!(self, Self::Kind | Self::Reference | Self::Action | Self::Label)
    }
}

fn malformed(found: String, expected: &str) -> Fault {
    Fault::MalformedCsv { found, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_start_like_data() {
        for head in [
            "DATAFLOW,A",
            "DATAFLOW",
            "\"DATAFLOW\",A",
            "STRUCTURE[;],B",
            "STRUCTURE;B",
            "DATAFLOW\tA",
            "DATAFLOW: x",
        ] {
            assert!(is_data(head.as_bytes()), "{head}");
        }
        for head in
            ["", "DATAFLOWS,A", "dataflow,A", "MDSTRUCTURE,A", "STRUCTURE_ID,A", " DATAFLOW,A", "A,DATAFLOW"]
        {
            assert!(!is_data(head.as_bytes()), "{head}");
        }
    }

    #[test]
    fn the_role_of_each_column() {
        use Role::{Action, Key, Kind, Label, Other, Period, Reference, Value};
        let check = |header: &str, expected: &[Role]| {
            let mut fields = Fields::new(crate::input::Input::new(header.as_bytes(), &Default::default()));
            let (columns, after) = Columns::read(&mut fields).unwrap();
            let roles = (0..columns.count).map(|position| columns.role(position)).collect::<Vec<_>>();
            assert_eq!((roles.as_slice(), after), (expected, After::Document), "{header}");
        };
        check("DATAFLOW,FREQ,TIME_PERIOD,OBS_VALUE,UNIT", &[Reference, Key, Period, Value, Other]);
        check(
            "DATAFLOW,FREQ: Frequency,OBS_VALUE: Value,TIME_PERIOD: Time",
            &[Reference, Key, Value, Period],
        );
        check("DATAFLOW,FREQ,OBS_VALUE", &[Reference, Other, Value]);
        check(
            "STRUCTURE[;],STRUCTURE_ID,STRUCTURE_NAME,ACTION,A,TIME_PERIOD,TIME_PERIOD,B[]",
            &[Kind, Reference, Label, Action, Key, Period, Other, Other],
        );
        check(
            "STRUCTURE,STRUCTURE_ID,SERIES_KEY,OBS_KEY,A,TIME_PERIOD",
            &[Kind, Reference, Key, Label, Other, Period],
        );
    }
}
