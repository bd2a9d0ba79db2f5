//! Time periods, as SDMX writes them.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, ISOWeekDate, Weekday};

use super::frequency::{Frequency, Unit};

/// A period of time: `2001`, `2001-S1`, `2001-Q1`, `2001-05`, `2001-W05`, `2001-05-03`. Periods are ordered by their
/// first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    start: Date,
    unit: Unit,
}

/// Longer than any period; a longer text is none.
const PERIOD_BYTES: usize = 40;

// === impl Period ===

impl Period {
    /// Reads a year, a period of the reporting calendar with or without its hyphen (`2001-Q1`, `2001Q1`, `2001-M05`),
    /// a month, an ISO week, a day of the year, a date, or a time, of which the date counts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let year = text.get(..4).filter(|year| year.bytes().all(|digit| digit.is_ascii_digit()))?;
        let (year, rest) = (year.parse().ok()?, &text[4..]);
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        if text.len() > PERIOD_BYTES || year == 0 {
            return None;
        }
        let after_letter = || number(rest.get(1..)?);
        match rest.chars().next() {
            None if text.len() == 4 => Self::part(year, 1, 1, Unit::Annual),
            Some('A') => Self::part(year, after_letter()?, 1, Unit::Annual),
            Some('S') => Self::part(year, after_letter()?, 2, Unit::HalfYearly),
            Some('T') => Self::part(year, after_letter()?, 3, Unit::Trimester),
            Some('Q') => Self::part(year, after_letter()?, 4, Unit::Quarterly),
            Some('M') => Self::part(year, after_letter()?, 12, Unit::Monthly),
            Some('W') => {
                let week = i8::try_from(after_letter()?).ok()?;
                let start = ISOWeekDate::new(year, week, Weekday::Monday).ok()?.date();
                Some(Self { start, unit: Unit::Weekly })
            }
            Some('D') => {
                let day = after_letter()?;
                let start = Date::constant(2000, 1, 1).with().year(year).day_of_year(day).build().ok()?;
                Some(Self { start, unit: Unit::Daily })
            }
            // A month or a date has its hyphen.
            Some(_) if text.as_bytes()[4] == b'-' => match rest.len() {
                2 => Self::part(year, number(rest)?, 12, Unit::Monthly),
                _ => Self::day(year, rest),
            },
            _ => None,
        }
    }

    /// The number of intervals of a frequency from its first day to the last day of another period; 0 if that is earlier.
    #[must_use]
    pub fn count_to(self, last: Self, frequency: Frequency) -> u64 {
        frequency.count(self.start, last.end())
    }

    /// Its last day.
    fn end(self) -> Date {
        let last_of = |months: i64| self.start.saturating_add((months - 1).months()).last_of_month();
        match self.unit {
            Unit::Annual => self.start.last_of_year(),
            Unit::HalfYearly => last_of(6),
            Unit::Trimester => last_of(4),
            Unit::Quarterly => last_of(3),
            Unit::Monthly => last_of(1),
            Unit::Weekly => self.start.saturating_add(6.days()),
            Unit::Minutely | Unit::Hourly | Unit::BusinessDaily | Unit::Daily => self.start,
        }
    }

    /// The frequency of periods that are written like this one.
    #[must_use]
    pub fn frequency(self) -> Frequency {
        Frequency::of(self.unit)
    }

    /// A date or a time after its year: `05-03`, `05-03T12:00:00Z`.
    fn day(year: i16, rest: &str) -> Option<Self> {
        let (month, rest) = rest.split_once('-').filter(|(month, _)| month.len() == 2)?;
        let [month, day] =
            [month, rest.get(..2)?].map(|digits| number(digits).and_then(|number| number.try_into().ok()));
        let is_date = matches!(rest.as_bytes().get(2), None | Some(b'T' | b' ' | b'Z' | b'+' | b'-'));
        let start = Date::new(year, month?, day?).ok().filter(|_| is_date)?;
        Some(Self { start, unit: Unit::Daily })
    }

    /// One of several equal parts of a year.
    fn part(year: i16, number: i16, parts: i16, unit: Unit) -> Option<Self> {
        if !(1..=parts).contains(&number) {
            return None;
        }
        let month = i8::try_from((number - 1) * (12 / parts) + 1).ok()?;
        Date::new(year, month, 1).ok().map(|start| Self { start, unit })
    }

    /// Its number within the year, if there are so many of it.
    fn index(self, parts: i8) -> i8 {
        (self.start.month() - 1) / (12 / parts) + 1
    }
}

