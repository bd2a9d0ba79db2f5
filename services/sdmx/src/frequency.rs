//! How often a dataflow has observations, in the codes of SDMX's code list CL_FREQ.

use std::fmt;

use jiff::civil::Date;

/// An interval of time: a unit, or several of it (`A5`: every five years).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frequency {
    unit: Unit,
    multiple: u16,
}

/// The units of CL_FREQ, finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Unit {
    Minutely,
    Hourly,
    BusinessDaily,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Trimester,
    HalfYearly,
    Annual,
}

// === impl Frequency ===

impl Frequency {
    /// The frequency with this code: a letter, and the number of units if there are several. `None` for the codes that
    /// state no interval, such as `U` (unspecified).
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let letter = code.chars().next()?;
        let unit = Unit::ALL.into_iter().find(|unit| unit.letter() == letter)?;
        let multiple = match code.get(1..)? {
            "" => 1,
            digits if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            _ => return None,
        };
        (multiple > 0).then_some(Self { unit, multiple })
    }

    /// One unit.
    pub(crate) const fn of(unit: Unit) -> Self {
        Self { unit, multiple: 1 }
    }

    /// The days of an interval, rounded up.
    #[must_use]
    pub fn days(self) -> u32 {
        self.unit.days() * u32::from(self.multiple)
    }

    /// The number of intervals from one day to another, both included; 0 if the second is earlier.
    pub(crate) fn count(self, from: Date, to: Date) -> u64 {
        if to < from {
            return 0;
        }
        let days = day_number(to) - day_number(from) + 1;
        let units = match self.unit {
            Unit::Annual => months(from, to, 12),
            Unit::HalfYearly => months(from, to, 6),
            Unit::Trimester => months(from, to, 4),
            Unit::Quarterly => months(from, to, 3),
            Unit::Monthly => months(from, to, 1),
            // The first day of the count of days was a Thursday.
            Unit::Weekly => (day_number(to) + 3).div_euclid(7) - (day_number(from) + 3).div_euclid(7) + 1,
            Unit::Daily => days,
            Unit::BusinessDaily => days / 7 * 5 + (days % 7).min(5),
            Unit::Hourly => days * 24,
            Unit::Minutely => days * 24 * 60,
        };
        u64::try_from(units).unwrap_or(0).div_ceil(u64::from(self.multiple))
    }
}

/// The code.
impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.unit.letter())?;
        if self.multiple > 1 { write!(f, "{}", self.multiple) } else { Ok(()) }
    }
}

// === impl Unit ===

impl Unit {
    const ALL: [Self; 10] = [
        Self::Minutely,
        Self::Hourly,
        Self::BusinessDaily,
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Quarterly,
        Self::Trimester,
        Self::HalfYearly,
        Self::Annual,
    ];

    const fn letter(self) -> char {
        match self {
            Self::Minutely => 'N',
            Self::Hourly => 'H',
            Self::BusinessDaily => 'B',
            Self::Daily => 'D',
            Self::Weekly => 'W',
            Self::Monthly => 'M',
            Self::Quarterly => 'Q',
            Self::Trimester => 'T',
            Self::HalfYearly => 'S',
            Self::Annual => 'A',
        }
    }

    const fn days(self) -> u32 {
        match self {
            Self::Minutely | Self::Hourly | Self::BusinessDaily | Self::Daily => 1,
            Self::Weekly => 7,
            Self::Monthly => 31,
            Self::Quarterly => 92,
            Self::Trimester => 123,
            Self::HalfYearly => 184,
            Self::Annual => 366,
        }
    }
}

/// The number of groups of so many months that begin in January, from the one with `from` to the one with `to`.
fn months(from: Date, to: Date, group: i64) -> i64 {
    let index = |date: Date| (i64::from(date.year()) * 12 + i64::from(date.month()) - 1).div_euclid(group);
    index(to) - index(from) + 1
}

/// Days since the start of 1970.
fn day_number(date: Date) -> i64 {
    date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_cl_freq() {
        let check = |code: &str, expected: Option<u32>| {
            let found = Frequency::parse(code);
            assert_eq!(found.map(Frequency::days), expected, "{code:?}");
            if let Some(found) = found {
                assert_eq!(found.to_string(), code);
            }
        };
        for (code, days) in [("A", 366), ("S", 184), ("T", 123), ("Q", 92), ("M", 31), ("W", 7), ("D", 1)] {
            check(code, Some(days));
        }
        check("A5", Some(1_830));
        check("M2", Some(62));
        check("A999", Some(365_634));
        for other in ["", "U", "a", "A0", "A1000", "A-1", "A+1", "AB", "Annual", "é", "Aé"] {
            check(other, None);
        }
    }
}
