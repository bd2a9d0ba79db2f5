//! Why a call was refused although neither the service nor its dependencies failed: a closed set, as a metric names it.

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Describe, Kind, failure_in, kind_of};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There was no permit.
    Overload,
    /// The caller makes more calls than its rate.
    Rate,
    /// There was no memory for it.
    Memory,
    /// It is, or its response would be, larger than a limit.
    Size,
    /// The service stops.
    Draining,
    /// It is not known who calls, or the caller may not do this.
    Authentication,
}

/// The reasons of calls that are refused for want of memory, and of those that come too often. Every other call that
/// may be repeated later had no permit.
pub const OF_MEMORY: [&str; 4] = ["MEMORY_LIMIT", "MESSAGE_MEMORY", "RESULT_MEMORY", "NO_ROOM"];
/// See [`OF_MEMORY`].
pub const OF_RATE: [&str; 2] = ["RATE_LIMITED", "TENANT_TOO_FAST"];

/// The reason of a stream that has had its time: it was not refused.
const STREAM_AGE: &str = "STREAM_AGE";

// === impl Refusal ===

impl Refusal {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 6] =
        [Self::Overload, Self::Rate, Self::Memory, Self::Size, Self::Draining, Self::Authentication];

    /// Its name in a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Rate => "rate",
            Self::Memory => "memory",
            Self::Size => "size",
            Self::Draining => "draining",
            Self::Authentication => "authentication",
        }
    }

    /// Whether the error refuses a call.
    pub fn of(error: &dyn Describe) -> Option<Self> {
        Self::by(error.kind(), error.reason())
    }

    /// Whether the headers or trailers of a response, which have this code, refuse the call. Details are read only where
    /// the code leaves it open: that of most failures does not.
    pub(crate) fn in_headers(code: Code, headers: &HeaderMap) -> Option<Self> {
        match code {
            Code::Unauthenticated | Code::PermissionDenied => Some(Self::Authentication),
            Code::ResourceExhausted | Code::Unavailable => Self::of_status(&failure_in(headers)?),
            _ => None,
        }
    }

    fn of_status(status: &Status) -> Option<Self> {
        let reason = status.get_details_error_info().map(|info| info.reason);
        Self::by(kind_of(status)?, reason.as_deref().unwrap_or_default())
    }

    fn by(kind: Kind, reason: &str) -> Option<Self> {
        match kind {
            Kind::Overloaded if reason == STREAM_AGE => None,
            Kind::Overloaded if OF_MEMORY.contains(&reason) => Some(Self::Memory),
            Kind::Overloaded if OF_RATE.contains(&reason) => Some(Self::Rate),
            Kind::Overloaded => Some(Self::Overload),
            Kind::TooLarge | Kind::HeadersTooLarge => Some(Self::Size),
            Kind::Unavailable if reason == "DRAINING" => Some(Self::Draining),
            Kind::Denied | Kind::Unauthenticated => Some(Self::Authentication),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status::to_status;

    #[derive(Debug, thiserror::Error)]
    #[error("refused")]
    struct Error(Kind, &'static str);

    impl Describe for Error {
        fn domain(&self) -> &'static str {
            "dataflow.test.v1"
        }
        fn kind(&self) -> Kind {
            self.0
        }
        fn reason(&self) -> &'static str {
            self.1
        }
        fn retry_after(&self) -> Option<Duration> {
            (self.0 == Kind::Overloaded).then_some(Duration::from_secs(1))
        }
    }

    #[test]
    fn an_error_and_its_status_are_the_same_refusal() {
        let cases = [
            (Kind::Overloaded, "CONCURRENCY_LIMIT", Some(Refusal::Overload)),
            (Kind::Overloaded, "RATE_LIMITED", Some(Refusal::Rate)),
            (Kind::Overloaded, "MESSAGE_MEMORY", Some(Refusal::Memory)),
            (Kind::Overloaded, "STREAM_AGE", None),
            (Kind::TooLarge, "MESSAGE_TOO_LARGE", Some(Refusal::Size)),
            (Kind::HeadersTooLarge, "HEADERS_TOO_LARGE", Some(Refusal::Size)),
            (Kind::Unavailable, "DRAINING", Some(Refusal::Draining)),
            (Kind::Unavailable, "UPSTREAM_UNAVAILABLE", None),
            (Kind::Unauthenticated, "TOKEN_EXPIRED", Some(Refusal::Authentication)),
            (Kind::Denied, "SCOPE_MISSING", Some(Refusal::Authentication)),
            (Kind::Invalid, "MESSAGE_MEMORY", None),
            (Kind::Internal, "PANICKED", None),
        ];
        for (kind, reason, expected) in cases {
            let error = Error(kind, reason);
            let response = to_status(&error).into_http::<()>();
            let found = Refusal::in_headers(kind.code(), response.headers());
            assert_eq!((Refusal::of(&error), found), (expected, expected), "{reason}");
        }
    }

    #[test]
    fn a_status_without_details_is_overload() {
        // As a foreign service sends it.
        let headers = Status::resource_exhausted("busy").into_http::<()>().into_parts().0.headers;
        assert_eq!(Refusal::in_headers(Code::ResourceExhausted, &headers), Some(Refusal::Overload));
        assert_eq!(Refusal::in_headers(Code::Ok, &HeaderMap::new()), None);
    }

    #[test]
    fn each_has_its_place_and_name() {
        let places: Vec<_> = Refusal::ALL.iter().map(|refusal| *refusal as usize).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5]);
        let names: std::collections::BTreeSet<_> =
            Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
