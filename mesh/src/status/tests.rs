//! The tables of kinds and statuses, and what a caller may see.

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("key is empty")]
struct Failure {
    kind: Kind,
    #[source]
    cause: Option<std::io::Error>,
}

impl Describe for Failure {
    fn domain(&self) -> &'static str {
        "dataflow.test.v1"
    }
    fn kind(&self) -> Kind {
        self.kind
    }
    fn reason(&self) -> &'static str {
        "KEY_EMPTY"
    }
    fn metadata(&self) -> HashMap<String, String> {
        HashMap::from([("key".to_owned(), String::new())])
    }
    fn violations(&self) -> Vec<Violation> {
        vec![Violation { field: "entry.key".to_owned(), description: "must not be empty".to_owned() }]
    }
    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_millis(1500))
    }
}

#[test]
fn details_carry_reason_domain_fields_and_retry() {
    let status = to_status(&Failure { kind: Kind::Invalid, cause: None });
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "key is empty");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("KEY_EMPTY", "dataflow.test.v1"));
    assert_eq!(info.metadata["key"], "");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "entry.key");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_millis(1500)));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1500");
}

#[test]
fn an_internal_error_does_not_show_its_cause() {
    let secret = std::io::Error::other("password is hunter2");
    let status = to_status(&Failure { kind: Kind::Internal, cause: Some(secret) });
    assert_eq!((status.code(), status.message()), (Code::Internal, "internal failure"));
    let status = to_status(&Failure { kind: Kind::PeerFault, cause: None });
    assert_eq!((status.code(), status.message()), (Code::Internal, "key is empty"));
}

#[test]
fn the_message_of_other_errors_includes_their_causes() {
    let status =
        to_status(&Failure { kind: Kind::Unavailable, cause: Some(std::io::Error::other("refused")) });
    assert_eq!(status.message(), "key is empty: refused");
}

#[test]
fn long_messages_are_truncated_to_fit_headers() {
    let long = std::io::Error::other("\u{e8}".repeat(100_000));
    let status = to_status(&Failure { kind: Kind::Unavailable, cause: Some(long) });
    assert!((MESSAGE_MAX - 1..=MESSAGE_MAX).contains(&status.message().len()));
    assert!(status.message().ends_with("\u{e8}\u{2026}"));
    assert_eq!(truncated("x".repeat(8), 8), "x".repeat(8));
    assert_eq!(truncated("\u{20ac}".repeat(3), 8), "\u{20ac}\u{2026}");
}

#[test]
fn client_errors_and_overload_never_eject_a_host() {
    let ejecting = [Code::Unavailable, Code::Internal, Code::DeadlineExceeded, Code::Unknown];
    for kind in [
        Kind::Invalid,
        Kind::NotFound,
        Kind::AlreadyExists,
        Kind::Precondition,
        Kind::Conflict,
        Kind::Denied,
        Kind::Unauthenticated,
        Kind::TooLarge,
        Kind::Overloaded,
        Kind::Cancelled,
    ] {
        assert!(!ejecting.contains(&kind.code()), "{kind:?}");
        assert!(kind.http().as_u16() < 500, "{kind:?}");
    }
}
