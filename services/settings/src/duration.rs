//! The durations of flags: `1m 30s`, and never so long that the time at their end cannot be computed.

use std::time::Duration;

/// The longest duration of any flag: 10 years of 365 days.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Parses a duration of at most 10 years, for flags.
///
/// # Errors
///
/// Where the text is no such duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time <= LONGEST { Ok(time) } else { Err("must be at most 3650days".to_owned()) }
}

/// Parses a duration of at most 10 years that is not zero, for flags.
///
/// # Errors
///
/// Where the text is no such duration.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err("must be longer than 0s".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_bounds() {
        assert_eq!(duration("3650days"), Ok(LONGEST));
        assert_eq!(nonzero_duration("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["3650days 1ns", "500000000000years", "", "1", "-1s", "99999999999999999999years"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(nonzero_duration("0s").is_err());
        // What is computed with one.
        assert!(std::time::Instant::now().checked_add(LONGEST * 2).is_some());
    }
}
