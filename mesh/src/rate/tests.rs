//! Rates as texts, and GCRA by tables and properties.

use proptest::prelude::*;

use super::*;

fn limit(rate: &str, burst: Option<u32>) -> RateLimit {
    rate.parse::<Rate>().unwrap().with_burst(burst)
}

#[test]
fn a_rate_is_a_number_and_a_period() {
    let check = |text: &str, expected: Option<(u32, u64)>| {
        let read = text.parse::<Rate>();
        let found = read.map(|rate| (rate.permits(), rate.period().as_secs())).ok();
        assert_eq!(found, expected, "{text:?}");
        if let Ok(rate) = read {
            assert_eq!(rate.to_string(), text);
        }
    };
    check("100/s", Some((100, 1)));
    check("1/h", Some((1, 3600)));
    check("1000000/m", Some((1_000_000, 60)));
    for wrong in [
        "",
        "/",
        "/s",
        "100",
        "100/",
        "100/d",
        "100/S",
        "100/sec",
        "0/s",
        "00/s",
        "01/s",
        "+1/s",
        "-1/s",
        "1.5/s",
        " 1/s",
        "1/s ",
        "1 /s",
        "1000001/s",
        "99999999999/s",
        "1/s/s",
        "100s",
    ] {
        check(wrong, None);
    }
}

#[test]
fn the_default_burst_is_the_rate_of_a_second() {
    let check = |rate: &str, burst: Option<u32>, interval: u64, expected: u32| {
        let expected = RateLimit { interval: Duration::from_nanos(interval), burst: expected };
        assert_eq!(limit(rate, burst), expected, "{rate} {burst:?}");
    };
    check("100/s", None, 10_000_000, 100);
    check("1/s", None, 1_000_000_000, 1);
    check("90/m", None, 666_666_667, 1);
    check("120/m", None, 500_000_000, 2);
    check("1/h", None, 3_600_000_000_000, 1);
    check("7/s", Some(3), 142_857_143, 3);
    check("1000000/s", Some(1), 1_000, 1);
}

#[test]
fn permits_are_those_of_the_burst_then_one_in_each_interval() {
    let (limit, start) = (limit("10/s", Some(3)), Instant::now());
    let mut state = Gcra::default();
    // Milliseconds, permits that are asked for, permits that are taken, and afterwards: permits that remain, the wait
    // for one, and the time until the state is the same as none.
    let table = [
        (0, 1, 1, 2, 0, 100),
        (0, 5, 2, 0, 100, 300),
        (99, 1, 0, 0, 1, 201),
        (100, 1, 1, 0, 100, 300),
        (350, 0, 0, 2, 0, 50),
        (350, 9, 2, 0, 50, 250),
        (600, 0, 0, 3, 0, 0),
        (9000, 9, 3, 0, 100, 300),
    ];
    for (at, most, taken, remaining, wait, unused) in table {
        let now = start + Duration::from_millis(at);
        assert_eq!(state.take(limit, most, now), taken, "at {at}");
        assert_eq!(state.remaining(limit, now), remaining, "at {at}");
        assert_eq!(state.wait(limit, now), Duration::from_millis(wait), "at {at}");
        assert_eq!(state.until_unused(now), Duration::from_millis(unused), "at {at}");
    }
}

#[test]
fn permits_that_are_given_back_can_be_taken() {
    let (limit, now) = (limit("10/s", Some(3)), Instant::now());
    let mut state = Gcra::default();
    state.give_back(limit, 1);
    assert_eq!(state, Gcra::default());
    assert_eq!(state.take(limit, 3, now), 3);
    state.give_back(limit, 2);
    assert_eq!((state.take(limit, 3, now), state.take(limit, 3, now)), (2, 0));
}

#[test]
fn a_higher_limit_applies_at_once() {
    let (low, high, now) = (limit("1/h", Some(5)), limit("10/s", Some(3)), Instant::now());
    let mut state = Gcra::default();
    assert_eq!(state.take(low, 9, now), 5);
    assert_eq!((state.take(high, 9, now), state.wait(high, now)), (0, high.interval));
    assert_eq!(state.take(high, 9, now + high.interval), 1);
    assert_eq!(state.until_unused(now + high.interval), high.interval * 3);
}

#[test]
fn a_share_has_a_longer_interval_and_a_smaller_burst() {
    let whole = limit("100/s", None);
    let check = |share: f64, milliseconds: u64, burst: u32| {
        let expected = RateLimit { interval: Duration::from_millis(milliseconds), burst };
        assert_eq!(whole.share(share), expected, "{share}");
    };
    check(1.0, 10, 100);
    check(0.5, 20, 50);
    check(0.001, 1000, 1);
    check(2.0, 10, 100);
    assert_eq!(limit("1/s", None).share(0.25).burst, 1);
    assert_eq!(whole.earned_in(Duration::from_millis(55)), 5);
}

fn limits() -> impl Strategy<Value = RateLimit> {
    let rates = (1_u32..=MAX_PERMITS, prop::sample::select(vec!["s", "m", "h"]));
    (rates, 1_u32..=50)
        .prop_map(|((permits, period), burst)| limit(&format!("{permits}/{period}"), Some(burst)))
}

proptest! {
    #[test]
    fn never_more_than_the_burst_and_the_rate_in_any_window(
        limit in limits(),
        calls in prop::collection::vec((0_u64..3_000, 1_u32..4), 1..200),
    ) {
        let (mut state, mut now, mut taken) = (Gcra::default(), Instant::now(), Vec::new());
        for (pause, most) in calls {
            now += limit.interval * u32::try_from(pause).unwrap() / 1000;
            taken.push((now, state.take(limit, most, now)));
        }
        for (first, (start, _)) in taken.iter().enumerate() {
            let mut sum = 0;
            for (end, permits) in &taken[first..] {
                sum += permits;
                let earned = limit.earned_in(*end - *start);
                prop_assert!(sum <= limit.burst + earned, "{sum} in {:?}", *end - *start);
            }
        }
    }

    #[test]
    fn never_less_under_steady_load(limit in limits(), jitter in prop::collection::vec(0_u32..1000, 1..200)) {
        let (mut state, start) = (Gcra::default(), Instant::now());
        for (call, jitter) in jitter.into_iter().enumerate() {
            // At most the rate, and each call is late by less than the burst allows to catch up.
            let late = limit.interval * (limit.burst - 1) * jitter / 1000;
            let now = start + limit.interval * u32::try_from(call).unwrap() + late;
            prop_assert_eq!(state.take(limit, 1, now), 1, "call {}", call);
        }
    }
}
