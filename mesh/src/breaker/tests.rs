//! Tests of the circuit breaker, with a paused clock that each test advances.

use std::future::{pending, ready};

use tokio::time::{advance, sleep};

use super::*;

mod properties;

const SECOND: Duration = Duration::from_secs(1);

fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// 3 failures open, a pause of 10 s, 2 concurrent probes, 2 successes close, a timeout of 4 s.
fn settings() -> Settings {
    Settings {
        failures: count(3),
        silence: None,
        pause: 10 * SECOND,
        probes: count(2),
        successes: count(2),
        deadline: 4 * SECOND,
    }
}

fn breaker(settings: Settings) -> Breaker {
    Breakers::default().register("test/breaker", settings)
}

fn fail(breaker: &Breaker, times: u32) {
    (0..times).for_each(|_| breaker.enter().unwrap().failed());
}

async fn half_open(breaker: &Breaker) {
    breaker.open();
    advance(10 * SECOND).await;
    breaker.enter().unwrap().ignored();
    assert_eq!(breaker.report().state, CircuitState::HalfOpen);
}

fn retry_after(breaker: &Breaker) -> Option<Duration> {
    breaker.enter().err().map(|open| open.retry_after)
}

#[tokio::test(start_paused = true)]
async fn closed_opens_at_the_threshold_of_consecutive_failures() {
    let check = |calls: &str, expected: (CircuitState, u32)| {
        let breaker = breaker(settings());
        for call in calls.chars() {
            let permit = breaker.enter().unwrap();
            match call {
                'f' => permit.failed(),
                's' => permit.succeeded(),
                _ => drop(permit),
            }
        }
        let report = breaker.report();
        assert_eq!((report.state, report.failures), expected, "{calls}");
    };
    check("", (CircuitState::Closed, 0));
    check("ff", (CircuitState::Closed, 2));
    check("fff", (CircuitState::Open, 3));
    check("ffsff", (CircuitState::Closed, 2));
    check("ffsfff", (CircuitState::Open, 3));
    check("fifif", (CircuitState::Open, 3));
    check("ffiii", (CircuitState::Closed, 2));
    check("sssss", (CircuitState::Closed, 0));
}

#[tokio::test(start_paused = true)]
async fn open_rejects_until_its_pause_is_over() {
    let breaker = breaker(settings());
    fail(&breaker, 3);
    assert_eq!(retry_after(&breaker), Some(10 * SECOND));
    advance(10 * SECOND - Duration::from_millis(1)).await;
    let rejected = breaker.enter().unwrap_err();
    assert_eq!(rejected.to_string(), "circuit breaker test/breaker is open, retry in 1ms");
    advance(Duration::from_millis(1)).await;
    assert_eq!(breaker.report().next_probe, Some(Duration::ZERO));
    assert_eq!(breaker.report().state, CircuitState::Open, "until a probe starts");
    let _probe = breaker.enter().unwrap();
    assert_eq!(breaker.report().state, CircuitState::HalfOpen);
    assert_eq!(breaker.report().next_probe, None);
}

