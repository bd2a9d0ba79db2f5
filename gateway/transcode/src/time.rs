//! The texts of `google.protobuf.Timestamp` (RFC 3339) and `google.protobuf.Duration` (seconds with an `s`).

use std::io::Write;

/// 0001-01-01T00:00:00Z, the first timestamp.
const MIN_TIMESTAMP: i64 = -62_135_596_800;

/// 9999-12-31T23:59:59Z, the last second.
const MAX_TIMESTAMP: i64 = 253_402_300_799;

/// Seconds of 10,000 years, the longest duration.
const MAX_DURATION: i64 = 315_576_000_000;

const NANOS_PER_SECOND: i32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Writes a timestamp in quotes; none if it is out of range.
pub(crate) fn write_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> Option<()> {
    if !(MIN_TIMESTAMP..=MAX_TIMESTAMP).contains(&seconds) || !(0..NANOS_PER_SECOND).contains(&nanos) {
        return None;
    }
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let time = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    write!(out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").ok()?;
    write_fraction(nanos, out);
    out.extend_from_slice(b"Z\"");
    Some(())
}

/// Writes a duration in quotes; none if it is out of range, or its parts have different signs.
pub(crate) fn write_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> Option<()> {
    let is_possible = (-MAX_DURATION..=MAX_DURATION).contains(&seconds)
        && nanos.unsigned_abs() < NANOS_PER_SECOND.unsigned_abs()
        && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0));
    if !is_possible {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    write!(out, "\"{sign}{}", seconds.unsigned_abs()).ok()?;
    write_fraction(nanos.abs(), out);
    out.extend_from_slice(b"s\"");
    Some(())
}

/// With 0, 3, 6 or 9 digits, as many as needed.
fn write_fraction(nanos: i32, out: &mut Vec<u8>) {
    let written = match nanos {
        0 => Ok(()),
        _ if nanos % 1_000_000 == 0 => write!(out, ".{:03}", nanos / 1_000_000),
        _ if nanos % 1_000 == 0 => write!(out, ".{:06}", nanos / 1_000),
        _ => write!(out, ".{nanos:09}"),
    };
    written.expect("a vector grows");
}

