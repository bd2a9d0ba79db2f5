//! Permits of rate limits on the wire, the same over both backends.

use std::time::Duration;

use dataflow_proto::cache::v1 as pb;
use tonic::Code;

use super::caller::Caller;
use super::replicas::{Replicas, everywhere};

/// The keys that a gateway sends are of this length.
const KEY: &str = "subject:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn request(key: &str, interval: Duration, burst: i32, permits: i32) -> pb::TakePermitsRequest {
    let interval = prost_types::Duration::try_from(interval).ok();
    pb::TakePermitsRequest { key: key.to_owned(), interval, burst, permits }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_permits_of_a_key() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, b) = replicas.callers();
        let take = async |caller: &Caller, permits: i32| {
            caller.take_permits(request(KEY, Duration::from_secs(3600), 5, permits)).await.unwrap()
        };
        let first = take(&a, 2).await;
        assert_eq!((first.permits, first.total), (2, 2));
        assert_eq!(first.wait, Some(prost_types::Duration::default()));
        let rest = take(&b, 9).await;
        assert_eq!((rest.permits, rest.total), (3, 5));
        let none = take(&a, 1).await;
        assert_eq!((none.permits, none.total), (0, 5));
        assert!((1..=3600).contains(&none.wait.unwrap().seconds), "{none:?}");
        // They are not entries, which clients could read.
        let entry = pb::GetEntryRequest { key: format!("user/{KEY}") };
        assert_eq!(a.get_entry(entry).await.unwrap_err().code, Code::NotFound);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_has_limits() {
    everywhere(&[], async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        let (second, longest) = (Duration::from_secs(1), "k".repeat(128));
        let check = async |request: pb::TakePermitsRequest, expected: Option<(&str, &str)>| {
            let answer = a.take_permits(request.clone()).await;
            let found =
                answer.as_ref().err().map(|failure| (failure.reason.as_str(), failure.field.as_str()));
            assert_eq!(found, expected, "{request:?}");
            assert!(answer.is_ok_and(|taken| taken.permits > 0) || expected.is_some(), "{request:?}");
        };
        check(request("A-z/0.9:_=", second, 1, 1), None).await;
        check(request(&longest, second, 1, 1), None).await;
        for wrong in ["", "a b", "a\n", "\u{e0}", &format!("{longest}k")] {
            check(request(wrong, second, 1, 1), Some(("KEY_INVALID", "key"))).await;
        }
        for (key, interval, is_valid) in [
            ("shortest", Duration::from_micros(1), true),
            ("shorter", Duration::from_nanos(999), false),
            ("none", Duration::ZERO, false),
            ("longest", Duration::from_secs(3600), true),
            ("longer", Duration::from_nanos(3_600_000_000_001), false),
        ] {
            check(request(key, interval, 1, 1), (!is_valid).then_some(("TTL_INVALID", "interval"))).await;
        }
        let absent = pb::TakePermitsRequest { interval: None, ..request("a", second, 1, 1) };
        check(absent, Some(("TTL_INVALID", "interval"))).await;
        for (number, is_valid) in
            [(i32::MIN, false), (0, false), (1, true), (1_000_000, true), (1_000_001, false)]
        {
            let expected = |field| (!is_valid).then_some(("NUMBER_INVALID", field));
            check(request(&format!("burst:{number}"), second, number, 1), expected("burst")).await;
            check(request(&format!("permits:{number}"), second, 1, number), expected("permits")).await;
        }
    })
    .await;
}
