//! Numbers of JSON (RFC 8259, section 6), as integers and as floating-point numbers, without loss.

/// Above this, a double does not hold every integer.
const MAX_EXACT: u64 = 1 << 53;

/// The length of the number at the beginning of a text; none if there is none.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    let digits =
        |from: usize| text[from.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let start = usize::from(text.first() == Some(&b'-'));
    let whole = digits(start);
    if whole == 0 || (whole > 1 && text[start] == b'0') {
        return None;
    }
    let mut end = start + whole;
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent == 0 {
            return None;
        }
        end += 1 + sign + exponent;
    }
    let is_over = !text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || b".+-_".contains(byte));
    is_over.then_some(end)
}

/// Whether a text is one number, or one of the texts for those that JSON has no numbers for.
pub(crate) fn is_number_or_name(text: &str) -> bool {
    is_number(text) || matches!(text, "NaN" | "Infinity" | "-Infinity")
}

fn is_number(text: &str) -> bool {
    length(text.as_bytes()) == Some(text.len())
}

/// The value of a number that is an integer. One with a fraction or an exponent may be written by a program that
/// computes with doubles: it counts up to 2^53 only, where such a program is exact.
pub(crate) fn integer(number: &str) -> Option<i128> {
    if let Ok(integer) = number.parse::<i64>() {
        return Some(integer.into());
    }
    if let Ok(integer) = number.parse::<u64>() {
        return Some(integer.into());
    }
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].parse::<i64>().unwrap_or(i64::MAX)),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let mut value: u64 = 0;
    let mut count = 0;
    for digit in digits {
        count += 1;
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if count == 0 {
        return Some(0);
    }
    let mut shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    // As in 1500e-2, or in 150.0 whose trailing zeros belong to the whole.
    while shift < 0 && value.is_multiple_of(10) {
        value /= 10;
        shift += 1;
    }
    let shift = u32::try_from(shift).ok().filter(|shift| *shift <= 20)?;
    let value = value.checked_mul(10_u64.checked_pow(shift)?).filter(|value| *value <= MAX_EXACT)?;
    Some(if is_negative { -i128::from(value) } else { i128::from(value) })
}

/// The double of a number, or of the texts for those that JSON has no numbers for.
pub(crate) fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|value: &f64| is_number(text) && value.is_finite()),
    }
}

/// The float of a number, or of the texts for those that JSON has no numbers for.
pub(crate) fn float(text: &str) -> Option<f32> {
    match text {
        "NaN" => Some(f32::NAN),
        "Infinity" => Some(f32::INFINITY),
        "-Infinity" => Some(f32::NEG_INFINITY),
        _ => text.parse().ok().filter(|value: &f32| is_number(text) && value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact() {
        let check = |text: &str, expected: Option<i128>| assert_eq!(integer(text), expected, "{text}");
        check("0", Some(0));
        check("-0", Some(0));
        check("18446744073709551615", Some(u64::MAX.into()));
        check("-9223372036854775808", Some(i64::MIN.into()));
        check("1.0", Some(1));
        check("100000.000", Some(100_000));
        check("1e5", Some(100_000));
        check("1.5E1", Some(15));
        check("1500e-2", Some(15));
        check("-2.50e+2", Some(-250));
        check("0.0e99999999999999999999", Some(0));
        check("9007199254740992.0", Some(1 << 53));
        check("9007199254740993.0", None);
        check("9.223372036854775807e18", None);
        check("0.5", None);
        check("1.5e0", None);
        check("1e-1", None);
        check("1.0000000000000000000000000000001", None);
        check("1e99999999999999999999", None);
        check("1e-99999999999999999999", None);
        check(&"9".repeat(1_000_000), None);
        check(&format!("0.{}1", "0".repeat(1_000_000)), None);
    }

    #[test]
    fn floating_point_numbers_are_within_their_range() {
        let check = |text: &str, as_double: bool, as_float: bool| {
            assert_eq!((double(text).is_some(), float(text).is_some()), (as_double, as_float), "{text}");
        };
        check("0", true, true);
        check("-1.5e-7", true, true);
        check("3.4028235e38", true, true);
        check("3.5e38", true, false);
        check("1.7976931348623157e308", true, false);
        check("1e400", false, false);
        check("-1e400", false, false);
        check("1e-400", true, true);
        check("NaN", true, true);
        check("-Infinity", true, true);
        check("nan", false, false);
        check("inf", false, false);
        check("infinity", false, false);
        check("+1", false, false);
        check(".5", false, false);
        check("1.", false, false);
        check("0x10", false, false);
        check(" 1", false, false);
        check("", false, false);
    }
}
