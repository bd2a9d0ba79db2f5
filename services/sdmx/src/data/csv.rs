//! Counts data messages in SDMX-CSV 1.0 and 2.0: each row is an observation, unless it has only attributes.

use std::hash::Hasher;
use std::io::Read;

use fnv::FnvHasher;

use super::value::is_missing;
use super::{DataCounts, DataFormat, NamedStructure, Tally};
use crate::error::{Fault, ParseError};
use crate::input::Input;
use crate::sniff;

mod columns;
mod fields;

use columns::{Columns, Role};
use fields::{After, Fields};

/// Counts the message.
pub(super) fn count<R: Read>(mut input: Input<R>) -> Result<DataCounts, ParseError> {
    if !columns::is_data(input.ahead()) {
        let binary = || Fault::NotXml { found: "binary data".to_owned() };
        let fault = sniff::not_xml(input.ahead()).unwrap_or_else(binary);
        return Err(ParseError { fault, position: input.here() });
    }
    let mut fields = Fields::new(input);
    let (columns, mut after) = Columns::read(&mut fields)?;
    let mut rows =
        Rows { columns, tally: Tally::default(), row: Row::default(), data_set: None, series: None };
    while after == After::Row {
        after = rows.read(&mut fields)?;
    }
    let Rows { columns, mut tally, .. } = rows;
    tally.has_values = columns.value.is_some();
    let version = if columns.is_second { "2.0" } else { "1.0" };
    // 2.0 is the format of SDMX 3.
    Ok(tally.counts(DataFormat::Csv, Some(version), columns.is_second))
}

/// The rows so far. Of the one before, only what tells whether the next one is of the same data set and series: hashes,
/// because the fields together have no bound. One in 2^64 is taken for another.
struct Rows {
    columns: Columns,
    tally: Tally,
    /// The row that is read, whose buffers serve all of them.
    row: Row,
    data_set: Option<u64>,
    series: Option<u64>,
}

/// A row, as far as it is kept. What its hashes are does not depend on the pieces in which its fields arrive.
#[derive(Default)]
struct Row {
    kind: Vec<u8>,
    reference: Vec<u8>,
    period: Vec<u8>,
    value: Vec<u8>,
    data_set: FnvHasher,
    series: FnvHasher,
    /// A field of a dimension, a measure or an attribute has a text.
    has_text: bool,
    /// Any field has.
    has_bytes: bool,
}

/// Bytes kept of a field: more than a period, a number or a reference to a structure has.
const FIELD_BYTES: usize = 512;

/// Ends a field in a hash; no text has it.
const END_OF_FIELD: u8 = 0xff;

// === impl Rows ===

impl Rows {
    /// Reads the next row. Returns what follows it.
    fn read<R: Read>(&mut self, fields: &mut Fields<R>) -> Result<After, ParseError> {
        let expected = self.columns.count;
        let row = &mut self.row;
        row.clear();
        let mut count = 0;
        let after = loop {
            let role = self.columns.role(count);
            let after = fields.read(|piece| row.take(role, piece))?;
            row.end(role);
            count += 1;
            if after != After::Field || count == expected {
                break after;
            }
        };
        // A line without anything is no row: one often ends the document.
        let is_blank = count == 1 && !row.has_bytes;
        if !is_blank && (count < expected || after == After::Field) {
            return Err(fields.wrong_count(count, expected, after));
        }
        if row.has_bytes {
            self.count();
        }
        Ok(after)
    }

    /// Counts the row that was read.
    fn count(&mut self) {
        let Self { columns, tally, row, data_set, series } = self;
        let of = row.data_set.finish();
        if data_set.replace(of) != Some(of) {
            tally.data_sets += 1;
            *series = None;
        }
        if tally.structure.is_none() {
            let [kind, reference] = [&row.kind, &row.reference].map(|field| String::from_utf8_lossy(field));
            let kind = columns.is_second.then_some(kind.trim_ascii());
            tally.structure = NamedStructure::of_fields(kind, &reference);
        }
        let [period, value] = [&row.period, &row.value].map(|field| without_label(field));
        // A row without a period has the attributes of a series, or names what is to be deleted.
        let is_observation = if columns.period.is_some() { !period.is_empty() } else { row.has_text };
        if is_observation {
            tally.periods.add(period);
            let key = row.series.finish();
            let in_series = columns.tell_series() && series.replace(key) == Some(key);
            tally.observation(!is_missing(value), in_series);
        }
    }
}

// === impl Row ===

impl Row {
    fn clear(&mut self) {
        let Self { kind, reference, period, value, .. } = self;
        [kind, reference, period, value].into_iter().for_each(Vec::clear);
        [self.data_set, self.series] = [FnvHasher::default(), FnvHasher::default()];
        [self.has_text, self.has_bytes] = [false, false];
    }

    /// Takes a piece of the field in a column with this role.
    #[inline]
    fn take(&mut self, role: Role, piece: &[u8]) {
        self.has_bytes |= !piece.is_empty();
        self.has_text |= !piece.is_empty() && !role.is_of_structure();
        let kept = match role {
            Role::Action => return self.data_set.write(piece),
            Role::Key => return self.series.write(piece),
            Role::Label | Role::Other => return,
            Role::Kind => &mut self.kind,
            Role::Reference => &mut self.reference,
            Role::Period => &mut self.period,
            Role::Value => &mut self.value,
        };
        if role.is_of_structure() {
            self.data_set.write(piece);
        }
        let room = FIELD_BYTES - kept.len();
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The field in a column with this role is complete.
    #[inline]
    fn end(&mut self, role: Role) {
        match role {
            Role::Kind | Role::Reference | Role::Action => self.data_set.write_u8(END_OF_FIELD),
            Role::Key => self.series.write_u8(END_OF_FIELD),
            Role::Period | Role::Value | Role::Label | Role::Other => {}
        }
    }
}

/// A code without the name that may follow it; empty if it is not UTF-8.
fn without_label(field: &[u8]) -> &str {
    let text = str::from_utf8(field).unwrap_or_default();
    text.split_once(": ").map_or(text, |(code, _)| code).trim_ascii()
}
