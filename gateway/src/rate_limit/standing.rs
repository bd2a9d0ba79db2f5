//! What a caller learns of its limits: the fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)
//! of responses, as Structured Fields (RFC 9651).

use std::time::Duration;

use dataflow_mesh::rate::Rate;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::identity::Kind;

/// The limits, and their windows in seconds.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of them, and the seconds until all is there again.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How a caller stands to each of its limits after a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing(pub(super) Vec<OneStanding>);

/// How it stands to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OneStanding {
    pub(super) kind: Kind,
    pub(super) rate: Rate,
    pub(super) remaining: u32,
    pub(super) reset: Duration,
}

// === impl Standing ===

impl Standing {
    /// Writes the fields, if the caller has limits.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let policy = |one: &OneStanding| {
            format!("\"{}\";q={};w={}", one.kind.name(), one.rate.permits(), one.rate.period().as_secs())
        };
        let limit = |one: &OneStanding| {
            let reset = one.reset.as_millis().div_ceil(1000);
            format!("\"{}\";r={};t={reset}", one.kind.name(), one.remaining)
        };
        let mut insert = |name: HeaderName, items: Vec<String>| {
            if !items.is_empty() {
                headers.insert(name, HeaderValue::try_from(items.join(", ")).expect("it is visible ASCII"));
            }
        };
        insert(POLICY, self.0.iter().map(policy).collect());
        insert(LIMIT, self.0.iter().map(limit).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_one_item_of_both_fields() {
        let check = |standing: &[OneStanding], expected: Option<(&str, &str)>| {
            let mut headers = HeaderMap::new();
            Standing(standing.to_vec()).write(&mut headers);
            let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(text(POLICY).zip(text(LIMIT)), expected);
        };
        let one = |kind, rate: &str, remaining, milliseconds| {
            let reset = Duration::from_millis(milliseconds);
            OneStanding { kind, rate: rate.parse().unwrap(), remaining, reset }
        };
        check(&[], None);
        let subject = one(Kind::Subject, "100/s", 99, 10);
        check(&[subject], Some(("\"subject\";q=100;w=1", "\"subject\";r=99;t=1")));
        let tenant = one(Kind::Tenant, "60/m", 0, 2001);
        let policy = "\"subject\";q=100;w=1, \"tenant\";q=60;w=60";
        check(&[subject, tenant], Some((policy, "\"subject\";r=99;t=1, \"tenant\";r=0;t=3")));
        check(&[one(Kind::Tenant, "5/h", 5, 0)], Some(("\"tenant\";q=5;w=3600", "\"tenant\";r=5;t=0")));
    }
}
