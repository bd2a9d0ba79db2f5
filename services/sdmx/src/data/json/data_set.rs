//! Counts a data set: its series with their observations, or its observations alone.

use std::io::Read;

use super::text;
use crate::data::Tally;
use crate::data::value::is_missing;
use crate::error::ParseError;
use crate::json::{Json, Value};

/// Reads the next element of the list of data sets.
pub(super) fn read<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    tally.data_sets += 1;
    let (mut has_series, mut has_observations) = (false, false);
    while json.member()? {
        match json.text() {
            "series" => {
                if std::mem::replace(&mut has_series, true) {
                    return Err(text::twice(json));
                }
                series(json, tally)?;
            }
            "observations" => {
                if std::mem::replace(&mut has_observations, true) {
                    return Err(text::twice(json));
                }
                observations(json, false, tally)?;
            }
            // The attributes of partial keys.
            "dimensionGroupAttributes" => {
                if text::enter(json, Value::Object)? {
                    while json.member()? {
                        tally.groups += 1;
                        json.skip()?;
                    }
                }
            }
            _ => json.skip()?,
        }
    }
    Ok(())
}

/// Reads the series of a data set, by their keys.
fn series<R: Read>(json: &mut Json<R>, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    while json.member()? {
        tally.series += 1;
        if !text::enter(json, Value::Object)? {
            continue;
        }
        let mut has_observations = false;
        while json.member()? {
            if json.text() != "observations" {
                json.skip()?;
            } else if std::mem::replace(&mut has_observations, true) {
                return Err(text::twice(json));
            } else {
                observations(json, true, tally)?;
            }
        }
    }
    Ok(())
}

/// Reads observations, by their keys: lists of a value, further measures in SDMX 3, and attributes.
fn observations<R: Read>(json: &mut Json<R>, in_series: bool, tally: &mut Tally) -> Result<(), ParseError> {
    if !text::enter(json, Value::Object)? {
        return Ok(());
    }
    while json.member()? {
        let has_value = if text::enter(json, Value::Array)? { first_value(json)? } else { false };
        tally.observation(has_value, in_series);
    }
    Ok(())
}

/// Reads a list, and returns whether its first element is a value.
fn first_value<R: Read>(json: &mut Json<R>) -> Result<bool, ParseError> {
    if !json.element()? {
        return Ok(false);
    }
    let value = json.value()?;
    let has_value = match value {
        Value::Null => false,
        Value::String => !is_missing(json.text()),
        Value::Number | Value::Bool(_) | Value::Object | Value::Array => true,
    };
    json.skip_content(value)?;
    while json.element()? {
        json.skip()?;
    }
    Ok(has_value)
}
