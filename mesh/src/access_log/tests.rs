//! Which calls are logged, and at which level.

use super::*;

fn log(which: Logged, rate: u32) -> AccessLog {
    let slow_request = Duration::from_secs(1);
    let args = AccessLogArgs { access_log: which, slow_request, access_log_rate: rate };
    AccessLog::counting(&args, "test", &Metrics::default())
}

fn level(log: &AccessLog, outcome: Outcome, took: u64, is_stream: bool) -> Option<Option<u64>> {
    log.level(&Access {
        method: &"GET",
        route: None,
        outcome,
        took: Duration::from_millis(took),
        is_stream,
        sent: 0,
        traffic: &Traffic::default(),
        peer: None,
        caller: &Caller::default(),
    })
}

#[test]
fn failures_and_slow_calls_are_logged_at_info_and_on_request_all() {
    let check = |outcome: Outcome, took: u64, is_stream: bool, expected: bool| {
        let found = level(&log(Logged::Failures, 1), outcome, took, is_stream);
        assert_eq!(found, Some(expected.then_some(0)), "{outcome:?} {took}");
        assert_eq!(level(&log(Logged::All, 1), outcome, took, is_stream), Some(Some(0)));
    };
    check(Outcome::Code(Code::Ok), 999, false, false);
    check(Outcome::Code(Code::Ok), 1000, false, true);
    check(Outcome::Code(Code::Ok), 1000, true, false);
    for code in [Code::Internal, Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted] {
        check(Outcome::Code(code), 0, true, true);
    }
    for code in [Code::InvalidArgument, Code::NotFound, Code::PermissionDenied, Code::Cancelled] {
        check(Outcome::Code(code), 0, false, false);
    }
    for (status, expected) in [(200, false), (404, false), (429, true), (499, false), (500, true)] {
        check(Outcome::Status(status), 0, false, expected);
    }
}

#[test]
fn traces_are_kept_of_failures_and_of_slow_calls() {
    let check = |outcome: Outcome, took: u64, is_stream: bool, expected: Option<Reason>| {
        let found = log(Logged::All, 1).reason(outcome, Duration::from_millis(took), is_stream);
        assert_eq!(found, expected, "{outcome:?} {took} {is_stream}");
    };
    check(Outcome::Status(200), 999, false, None);
    check(Outcome::Status(200), 1000, false, Some(Reason::Slow));
    check(Outcome::Status(200), 1000, true, None);
    check(Outcome::Status(404), 0, false, None);
    check(Outcome::Status(429), 0, false, None);
    check(Outcome::Status(503), 1000, true, Some(Reason::Error));
    check(Outcome::Code(Code::InvalidArgument), 1000, false, Some(Reason::Slow));
    check(Outcome::Code(Code::ResourceExhausted), 0, false, None);
    check(Outcome::Code(Code::Internal), 0, false, Some(Reason::Error));
}

#[test]
fn records_above_the_rate_are_left_out_and_counted() {
    let log = log(Logged::All, 3);
    let ok = Outcome::Code(Code::Ok);
    let logged = (0..1000).filter(|_| level(&log, ok, 0, false).is_some()).count() as u64;
    // All in one second, or in two where one begins meanwhile.
    assert!((3..=6).contains(&logged), "{logged}");
    assert_eq!(log.left_out.get(), 1000 - logged);
    // Those of calls over a limit have a rate of their own.
    assert!(level(&log, Outcome::Status(429), 0, false).is_some());
}

#[test]
fn the_time_of_an_upstream_is_none_without_a_call_to_one() {
    let traffic = Traffic::default();
    assert_eq!(traffic.upstream(), None);
    traffic.add_upstream(Duration::from_nanos(1));
    traffic.add_upstream(Duration::from_millis(2));
    assert_eq!(traffic.upstream().map(millis), Some(2.001));
}