#[tokio::test(start_paused = true)]
async fn half_open_limits_concurrent_probes_and_a_dropped_permit_frees_one() {
    let breaker = breaker(settings());
    half_open(&breaker).await;
    let (one, _two) = (breaker.enter().unwrap(), breaker.enter().unwrap());
    assert_eq!(retry_after(&breaker), Some(4 * SECOND));
    advance(SECOND).await;
    assert_eq!(retry_after(&breaker), Some(3 * SECOND));
    drop(one);
    let _three = breaker.enter().unwrap();
    assert_eq!(retry_after(&breaker), Some(4 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn half_open_closes_after_enough_successes_and_opens_at_any_failure() {
    let breaker = breaker(settings());
    half_open(&breaker).await;
    breaker.enter().unwrap().succeeded();
    assert_eq!((breaker.report().state, breaker.report().successes), (CircuitState::HalfOpen, 1));
    breaker.enter().unwrap().succeeded();
    assert_eq!((breaker.report().state, breaker.report().successes), (CircuitState::Closed, 0));

    half_open(&breaker).await;
    breaker.enter().unwrap().succeeded();
    breaker.enter().unwrap().failed();
    assert_eq!(retry_after(&breaker), Some(10 * SECOND), "the pause restarts");
}

#[tokio::test(start_paused = true)]
async fn a_call_counts_only_for_the_state_in_which_it_started() {
    let breaker = breaker(settings());
    let old: Vec<_> = (0..5).map(|_| breaker.enter().unwrap()).collect();
    let mut old = old.into_iter();
    fail(&breaker, 3);
    old.next().unwrap().succeeded();
    assert_eq!((breaker.report().state, breaker.report().failures), (CircuitState::Open, 3));

    advance(10 * SECOND).await;
    let probes = [breaker.enter().unwrap(), breaker.enter().unwrap()];
    old.next().unwrap().failed();
    assert_eq!(breaker.report().state, CircuitState::HalfOpen);
    old.next().unwrap().succeeded();
    assert_eq!(breaker.report().successes, 0);
    drop(old.next());
    assert!(breaker.enter().is_err(), "no probe permit was released");

    let [probe, late_probe] = probes;
    probe.failed();
    late_probe.failed();
    assert_eq!((breaker.report().state, breaker.report().failures), (CircuitState::Open, 4));
    breaker.reset();
    old.next().unwrap().failed();
    assert_eq!(breaker.report().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_times_out_at_its_deadline_and_the_classifier_decides_what_is_a_failure() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("{0}")]
    struct HttpError(u16);
    let breaker = breaker(settings());
    let call = async |result: Result<u16, HttpError>| {
        breaker.call(ready(result), |&HttpError(status)| status >= 500).await
    };
    assert_eq!(call(Ok(200)).await, Ok(200));
    assert_eq!(call(Err(HttpError(503))).await, Err(Error::Failed(HttpError(503))));
    assert_eq!(breaker.report().failures, 1);
    assert_eq!(call(Err(HttpError(404))).await, Err(Error::Failed(HttpError(404))));
    assert_eq!(breaker.report().failures, 0);

    let start = Instant::now();
    for _ in 0..3 {
        let never = breaker.call(pending::<Result<(), HttpError>>(), |_| true).await;
        assert_eq!(never, Err(Error::TimedOut { after: 4 * SECOND }));
    }
    assert_eq!(start.elapsed(), 12 * SECOND);
    let rejected = call(Ok(200)).await.unwrap_err();
    assert_eq!(rejected.to_string(), "circuit breaker test/breaker is open, retry in 10s");
    let expected = Totals { calls: 6, successes: 2, failures: 4, rejected: 1 };
    assert_eq!(breaker.report().totals, expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_abandoned_by_its_caller_is_neither_success_nor_failure() {
    let breaker = breaker(settings());
    fail(&breaker, 2);
    let call = breaker.call(pending::<Result<(), std::io::Error>>(), |_| true);
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(breaker.report().failures, 2);
    assert_eq!(breaker.report().totals, Totals { calls: 3, failures: 2, ..Totals::default() });
}

/// When the breaker of a peer that never responds opens, in seconds, with one call every `gap`.
async fn opens_after(settings: Settings, gap: Duration) -> u64 {
    let (breaker, start) = (breaker(settings), Instant::now());
    let mut state = breaker.changes();
    let calls = tokio::spawn(async move {
        loop {
            let breaker = breaker.clone();
            tokio::spawn(async move { breaker.call(pending::<Result<(), Error<()>>>(), |_| true).await });
            sleep(gap).await;
        }
    });
    state.wait_for(|state| *state == CircuitState::Open).await.unwrap();
    calls.abort();
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn silence_opens_at_its_end_with_any_number_of_calls() {
    let many_failures = Settings { failures: count(1000), silence: Some(5 * SECOND), ..settings() };
    assert_eq!(
        opens_after(many_failures, SECOND).await,
        5,
        "the second call times out at 5 s and not at 4 + 1 s"
    );
    assert_eq!(
        opens_after(many_failures, 3 * SECOND).await,
        5,
        "the call of 3 s times out 2 s before its own timeout"
    );
    assert_eq!(opens_after(Settings { silence: Some(2 * SECOND), ..many_failures }, SECOND).await, 2);
    assert_eq!(opens_after(Settings { silence: None, failures: count(4), ..many_failures }, SECOND).await, 7);
}

#[tokio::test(start_paused = true)]
async fn silence_starts_with_the_first_call_after_the_last_success() {
    let breaker = breaker(Settings { failures: count(1000), silence: Some(5 * SECOND), ..settings() });
    let until_deadline = |permit: &Permit| permit.deadline() - Instant::now();
    let before = breaker.enter().unwrap();
    advance(3 * SECOND).await;
    assert_eq!(until_deadline(&breaker.enter().unwrap()), 2 * SECOND);
    breaker.enter().unwrap().succeeded();
    assert_eq!(
        until_deadline(&breaker.enter().unwrap()),
        4 * SECOND,
        "a new silence, longer than the timeout of a call"
    );
    advance(SECOND).await;
    before.failed();
    advance(4 * SECOND).await;
    assert_eq!(
        breaker.report().state,
        CircuitState::Closed,
        "the call that timed out started before the last success"
    );
    assert_eq!(until_deadline(&breaker.enter().unwrap()), 4 * SECOND, "idle time is not silence");
}

#[tokio::test(start_paused = true)]
async fn silence_that_ends_between_calls_opens_as_of_its_end() {
    let silent = Settings { failures: count(1000), silence: Some(5 * SECOND), ..settings() };
    let breaker = breaker(silent);
    let permit = breaker.enter().unwrap();
    advance(4 * SECOND).await;
    permit.failed();
    advance(3 * SECOND).await;
    assert_eq!(retry_after(&breaker), Some(8 * SECOND));
    assert_eq!(breaker.report().since, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn silence_opens_although_another_call_starts_before_the_timeout_is_reported() {
    let breaker = breaker(Settings { failures: count(1000), silence: Some(2 * SECOND), ..settings() });
    let timed_out = breaker.enter().unwrap();
    advance(2 * SECOND).await;
    let _next = breaker.enter().unwrap();
    timed_out.failed();
    assert_eq!(breaker.report().state, CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_opened_and_reset_manually() {
    let breaker = breaker(settings());
    let mut changes = breaker.changes();
    assert_eq!(*changes.borrow_and_update(), CircuitState::Closed);
    fail(&breaker, 1);
    breaker.open();
    assert_eq!(*changes.borrow_and_update(), CircuitState::Open);
    advance(4 * SECOND).await;
    breaker.open();
    assert!(!changes.has_changed().unwrap());
    assert_eq!(retry_after(&breaker), Some(10 * SECOND));
    breaker.reset();
    assert_eq!(*changes.borrow_and_update(), CircuitState::Closed);
    let in_flight = breaker.enter().unwrap();
    breaker.reset();
    assert!(!changes.has_changed().unwrap());
    in_flight.failed();
    assert_eq!(
        (breaker.report().failures, breaker.report().totals.failures),
        (0, 1),
        "counted in the totals, not towards opening"
    );
    breaker.reset();
    advance(SECOND).await;
    let expected = Report {
        name: Arc::from("test/breaker"),
        state: CircuitState::Closed,
        failures: 0,
        successes: 0,
        totals: Totals::default(),
        since: SECOND,
        open_for: None,
        next_probe: None,
        changes: 0,
        settings: settings(),
    };
    assert_eq!(breaker.report(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_longest_durations_do_not_overflow() {
    let never = Settings { pause: Duration::MAX, deadline: Duration::MAX, ..settings() };
    let breaker = breaker(Settings { silence: Some(Duration::MAX), ..never });
    assert_eq!(breaker.call(ready(Ok::<_, std::io::Error>(1)), |_| true).await.unwrap(), 1);
    breaker.open();
    assert!(retry_after(&breaker).unwrap() > Duration::from_secs(1 << 31));
}
