//! Reads a region of a constraint: the numbers of the values of its dimensions.

use std::io::Read;

use super::super::parts::{Had, Parts};
use crate::error::ParseError;
use crate::facts::Periods;
use crate::json::Value;
use crate::period::Period;
use crate::reader::constraint::{ConstraintBuilder, add_value};
use crate::reader::json::text::{self, Text};
use crate::structures::{KeyValues, Role};

/// In SDMX-JSON 1.0 `isIncluded`, since 2.0 `include`.
const MEMBERS: [&str; 3] = ["include", "isIncluded", "keyValues"];

const OF_KEY: [&str; 6] = ["id", "include", "isIncluded", "values", "cascadeValues", "timeRange"];

/// The values of a dimension. It may be named after them, so they are read as what each role makes of them.
struct Values {
    frequencies: KeyValues,
    periods: KeyValues,
}

/// Reads the members of the region. It may say after its keys that it is one without content.
pub(super) fn read<R: Read>(
    parts: &mut Parts<'_, R>,
    builder: &mut ConstraintBuilder<'_>,
) -> Result<(), ParseError> {
    let (mut had, mut is_included) = (Had::default(), true);
    builder.begin_region(true);
    while let Some(member) = parts.member(&MEMBERS, &mut had)? {
        if member == "keyValues" {
            parts.objects(member, |parts| key(parts, builder))?;
        } else if parts.flag(member)? == Some(false) {
            is_included = false;
            builder.exclude_region();
        }
    }
    if is_included {
        builder.end_region();
    }
    Ok(())
}

fn key<R: Read>(parts: &mut Parts<'_, R>, builder: &mut ConstraintBuilder<'_>) -> Result<(), ParseError> {
    let (mut had, mut id, mut is_open, mut range) = (Had::default(), String::new(), false, None);
    let mut values = Values::new();
    while let Some(member) = parts.member(&OF_KEY, &mut had)? {
        match member {
            "id" => id = parts.kept(member)?,
            "include" | "isIncluded" => is_open |= parts.flag(member)? == Some(false),
            "values" => values.read(parts, &mut is_open)?,
            // In SDMX-JSON 1.0 the values whose codes below them are meant too.
            "cascadeValues" => is_open |= parts.has_content()?,
            _ => range = time_range(parts)?.or(range),
        }
    }
    let role = if range.is_some() { Role::Time } else { Role::of(&id) };
    let mut key = values.of(id, role);
    key.is_open |= is_open;
    key.periods = range.unwrap_or(key.periods);
    builder.add_key(key);
    Ok(())
}

/// Reads a range of time. An end that is not included counts too: sizes are upper bounds.
fn time_range<R: Read>(parts: &mut Parts<'_, R>) -> Result<Option<Periods>, ParseError> {
    if !parts.object("timeRange")? {
        return Ok(None);
    }
    let (mut had, mut periods) = (Had::default(), Periods::default());
    while let Some(member) =
        parts.member(&["startPeriod", "afterPeriod", "endPeriod", "beforePeriod"], &mut had)?
    {
        let period = match text::one_or_more(parts.json)? {
            Text::One => Period::parse(parts.json.text()),
            Text::ByLanguage => {
                let (mut had, mut period) = (Had::default(), None);
                while let Some(member) = parts.member(&["period"], &mut had)? {
                    period = Period::parse(&parts.kept(member)?);
                }
                period
            }
            Text::Absent => continue,
            Text::Other(value) => {
                parts.report(member, value, "a period");
                continue;
            }
        };
        let is_first = matches!(member, "startPeriod" | "afterPeriod");
        let end = if is_first { &mut periods.first } else { &mut periods.last };
        *end = period;
    }
    Ok(Some(periods))
}

// === impl Values ===

impl Values {
    fn new() -> Self {
        let [frequencies, periods] =
            [Role::Frequency, Role::Time].map(|role| KeyValues { role, ..KeyValues::default() });
        Self { frequencies, periods }
    }

    /// Reads the values: texts, or since SDMX-JSON 2.0 objects.
    fn read<R: Read>(&mut self, parts: &mut Parts<'_, R>, is_open: &mut bool) -> Result<(), ParseError> {
        if !parts.array("values")? {
            return Ok(());
        }
        while parts.json.element()? {
            match text::one_or_more(parts.json)? {
                Text::One => self.add(parts.json.text()),
                Text::ByLanguage => {
                    let mut had = Had::default();
                    while let Some(member) = parts.member(&["value", "cascadeValues"], &mut had)? {
                        if member == "value" {
                            if parts.text(member)? {
                                self.add(parts.json.text());
                            }
                        } else {
                            *is_open |= cascades(parts)?;
                        }
                    }
                }
                Text::Absent => {}
                Text::Other(value) => parts.report("values", value, "texts or objects"),
            }
        }
        Ok(())
    }

    fn add(&mut self, value: &str) {
        let value = value.trim_ascii();
        add_value(&mut self.frequencies, value);
        add_value(&mut self.periods, value);
    }

    /// The values as those of a dimension.
    fn of(self, id: String, role: Role) -> KeyValues {
        let Self { frequencies, periods } = self;
        match role {
            Role::Frequency => KeyValues { id, ..frequencies },
            Role::Time => KeyValues { id, ..periods },
            role => KeyValues { id, role, periods: Periods::default(), ..periods },
        }
    }
}

/// Whether a value stands for the codes below it too: true, or a string that says in which way.
fn cascades<R: Read>(parts: &mut Parts<'_, R>) -> Result<bool, ParseError> {
    let value = parts.json.value()?;
    let cascades = match value {
        Value::Bool(cascades) => cascades,
        Value::String | Value::Number => !matches!(parts.json.text(), "" | "false" | "0"),
        _ => false,
    };
    parts.json.skip_content(value).map(|()| cascades)
}
