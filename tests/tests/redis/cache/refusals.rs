//! Rejected requests: code, reason and field of every invalid request; requests exactly at a limit are accepted.

use dataflow_proto::cache::v1 as pb;
use tonic::Code;

use super::caller::{Caller, Failure, entry, lease, millis, owned, set};
use super::replicas::{Replicas, everywhere};

/// Small limits, so that both sides of each are cheap to test.
const FLAGS: [&str; 10] = [
    "--max-entry-bytes",
    "1000B",
    "--max-ttl",
    "1h",
    "--max-tags",
    "3",
    "--max-batch",
    "3",
    "--max-lease",
    "10s",
];

/// A well-formed token, etag and generation that were never issued.
const UNKNOWN: &str = "0123456789abcdef";

/// Checks that a call was rejected as INVALID_ARGUMENT for this field.
fn check<T: std::fmt::Debug>(answer: Result<T, Failure>, reason: &str, field: &str) {
    let refusal = answer.expect_err(field);
    let found = (refusal.code, refusal.domain.as_str(), refusal.reason.as_str(), refusal.field.as_str());
    assert_eq!(found, (Code::InvalidArgument, "dataflow.cache.v1", reason, field), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_rejects_invalid_keys() {
    let long = format!("user/{}", "x".repeat(10_240));
    let too_long = format!("user/{}", "x".repeat(513));
    let wrong = ["", "user", "user/", "/a", "User/a", "other/a", "results/a", &long, &too_long];
    let strange = ["user/a\nb", "user/a\0", "user/\u{7f}", "user/a b", "user/à", "user/a*", "user/{a}"];
    everywhere(&FLAGS, async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        for key in wrong.iter().chain(&strange) {
            check_key(&a, key).await;
        }
        let longest = format!("user/{}", "x".repeat(512));
        for key in [longest.as_str(), "user/A-Z/a-z/0-9._-/:=", "user//", "user/a/"] {
            a.put(key, "v", &[]).await;
            assert_eq!(a.get(key).await.as_deref(), Some("v"), "{key}");
        }
    })
    .await;
}

async fn check_key(a: &Caller, name: &str) {
    let key = name.to_owned();
    check(a.get_entry(pb::GetEntryRequest { key: key.clone() }).await, "KEY_INVALID", "key");
    check(a.entry_exists(pb::EntryExistsRequest { key: key.clone() }).await, "KEY_INVALID", "key");
    check(a.get_entry_ttl(pb::GetEntryTtlRequest { key: key.clone() }).await, "KEY_INVALID", "key");
    check(a.lease_entry(lease(name, &[])).await, "KEY_INVALID", "key");
    check(a.set_entry(set(entry(name, "v", &[]))).await, "KEY_INVALID", "entry.key");
    let request = pb::ReleaseLeaseRequest { key: key.clone(), token: UNKNOWN.to_owned() };
    check(a.release_lease(request).await, "KEY_INVALID", "key");
    let request = pb::DeleteEntryRequest { key: key.clone(), ..Default::default() };
    check(a.delete_entry(request).await, "KEY_INVALID", "key");
    let request = pb::BatchGetEntriesRequest { keys: vec!["user/right".to_owned(), key] };
    check(a.batch_get_entries(request).await, "KEY_INVALID", "keys[1]");
    // A prefix may consist of a namespace only.
    if name != "user/" {
        check(
            a.delete_prefix(pb::DeletePrefixRequest { prefix: name.to_owned() }).await,
            "KEY_INVALID",
            "prefix",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_rejects_invalid_tags() {
    let (long, too_long) = ("x".repeat(10_240), "x".repeat(129));
    everywhere(&FLAGS, async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        for wrong in ["", &long, &too_long, "a b", "a\n", "a\0", "à"] {
            let tags = ["right", wrong];
            check(a.set_entry(set(entry("user/k", "v", &tags))).await, "TAG_INVALID", "entry.tags[1]");
            check_tags(&a, &owned(&tags), "TAG_INVALID", "tags[1]").await;
        }
        for count in [4, 10_000] {
            let tags = vec!["t"; count];
            check(a.set_entry(set(entry("user/k", "v", &tags))).await, "TOO_MANY", "entry.tags");
            check_tags(&a, &owned(&tags), "TOO_MANY", "tags").await;
        }
        let longest = "x".repeat(128);
        let right = [longest.as_str(), "A-Z/a-z.0_9:=", "t"];
        a.put("user/k", "v", &right).await;
        assert_eq!(a.get("user/k").await.as_deref(), Some("v"));
        a.take("user/other", &right).await;
        a.invalidate(&right).await;
        assert_eq!(a.get("user/k").await, None);
    })
    .await;
}

async fn check_tags(a: &Caller, tags: &[String], reason: &str, field: &str) {
    let tags = tags.to_vec();
    let request = pb::LeaseEntryRequest { tags: tags.clone(), ..lease("user/k", &[]) };
    check(a.lease_entry(request).await, reason, field);
    let request = pb::GetGenerationsRequest { tags: tags.clone(), ..Default::default() };
    check(a.get_generations(request).await, reason, field);
    let request = pb::InvalidateTagsRequest { tags, ..Default::default() };
    check(a.invalidate_tags(request).await, reason, field);
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_have_minimum_and_maximum() {
    everywhere(&FLAGS, async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        let lasting = |seconds, nanos| {
            let mut entry = pb::Entry { ttl: millis(0), ..Default::default() };
            let ttl = entry.ttl.as_mut().unwrap();
            (ttl.seconds, ttl.nanos) = (seconds, nanos);
            entry.ttl
        };
        let hour = 3600;
        for (seconds, nanos, right) in [
            (0, 0, false),
            (0, 999_999, false),
            (0, 1_000_000, true),
            (-1, 0, false),
            (0, -1, false),
            (i64::MIN, 0, false),
            (hour, 0, true),
            (hour, 1, false),
            (i64::MAX, 0, false),
            (i64::MAX, i32::MAX, false),
        ] {
            let ttl = lasting(seconds, nanos);
            let answer = a.set_entry(set(pb::Entry { ttl, ..entry("user/k", "v", &[]) })).await;
            if right {
                assert!(answer.unwrap().stored)
            } else {
                check(answer, "TTL_INVALID", "entry.ttl")
            }
            let grace = lasting(seconds, nanos);
            let right = right || (0..1_000_000).contains(&nanos) && seconds == 0;
            let answer = a.set_entry(set(pb::Entry { grace, ..entry("user/k", "v", &[]) })).await;
            if right { assert!(answer.unwrap().stored) } else { check(answer, "TTL_INVALID", "entry.grace") }
        }
        for (key, seconds, nanos, right) in [
            ("user/1", 0, 0, false),
            ("user/1", -1, 0, false),
            ("user/1", 0, 999_999, false),
            ("user/1", 0, 1_000_000, true),
            ("user/2", 10, 0, true),
            ("user/3", 10, 1, false),
        ] {
            let hold = lasting(seconds, nanos);
            let answer = a.lease_entry(pb::LeaseEntryRequest { hold, ..lease(key, &[]) }).await;
            if right {
                assert_eq!(answer.unwrap().lease.unwrap().hold, hold)
            } else {
                check(answer, "TTL_INVALID", "hold")
            }
            let wait = lasting(seconds, nanos);
            let right = right || (seconds, nanos) == (0, 0) || (seconds, nanos) == (0, 999_999);
            let key = format!("{key}/wait/{nanos}");
            let answer = a.lease_entry(pb::LeaseEntryRequest { wait, ..lease(&key, &[]) }).await;
            if right {
                assert!(answer.unwrap().lease.is_some())
            } else {
                check(answer, "TTL_INVALID", "wait")
            }
        }
        // Without a wait time: the maximum, 30 s.
        let answer = a.lease_entry(pb::LeaseEntryRequest { hold: None, ..lease("user/4", &[]) }).await;
        assert_eq!(answer.unwrap().lease.unwrap().hold, lasting(10, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_media_types_have_limits() {
    everywhere(&FLAGS, async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        check(a.set_entry(pb::SetEntryRequest::default()).await, "ENTRY_MISSING", "entry");
        a.put("user/k", &"x".repeat(1000), &[]).await;
        for size in [1001, 1 << 20] {
            let refusal = a.set_entry(set(entry("user/k", &"x".repeat(size), &[]))).await.unwrap_err();
            assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "ENTRY_TOO_LARGE"));
            assert_eq!(
                (refusal.field.as_str(), refusal.retry_after),
                ("entry.value", None),
                "it can never fit, so there is no retry delay"
            );
        }
        assert_eq!(a.get("user/k").await.unwrap().len(), 1000, "a rejected call changes nothing");

        let longest = "x".repeat(255);
        for content_type in [longest.as_str(), "text/html; a=\"b\"", "~ "] {
            let content_type = content_type.to_owned();
            let wanted = pb::Entry { content_type, ..entry("user/k", "v", &[]) };
            assert!(a.set_entry(set(wanted)).await.unwrap().stored);
        }
        let too_long = "x".repeat(256);
        for content_type in [too_long.as_str(), "text/plain\r\n", "\t", "à", "\u{7f}"] {
            let content_type = content_type.to_owned();
            let wanted = pb::Entry { content_type, ..entry("user/k", "v", &[]) };
            check(a.set_entry(set(wanted)).await, "CONTENT_TYPE_INVALID", "entry.content_type");
        }

        let keys = |count| pb::BatchGetEntriesRequest { keys: vec!["user/k".to_owned(); count] };
        assert_eq!(a.batch_get_entries(keys(3)).await.unwrap().entries.len(), 3);
        for count in [4, 10_000] {
            check(a.batch_get_entries(keys(count)).await, "TOO_MANY", "keys");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_tokens_etags_and_generations_are_rejected() {
    everywhere(&FLAGS, async |replicas: &Replicas| {
        let (a, _) = replicas.callers();
        let etag = a.put("user/k", "v", &["t"]).await;
        let long = "0".repeat(10_240);
        let text = |text: &str| text.to_owned();
        for wrong in
            ["x", "0000000000000000", "0123456789abcde", "+123456789abcdef", "0123456789abcdeg", &long]
        {
            let request = pb::SetEntryRequest { token: text(wrong), ..set(entry("user/k", "w", &[])) };
            check(a.set_entry(request).await, "TOKEN_INVALID", "token");
            let request = pb::ReleaseLeaseRequest { key: text("user/k"), token: text(wrong) };
            check(a.release_lease(request).await, "TOKEN_INVALID", "token");
            let request = set(pb::Entry { etag: text(wrong), ..entry("user/k", "w", &[]) });
            check(a.set_entry(request).await, "TOKEN_INVALID", "entry.etag");
            let request = pb::DeleteEntryRequest { key: text("user/k"), etag: text(wrong) };
            check(a.delete_entry(request).await, "TOKEN_INVALID", "etag");
            let generations = vec![pb::TagGeneration { tag: text("t"), generation: text(wrong) }];
            let request = pb::SetEntryRequest { generations, ..set(entry("user/k", "w", &["t"])) };
            check(a.set_entry(request).await, "TOKEN_INVALID", "generations");
        }
        let request = pb::ReleaseLeaseRequest { key: text("user/k"), token: String::new() };
        check(a.release_lease(request).await, "TOKEN_INVALID", "token");
        // A generation is missing, or belongs to another tag.
        let generations = vec![pb::TagGeneration { tag: text("t"), generation: text(UNKNOWN) }];
        for tags in [&["s"][..], &["t", "s"]] {
            let request =
                pb::SetEntryRequest { generations: generations.clone(), ..set(entry("user/k", "w", tags)) };
            check(a.set_entry(request).await, "TOKEN_INVALID", "generations");
        }
        let request = pb::SetEntryRequest {
            token: text(UNKNOWN),
            ..set(pb::Entry { etag: etag.clone(), ..entry("user/k", "w", &[]) })
        };
        check(a.set_entry(request).await, "TOKEN_INVALID", "entry.etag");

        // A well-formed but unknown value is valid, but does not match.
        let request = pb::SetEntryRequest { token: text(UNKNOWN), ..set(entry("user/k", "w", &[])) };
        assert_eq!(a.set_entry(request).await.unwrap(), pb::SetEntryResponse::default());
        let request = pb::ReleaseLeaseRequest { key: text("user/k"), token: text(UNKNOWN) };
        assert!(!a.release_lease(request).await.unwrap().released);
        let pb::GetEntryResponse { entry: found, .. } =
            a.get_entry(pb::GetEntryRequest { key: text("user/k") }).await.unwrap();
        assert_eq!(found.unwrap().etag, etag, "none of this changed anything");
    })
    .await;
}