/// Seconds and nanoseconds of a timestamp.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked("YYYY-MM-DDTHH:MM:SS".len())?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, separator)| head[at] != separator) {
        return None;
    }
    let part = |from: usize, to: usize| digits(&head[from..to]);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = fraction(rest)?;
    let offset = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), ref time @ ..] if time.len() == 5 && time[2] == b':' => {
            let (hours, minutes) = (digits(&time[..2])?, digits(&time[3..])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let days = days(year, month, day)?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    (MIN_TIMESTAMP..=MAX_TIMESTAMP).contains(&seconds).then_some((seconds, nanos))
}

/// Seconds and nanoseconds of a duration.
pub(crate) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes().strip_suffix(b"s")?;
    let (is_negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // No duration has more digits than this.
    let seconds = digits(&bytes[..length]).filter(|_| (1..=12).contains(&length))?;
    let (nanos, rest) = fraction(&bytes[length..])?;
    if !rest.is_empty() || seconds > MAX_DURATION {
        return None;
    }
    Some(if is_negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// The nanoseconds of a fraction, if there is one, of at most nine digits, and the rest.
fn fraction(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let scale = 10_i64.pow(9 - u32::try_from(length).ok()?);
    let nanos = i32::try_from(digits(&rest[..length])? * scale).ok()?;
    Some((nanos, &rest[length..]))
}

/// A number of digits only, few enough for the type.
fn digits(bytes: &[u8]) -> Option<i64> {
    let add = |number: i64, byte: &u8| {
        byte.is_ascii_digit().then(|| number.checked_mul(10)?.checked_add(i64::from(byte - b'0'))).flatten()
    };
    bytes.iter().try_fold(0, add)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, from the year 1.
///
/// A year begins in March here, so that the leap day is its last, and 400 years are an era of equal length.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    let length = LENGTHS.get(index)? + i64::from(is_leap && month == 2);
    if year < 1 || !(1..=length).contains(&day) {
        return None;
    }
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// The date of a day since 1970-01-01: the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        write_timestamp(seconds, nanos, &mut out)?;
        Some(String::from_utf8(out).unwrap().trim_matches('"').to_owned())
    }

    fn duration(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        write_duration(seconds, nanos, &mut out)?;
        Some(String::from_utf8(out).unwrap().trim_matches('"').to_owned())
    }

    proptest! {
        #[test]
        fn a_timestamp_is_parsed_as_it_was_written(
            seconds in MIN_TIMESTAMP..=MAX_TIMESTAMP,
            nanos in 0..NANOS_PER_SECOND,
        ) {
            let text = timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(parse_timestamp(&text), Some((seconds, nanos)));
            let prost = prost_reflect::prost_types::Timestamp { seconds, nanos };
            prop_assert_eq!(text.parse::<prost_reflect::prost_types::Timestamp>().unwrap(), prost);
        }

        #[test]
        fn a_duration_is_parsed_as_it_was_written(
            seconds in -MAX_DURATION..=MAX_DURATION,
            nanos in 0..NANOS_PER_SECOND,
        ) {
            let nanos = if seconds < 0 { -nanos } else { nanos };
            prop_assert_eq!(parse_duration(&duration(seconds, nanos).unwrap()), Some((seconds, nanos)));
        }
    }

    #[test]
    fn timestamps_are_of_rfc_3339_within_their_range() {
        let check =
            |text: &str, expected: Option<(i64, i32)>| assert_eq!(parse_timestamp(text), expected, "{text}");
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2024-02-29T12:30:45.5Z", Some((1_709_209_845, 500_000_000)));
        check("2024-02-29T12:30:45.000000001+01:30", Some((1_709_204_445, 1)));
        check("0001-01-01T00:00:00Z", Some((MIN_TIMESTAMP, 0)));
        check("9999-12-31T23:59:59.999999999Z", Some((MAX_TIMESTAMP, 999_999_999)));
        check("0001-01-01T00:00:00+00:01", None);
        check("9999-12-31T23:59:59-00:01", None);
        check("0000-01-01T00:00:00Z", None);
        check("2023-02-29T00:00:00Z", None);
        check("1900-02-29T00:00:00Z", None);
        check("2023-13-01T00:00:00Z", None);
        check("2023-00-01T00:00:00Z", None);
        check("2023-01-01T24:00:00Z", None);
        check("2023-01-01T00:00:60Z", None);
        check("2023-01-01t00:00:00Z", None);
        check("2023-01-01T00:00:00z", None);
        check("2023-01-01 00:00:00Z", None);
        check("2023-01-01T00:00:00", None);
        check("2023-01-01T00:00:00.Z", None);
        check("2023-01-01T00:00:00.1234567890Z", None);
        check("2023-01-01T00:00:00+0100", None);
        check("+023-01-01T00:00:00Z", None);
        check("2023-01-01T00:00:00Zé", None);
        check("", None);
    }

    #[test]
    fn durations_are_seconds_within_their_range() {
        let check =
            |text: &str, expected: Option<(i64, i32)>| assert_eq!(parse_duration(text), expected, "{text}");
        check("0s", Some((0, 0)));
        check("1.5s", Some((1, 500_000_000)));
        check("-0.5s", Some((0, -500_000_000)));
        check("-1.000000001s", Some((-1, -1)));
        check("315576000000s", Some((MAX_DURATION, 0)));
        check("315576000001s", None);
        check("00000000000000000001s", None);
        check("1", None);
        check("s", None);
        check(".5s", None);
        check("1.s", None);
        check("1.0000000001s", None);
        check("+1s", None);
        check("1e2s", None);
        check("--1s", None);
    }

    #[test]
    fn fractions_have_three_six_or_nine_digits() {
        let check = |nanos: i32, expected: &str| assert_eq!(duration(1, nanos).as_deref(), Some(expected));
        check(0, "1s");
        check(500_000_000, "1.500s");
        check(1_000, "1.000001s");
        check(1, "1.000000001s");
        assert_eq!(duration(0, -1).as_deref(), Some("-0.000000001s"));
        assert_eq!(duration(1, -1), None);
        assert_eq!(duration(MAX_DURATION + 1, 0), None);
        assert_eq!(timestamp(0, -1), None);
        assert_eq!(timestamp(MAX_TIMESTAMP + 1, 0), None);
        assert_eq!(timestamp(MIN_TIMESTAMP - 1, 0), None);
    }
}
