//! The structure of the data sets: what it names, and the periods that they have.

use std::io::Read;

use super::text;
use crate::data::periods::Periods;
use crate::data::{NamedStructure, Tally};
use crate::error::ParseError;
use crate::json::{Json, Value};

/// Reads `structure`, or the next element of `structures`.
pub(super) fn read<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    while json.member()? {
        match json.text() {
            "links" => links(json, tally)?,
            "dimensions" => dimensions(json, tally)?,
            _ => json.skip()?,
        }
    }
    Ok(())
}

/// Reads links, of which the first to a structure counts.
fn links<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Array)? {
        return Ok(());
    }
    while json.element()? {
        if !text::enter(json, Value::Object)? {
            continue;
        }
        let (mut urn, mut href) = (String::new(), String::new());
        while json.member()? {
            match json.text() {
                "urn" => text::read(json, &mut urn)?,
                "href" | "uri" => text::read(json, &mut href)?,
                _ => json.skip()?,
            }
        }
        let named = || NamedStructure::of_urn(&urn).or_else(|| NamedStructure::of_url(&href));
        tally.structure = tally.structure.take().or_else(named);
    }
    Ok(())
}

/// Reads the dimensions by where they are stated: at the data set, the series or the observations.
fn dimensions<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    while json.member()? {
        let value = json.value()?;
        if value != Value::Array {
            json.skip_content(value)?;
            continue;
        }
        while json.element()? {
            dimension(json, tally)?;
        }
    }
    Ok(())
}

/// Reads a dimension. Whether it is time may be stated after its values.
fn dimension<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    let (mut id, mut role, mut periods) = (String::new(), String::new(), Periods::default());
    while json.member()? {
        match json.text() {
            "id" => text::read(json, &mut id)?,
            "role" => text::read(json, &mut role)?,
            "values" => values(json, &mut periods)?,
            _ => json.skip()?,
        }
    }
    if id == "TIME_PERIOD" || role == "time" {
        tally.periods.merge(periods);
    }
    Ok(())
}

/// Reads the values of a dimension: in SDMX-JSON 1.0 codes with their names, in 2.0 values of a dimension without codes.
fn values<R: Read>(json: &mut Json<R>, periods: &mut Periods) -> Result<(), ParseError> {
    if !text::enter(json, Value::Array)? {
        return Ok(());
    }
    while json.element()? {
        match json.value()? {
            Value::Object => {
                while json.member()? {
                    let is_period = matches!(json.text(), "id" | "value");
                    let value = json.value()?;
                    if is_period && value == Value::String {
                        periods.add(json.text());
                    }
                    json.skip_content(value)?;
                }
            }
            Value::String => periods.add(json.text()),
            other => json.skip_content(other)?,
        }
    }
    Ok(())
}
