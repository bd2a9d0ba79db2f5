//! The first and the last period of a message.

use jiff::civil::{Date, ISOWeekDate, Weekday};

/// The periods with the earliest and the latest start so far.
#[derive(Debug, Default)]
pub(super) struct Periods {
    first: Option<(Start, String)>,
    last: Option<(Start, String)>,
}

/// The first day of a period, and the second of that day.
type Start = (Date, u32);

/// Longer than any period; a longer text is none.
pub(super) const PERIOD_BYTES: usize = 40;

// === impl Periods ===

impl Periods {
    /// Takes a period into account. Texts that are none are ignored: a dimension may have any name in SDMX 2.0.
    #[inline]
    pub(super) fn add(&mut self, text: &str) {
        let text = text.trim_ascii();
        let Some(start) = start(text) else { return };
        if self.first.as_ref().is_none_or(|(first, _)| start < *first) {
            self.first = Some((start, text.to_owned()));
        }
        if self.last.as_ref().is_none_or(|(last, _)| start > *last) {
            self.last = Some((start, text.to_owned()));
        }
    }

    /// Takes the periods of a part into account.
    pub(super) fn merge(&mut self, part: Self) {
        for (_, text) in [part.first, part.last].into_iter().flatten() {
            self.add(&text);
        }
    }

    /// The first and the last period.
    pub(super) fn ends(self) -> (Option<String>, Option<String>) {
        (self.first.map(|(_, text)| text), self.last.map(|(_, text)| text))
    }
}

/// When a period starts: a year, a period of the reporting calendar with or without its hyphen (`2001-Q1`, `2001Q1`), a
/// month, an ISO week, a day, a time, or the first of these in a range of time (`2001-05-03/P1M`). A zone has no effect.
fn start(text: &str) -> Option<Start> {
    let bytes = text.as_bytes();
    if bytes.len() > PERIOD_BYTES {
        return None;
    }
    let (year, rest) = bytes.split_first_chunk::<4>()?;
    let year = i16::try_from(number(year)?).ok().filter(|year| *year > 0)?;
    let day = |month: i8, day: i8| Some((Date::new(year, month, day).ok()?, 0));
    let part = |digits: &[u8], parts: u32| {
        let part = number(digits).filter(|part| (1..=parts).contains(part))?;
        day(i8::try_from((part - 1) * (12 / parts) + 1).ok()?, 1)
    };
    let (has_hyphen, rest) = match rest {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match rest {
        [] if !has_hyphen => day(1, 1),
        [b'/', ..] if !has_hyphen => day(1, 1),
        [b'A', digits @ ..] => part(digits, 1),
        [b'S', digits @ ..] => part(digits, 2),
        [b'T', digits @ ..] => part(digits, 3),
        [b'Q', digits @ ..] => part(digits, 4),
        [b'M', digits @ ..] => part(digits, 12),
        [b'W', digits @ ..] => {
            let week = i8::try_from(number(digits)?).ok()?;
            Some((ISOWeekDate::new(year, week, Weekday::Monday).ok()?.date(), 0))
        }
        [b'D', digits @ ..] => {
            let day = i16::try_from(number(digits)?).ok()?;
            Some((Date::new(year, 1, 1).ok()?.with().day_of_year(day).build().ok()?, 0))
        }
        [tens, ones] if has_hyphen => part(&[*tens, *ones], 12),
        [tens, ones, b'/', ..] if has_hyphen => part(&[*tens, *ones], 12),
        [month_tens, month_ones, b'-', tens, ones, rest @ ..] if has_hyphen => {
            let [month, day] = [[*month_tens, *month_ones], [*tens, *ones]].map(|digits| number(&digits));
            let [month, day] = [i8::try_from(month?).ok()?, i8::try_from(day?).ok()?];
            Some((Date::new(year, month, day).ok()?, time(rest)?))
        }
        _ => None,
    }
}

/// The second of the day, by what follows a date; 0 without a time.
fn time(rest: &[u8]) -> Option<u32> {
    match rest {
        [] | [b'Z' | b'+' | b'-' | b'/', ..] => Some(0),
        [b'T' | b' ', h1, h2, b':', m1, m2, rest @ ..] => {
            let [hours, minutes] = [number(&[*h1, *h2])?, number(&[*m1, *m2])?];
            let seconds = match rest {
                [b':', s1, s2, ..] => number(&[*s1, *s2])?,
                _ => 0,
            };
            let is_time = hours <= 24 && minutes < 60 && seconds <= 60;
            is_time.then_some((hours * 60 + minutes) * 60 + seconds)
        }
        _ => None,
    }
}

/// A number of one to four digits, and nothing else.
#[inline]
fn number(digits: &[u8]) -> Option<u32> {
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_ordered_by_their_start() {
        let ascending = [
            "1969-12-31",
            "2001",
            "2001-01-01T00:00:01",
            "2001-01-08",
            "2001-02",
            "2001-Q2",
            "2001-05-03T09:30:00",
            "2001-05-03T10:00",
            "2001-M06",
            "2001-S2",
            "2001-T3",
            "2001-12-30/P1M",
            "2002-W01",
            "2002-D002",
            "2002-02/P1M",
            "2003/P1Y",
            "2004-A1",
            "9999Q4",
        ];
        for pair in ascending.windows(2) {
            assert!(start(pair[0]).unwrap() < start(pair[1]).unwrap(), "{pair:?}");
        }
        let mut periods = Periods::default();
        for text in ascending.iter().rev().chain(["", "TOTAL", " 2000 "].iter()).chain(&ascending) {
            periods.add(text);
        }
        assert_eq!(periods.ends(), (Some("1969-12-31".to_owned()), Some("9999Q4".to_owned())));
    }

    #[test]
    fn the_first_of_periods_with_one_start_counts() {
        for same in [["2001", "2001-01"], ["2001-Q1", "2001"], ["2001-01-01Z", "2001-01-01T00:00:00+01:00"]] {
            let mut periods = Periods::default();
            same.iter().for_each(|text| periods.add(text));
            assert_eq!(periods.ends(), (Some(same[0].to_owned()), Some(same[0].to_owned())));
        }
    }

    #[test]
    fn parts_are_merged() {
        let mut part = Periods::default();
        ["2001", "1999"].iter().for_each(|text| part.add(text));
        let mut periods = Periods::default();
        periods.add("2000");
        periods.merge(part);
        periods.merge(Periods::default());
        assert_eq!(periods.ends(), (Some("1999".to_owned()), Some("2001".to_owned())));
    }

    #[test]
    fn other_texts_are_no_periods() {
        let long = format!("2001-01-01T00:00:00.{}", "0".repeat(30));
        for text in [
            "",
            "201",
            "20011",
            "0000",
            "2001-",
            "2001-Q5",
            "2001-Q0",
            "2001-S3",
            "2001-M13",
            "2001-13",
            "2001-1",
            "200113",
            "2001-W54",
            "2001-D366",
            "2001-02-30",
            "2001-02-3",
            "2001-02-03x",
            "2001-Q",
            "2001-Qé",
            "200é",
            "2001-01-01T",
            "2001-01-01T99:00",
            "2001-01-01T0:00",
            "/P1Y",
            "2001-/P1Y",
            &long,
        ] {
            assert_eq!(start(text), None, "{text:?}");
        }
    }
}
