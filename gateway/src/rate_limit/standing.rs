//! What a caller learns of its limits: the fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers)
//! of responses, as Structured Fields (RFC 9651).

use std::time::Duration;

use dataflow_mesh::rate::Rate;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::caller::Kind;

/// The limits, and their windows in seconds.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of them, and the seconds until all is there again.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The usual bytes of a field with two items.
const FIELD_BYTES: usize = 64;

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
        if self.0.is_empty() {
            return;
        }
        let (mut policy, mut limit) =
            (String::with_capacity(FIELD_BYTES), String::with_capacity(FIELD_BYTES));
        for OneStanding { kind, rate, remaining, reset } in &self.0 {
            let (permits, window) = (rate.permits().into(), rate.period().as_secs());
            let reset = reset.as_secs() + u64::from(reset.subsec_nanos() > 0);
            add_item(&mut policy, *kind, [("q", permits), ("w", window)]);
            add_item(&mut limit, *kind, [("r", (*remaining).into()), ("t", reset)]);
        }
        for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
            headers.insert(name, HeaderValue::try_from(value).expect("it is visible ASCII"));
        }
    }
}

/// Adds an item with its parameters to a list. Every call has four such items, so they are not written by `format!`.
fn add_item(list: &mut String, kind: Kind, parameters: [(&str, u64); 2]) {
    let separator = if list.is_empty() { "\"" } else { ", \"" };
    list.extend([separator, kind.name(), "\""]);
    for (name, number) in parameters {
        list.extend([";", name, "=", itoa::Buffer::new().format(number)]);
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
