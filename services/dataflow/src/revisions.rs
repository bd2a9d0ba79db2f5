//! The table of revisions, of a rule set and of the mapping of themes: a row for each item that a revision changed.

use std::io;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::revision::Kind;
use dataflow_render::Options;
use dataflow_render::grid::Grid;
use prost_types::Timestamp;

use crate::client::time;

/// Who made a revision, when and why.
pub(crate) struct Made<'a> {
    revision: i64,
    time: Option<Timestamp>,
    author: &'a str,
    reason: &'a str,
}

/// What it changed: the identifier of an item, and which fields of it.
pub(crate) type Changed<'a> = (&'a str, Kind, &'a [String]);

/// Writes the table. `item` is the name of the column of identifiers.
pub(crate) fn write<'a>(
    item: &'static str,
    rows: impl Iterator<Item = (Made<'a>, Changed<'a>)>,
    options: &Options,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let mut grid = Grid::new([">REVISION", "TIME", "AUTHOR", item, "CHANGE", "FIELDS", "REASON"]);
    for (Made { revision, time: made, author, reason }, (id, kind, fields)) in rows {
        let (author, id, reason) = (author.to_owned(), id.to_owned(), reason.to_owned());
        let (kind, fields) = (kind.as_str_name().to_owned(), fields.join(","));
        grid.push([revision.to_string(), time(made), author, id, kind, fields, reason]);
    }
    grid.write(options, out)
}

// === impl Made ===

impl<'a> From<&'a pb::Revision> for Made<'a> {
    fn from(made: &'a pb::Revision) -> Self {
        let pb::Revision { revision, time, author, reason, .. } = made;
        Self { revision: *revision, time: *time, author, reason }
    }
}

impl<'a> From<&'a pb::ThemeRevision> for Made<'a> {
    fn from(made: &'a pb::ThemeRevision) -> Self {
        let pb::ThemeRevision { revision, time, author, reason, .. } = made;
        Self { revision: *revision, time: *time, author, reason }
    }
}