/// As the standard writes it, months and days as in ISO 8601.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = self.start.year();
        match self.unit {
            Unit::Annual => write!(f, "{year:04}"),
            Unit::HalfYearly => write!(f, "{year:04}-S{}", self.index(2)),
            Unit::Trimester => write!(f, "{year:04}-T{}", self.index(3)),
            Unit::Quarterly => write!(f, "{year:04}-Q{}", self.index(4)),
            Unit::Monthly => write!(f, "{year:04}-{:02}", self.start.month()),
            Unit::Weekly => {
                let week = self.start.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Unit::Minutely | Unit::Hourly | Unit::BusinessDaily | Unit::Daily => write!(f, "{}", self.start),
        }
    }
}

/// A number of one to three digits, and nothing else.
fn number(digits: &str) -> Option<i16> {
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_of_every_shape() {
        let check = |text: &str, shown: &str, end: &str| {
            let period = Period::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (period.to_string().as_str(), period.end().to_string().as_str()),
                (shown, end),
                "{text}"
            );
        };
        check("2001", "2001", "2001-12-31");
        check("2001-A1", "2001", "2001-12-31");
        check(" 2001-S2\n", "2001-S2", "2001-12-31");
        check("2001-T3", "2001-T3", "2001-12-31");
        check("2001-Q1", "2001-Q1", "2001-03-31");
        check("2001Q4", "2001-Q4", "2001-12-31");
        check("2001-M02", "2001-02", "2001-02-28");
        check("2001M12", "2001-12", "2001-12-31");
        check("2024-02", "2024-02", "2024-02-29");
        check("2024-W01", "2024-W01", "2024-01-07");
        check("2025-W01", "2025-W01", "2025-01-05");
        check("2024-D366", "2024-12-31", "2024-12-31");
        check("2024-05-03", "2024-05-03", "2024-05-03");
        check("2001-01-01T00:00:00Z", "2001-01-01", "2001-01-01");
        check("2001-01-01 00:00:00", "2001-01-01", "2001-01-01");
        check("2001-01-01Z", "2001-01-01", "2001-01-01");
        check("9999-Q4", "9999-Q4", "9999-12-31");
    }

    #[test]
    fn other_texts_are_no_periods() {
        for text in [
            "",
            "201",
            "20011",
            "2001-",
            "2001-Q5",
            "2001-Q0",
            "2001-S3",
            "2001-M13",
            "2001-13",
            "2001-00",
            "2001-1",
            "2001-W54",
            "20011-01-01",
            "2001-1-01",
            "2023-W53",
            "2023-D366",
            "2001-02-30",
            "2001-02-3",
            "2001-02-03x",
            "2001-Q",
            "2001-Qé",
            "2001-A2",
            "é001",
            "200é",
            "2001-01-01T000000000000000000000000000000000",
            "0000",
            "/P1Y",
            "2001-01-01/P1Y",
        ] {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn intervals_are_counted_from_the_first_day_to_the_last() {
        let check = |code: &str, first: &str, last: &str, expected: u64| {
            let [first, last] = [first, last].map(|text| Period::parse(text).unwrap());
            assert_eq!(
                first.count_to(last, Frequency::parse(code).unwrap()),
                expected,
                "{code} {first} {last}"
            );
        };
        check("A", "2001-01-01T00:00:00Z", "2018-01-01T00:00:00Z", 18);
        check("A", "2001", "2001", 1);
        check("A5", "2001", "2018", 4);
        check("S", "2001", "2002", 4);
        check("T", "2001", "2002", 6);
        check("Q", "2001-Q4", "2002-Q1", 2);
        check("M", "2001-Q4", "2002-Q1", 6);
        check("W", "2024-W52", "2025-W01", 2);
        check("W", "2024", "2024", 53);
        check("D", "2024", "2024", 366);
        check("D", "1969-12-31", "1970-01-01", 2);
        check("W", "1969-12-28", "1969-12-29", 2);
        check("B", "2024-05-06", "2024-05-12", 5);
        check("H", "2024-05-06", "2024-05-06", 24);
        check("N", "2024-05-06", "2024-05-06", 1_440);
        check("A", "2002", "2001", 0);
        check("D", "0001", "9999", 3_652_059);
    }
}
