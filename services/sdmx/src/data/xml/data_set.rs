//! Counts a data set. Its observations may be millions, so that nothing is done for each but what is counted.

use std::io::Read;

use super::Message;
use crate::data::value::is_missing;
use crate::data::{DataFormat, NamedStructure, NamedStructureKind, Tally};
use crate::error::{Fault, ParseError};
use crate::namespace::Namespace;
use crate::xml::{Event, Start, Xml};

/// Longer than any period, and than the id of any key family.
const TEXT_BYTES: usize = 256;

/// The open elements that have a meaning for those inside them: their depths, 0 if none is open.
#[derive(Debug, Default)]
struct Open {
    data_set: usize,
    group: usize,
    /// A series, or a section of cross-sectional data.
    series: usize,
    /// `SeriesKey` or `ObsKey`.
    key: usize,
    observation: usize,
    /// The observation has a value, so far.
    has_value: bool,
    /// An element whose text is a period, or the id of a key family.
    text: usize,
}

/// Reads up to the end of the data set whose start tag was read last.
pub(super) fn read<R: Read>(
    xml: &mut Xml<R>,
    message: &Message,
    tally: &mut Tally,
) -> Result<(), ParseError> {
    tally.data_sets += 1;
    let is_cross_sectional = message.format == Some(DataFormat::CrossSectional);
    let mut open = Open { data_set: xml.depth(), ..Open::default() };
    let mut text = String::new();
    loop {
        match xml.next_tag()? {
            Event::Start(start) => {
                text.clear();
                let entered = if is_cross_sectional {
                    open.enter_cross_sectional(&start, tally)
                } else {
                    open.enter(&start, message, tally)
                };
                entered.map_err(|fault| xml.error(fault))?;
            }
            Event::End => {
                let depth = xml.depth();
                if depth < open.data_set {
                    return Ok(());
                }
                if depth < open.text {
                    open.take_text(depth, &text, tally);
                }
                open.leave(depth, !is_cross_sectional, tally);
            }
            Event::Text(piece) if open.text > 0 && text.len() + piece.len() <= TEXT_BYTES => {
                text.push_str(piece);
            }
            Event::Text(_) | Event::Character(_) | Event::Ignored => {}
            // The reader rejects a document that ends within an element.
            Event::Eof => return Ok(()),
        }
    }
}

// === impl Open ===

impl Open {
    /// An element starts.
    #[inline]
    fn enter(&mut self, start: &Start<'_>, message: &Message, tally: &mut Tally) -> Result<(), Fault> {
        let (depth, parent) = (start.depth, start.depth - 1);
        let name = start.local_name().as_bytes();
        if parent == self.series || parent == self.data_set || parent == self.group {
            match name {
                b"Obs" => self.observe(start, "OBS_VALUE", tally)?,
                b"Series" if parent != self.series => {
                    self.series = depth;
                    tally.series += 1;
                    add_period(start, tally)?;
                }
                b"SeriesKey" if parent == self.series => self.key = depth,
                b"KeyFamilyRef" if parent == self.data_set => self.text = depth,
                _ if parent == self.data_set && is_group(start, message.format) => {
                    self.group = depth;
                    tally.groups += 1;
                }
                _ => {}
            }
        } else if parent == self.observation {
            match name {
                b"ObsValue" => {
                    tally.has_values = true;
                    self.has_value = start.attribute("value")?.is_some_and(|value| !is_missing(&value));
                }
                b"ObsDimension" => add_dimension(start, message.has_time_at_observations, tally)?,
                b"ObsKey" => self.key = depth,
                b"Time" => self.text = depth,
                _ => {}
            }
        } else if parent == self.key && name == b"Value" {
            add_dimension(start, false, tally)?;
        }
        Ok(())
    }

    /// An element starts in cross-sectional data: a group, a section inside it or not, or an observation inside a section,
    /// which is named for its measure.
    fn enter_cross_sectional(&mut self, start: &Start<'_>, tally: &mut Tally) -> Result<(), Fault> {
        let (depth, parent) = (start.depth, start.depth - 1);
        if parent == self.series {
            if !matches!(start.namespace, Namespace::Sdmx(..)) {
                self.observe(start, "value", tally)?;
            }
        } else if parent == self.data_set || parent == self.group {
            match start.local_name() {
                "Group" if parent == self.data_set => {
                    self.group = depth;
                    tally.groups += 1;
                    add_period(start, tally)?;
                }
                "Section" => {
                    self.series = depth;
                    add_period(start, tally)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An observation starts, whose value is an attribute or a child.
    #[inline]
    fn observe(&mut self, start: &Start<'_>, value_name: &str, tally: &mut Tally) -> Result<(), Fault> {
        self.observation = start.depth;
        self.has_value = false;
        for (name, value) in start.attributes() {
            // Compared as bytes: the compiler inlines that, but would call a function for strings.
            if name.as_bytes() == value_name.as_bytes() {
                tally.has_values = true;
                self.has_value = !is_missing(&value.resolve()?);
            } else if is_time(name) {
                tally.periods.add(&value.resolve()?);
            }
        }
        Ok(())
    }

    /// The element ended whose text was collected.
    fn take_text(&mut self, depth: usize, text: &str, tally: &mut Tally) {
        self.text = 0;
        if depth > self.data_set {
            return tally.periods.add(text);
        }
        let id = text.trim_ascii();
        if tally.structure.is_none() && !id.is_empty() {
            tally.structure = Some(NamedStructure::new(NamedStructureKind::DataStructure, "", id, ""));
        }
    }

    /// An element ended, and `depth` elements are open.
    #[inline]
    fn leave(&mut self, depth: usize, has_series: bool, tally: &mut Tally) {
        if depth < self.observation {
            self.observation = 0;
            tally.observation(self.has_value, has_series && self.series > 0);
        }
        for element in [&mut self.key, &mut self.series, &mut self.group] {
            if depth < *element {
                *element = 0;
            }
        }
    }
}

/// Whether a name is that of the time dimension, which the standard has fixed since 2.1 and most use before.
#[inline]
fn is_time(name: &str) -> bool {
    matches!(name.as_bytes(), b"TIME_PERIOD" | b"TIME")
}

/// Takes the period of an element that states it for all inside it.
pub(super) fn add_period(start: &Start<'_>, tally: &mut Tally) -> Result<(), Fault> {
    for (name, value) in start.attributes() {
        if is_time(name) {
            tally.periods.add(&value.resolve()?);
        }
    }
    Ok(())
}

/// Takes the value of a dimension if that is time, by its id, its concept in SDMX 2.0, or `unnamed_is_time`.
fn add_dimension(start: &Start<'_>, unnamed_is_time: bool, tally: &mut Tally) -> Result<(), Fault> {
    let mut has_time = unnamed_is_time;
    for (name, value) in start.attributes() {
        if matches!(name, "id" | "concept") {
            has_time = is_time(value.resolve()?.trim_ascii());
        }
    }
    if has_time && let Some(value) = start.attribute("value")? {
        tally.periods.add(&value);
    }
    Ok(())
}

/// Whether a child of a data set is a group; in Compact data it has the name that its structure gives it.
fn is_group(start: &Start<'_>, format: Option<DataFormat>) -> bool {
    let name = start.local_name();
    let is_named = match start.namespace {
        Namespace::Foreign => true,
        Namespace::None => name.ends_with("Group"),
        Namespace::Sdmx(..) | Namespace::Soap => false,
    };
    name == "Group" || (is_named && format == Some(DataFormat::Compact))
}
