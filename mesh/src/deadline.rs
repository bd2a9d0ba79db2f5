//! Deadlines: the header `grpc-timeout`, and the deadline of the current call. [`inbound`](crate::inbound) enforces it,
//! and [`outbound`](crate::outbound) propagates it, so that expired work stops everywhere.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::status::{Describe, Kind};

/// The header of the gRPC protocol with the timeout of the caller.
pub const HEADER: &str = "grpc-timeout";

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// The deadlines of the current call.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// When its response must have begun.
    head: Instant,
    /// When its response must have ended; none for a stream without a deadline.
    end: Option<Instant>,
}

/// The deadline of the current call; for a streaming response, the deadline of its beginning. `None` outside of a call.
pub fn current() -> Option<Instant> {
    DEADLINE.try_with(|deadline| deadline.head).ok()
}

/// The deadline of the last byte of the current call's response; `None` for a stream whose caller set no deadline, and
/// outside of a call.
pub fn end() -> Option<Instant> {
    DEADLINE.try_with(|deadline| deadline.end).ok().flatten()
}

/// Why a call was ended or rejected because of its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The deadline has passed.
    #[error("the deadline of the call was exceeded")]
    Exceeded,
    /// The header does not follow the gRPC protocol.
    #[error("grpc-timeout must be 1 to 8 digits and one of H, M, S, m, u, n")]
    Malformed,
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Exceeded => Kind::Timeout,
            Error::Malformed => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Exceeded => "DEADLINE_EXCEEDED",
            Error::Malformed => "GRPC_TIMEOUT_MALFORMED",
        }
    }
}

/// Parses `grpc-timeout` (gRPC over HTTP/2, "Timeout"); `None` when the header is absent.
pub fn parse(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::Malformed)?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(Error::Malformed)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Malformed);
    }
    let amount: u64 = digits.parse().map_err(|_| Error::Malformed)?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return Err(Error::Malformed),
    }))
}

/// Formats a `grpc-timeout` in the finest unit in which eight digits suffice, rounded down.
pub fn format(timeout: Duration) -> HeaderValue {
    const LARGEST: u128 = 99_999_999;
    let units =
        [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (u128::from(timeout.as_secs()), 'S')];
    let (amount, unit) = units.into_iter().find(|(amount, _)| *amount <= LARGEST).unwrap_or((LARGEST, 'S'));
    HeaderValue::try_from(format!("{amount}{unit}")).expect("digits and a letter are a header value")
}

/// Runs a call with its deadlines: its response must begin by `head`, and end by `end`.
pub(crate) fn scope<F: Future>(
    head: Instant,
    end: Option<Instant>,
    call: F,
) -> impl Future<Output = F::Output> {
    DEADLINE.scope(Deadline { head, end }, call)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn timeouts_are_parsed_as_the_grpc_protocol_defines_them() {
        let check = |value: &str, expected| assert_eq!(parse(&headers(value)), expected, "{value:?}");
        check("1H", Ok(Some(Duration::from_secs(3600))));
        check("2M", Ok(Some(Duration::from_secs(120))));
        check("3S", Ok(Some(Duration::from_secs(3))));
        check("99999999m", Ok(Some(Duration::from_millis(99_999_999))));
        check("5u", Ok(Some(Duration::from_micros(5))));
        check("0n", Ok(Some(Duration::ZERO)));
        for malformed in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1.5S", "1 S"] {
            check(malformed, Err(Error::Malformed));
        }
        assert_eq!(parse(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn a_formatted_timeout_is_parsed_as_at_most_one_second_less(micros in 0u64..20_000_000_000_000) {
            let timeout = Duration::from_micros(micros);
            let written = format(timeout);
            let read = parse(&headers(written.to_str().unwrap())).unwrap().unwrap();
            prop_assert!(read <= timeout);
            prop_assert!(timeout - read <= Duration::from_secs(1));
        }
    }
}
