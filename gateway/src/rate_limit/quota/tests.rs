//! Decisions of one quota, with the store as a value.

use dataflow_mesh::identity::Principal;
use dataflow_mesh::rate::Rate;

use super::*;
use crate::caller::{Caller, Kind};

const NOTHING: Granted = Granted { permits: 0, total: 0, wait: Duration::from_secs(1) };

fn quota() -> Arc<Quota> {
    let caller = Caller::from(Principal { subject: "ada".to_owned(), ..Principal::default() });
    Arc::new(Quota::new(caller.identity(Kind::Subject).unwrap()))
}

fn limit(rate: &str) -> RateLimit {
    rate.parse::<Rate>().unwrap().with_burst(None)
}

/// The store of a limit that several gateways share.
#[derive(Default)]
struct Store {
    gcra: Gcra,
    total: u64,
}

impl Store {
    fn grant(&mut self, lease: Lease, now: Instant) {
        let permits = self.gcra.take(lease.limit, lease.most, now);
        self.total += u64::from(permits);
        let wait = self.gcra.wait(lease.limit, now);
        lease.granted(Granted { permits, total: self.total, wait }, now);
    }

    /// Whether a call is admitted, with leases as the gateway makes them.
    fn admits(&mut self, quota: &Arc<Quota>, limit: RateLimit, now: Instant) -> bool {
        for _ in 0..2 {
            match quota.decide(limit, Source::Shared, now) {
                Decision::Admitted(_) => {
                    if let Some(lease) = quota.begin_lease(limit, false, now) {
                        self.grant(lease, now);
                    }
                    return true;
                }
                Decision::Refused(_) => return false,
                Decision::Undecided => {
                    let lease = quota.begin_lease(limit, true, now).expect("none is in progress");
                    self.grant(lease, now);
                }
            }
        }
        false
    }
}

#[test]
fn a_gateway_alone_allows_exactly_the_limit() {
    let (quota, limit, start) = (quota(), limit("10/s"), Instant::now());
    let mut admitted = 0;
    for call in 0..3000 {
        let now = start + Duration::from_millis(call);
        match quota.decide(limit, Source::Alone, now) {
            Decision::Admitted(_) => admitted += 1,
            Decision::Refused(wait) => assert!(wait <= limit.interval && !wait.is_zero(), "{wait:?}"),
            Decision::Undecided => panic!("no other is asked"),
        }
    }
    assert_eq!(admitted, 10 + 29);
}

#[test]
fn gateways_together_allow_the_limit() {
    // One of them has most of the calls.
    for (rate, of_first) in [("100/s", 5), ("100/s", 9), ("7/s", 5), ("2000/s", 7)] {
        let (first, second, limit, start) = (quota(), quota(), limit(rate), Instant::now());
        let (mut store, mut admitted) = (Store::default(), 0);
        let (seconds, calls_a_second) = (5, 4 * u64::from(limit.burst));
        for call in 0..seconds * calls_a_second {
            let now = start + Duration::from_nanos(call * 1_000_000_000 / calls_a_second);
            let quota = if call % 10 < of_first { &first } else { &second };
            admitted += u32::from(store.admits(quota, limit, now));
        }
        let expected = limit.burst + limit.earned_in(Duration::from_secs(seconds));
        assert!(
            admitted <= expected && admitted >= expected - expected / 10,
            "{rate}: {admitted} of {expected}"
        );
    }
}

#[test]
fn callers_below_the_limit_are_not_refused() {
    for rate in ["1/s", "20/s", "100/s", "1000/s"] {
        let (quotas, limit, start) = ([quota(), quota(), quota()], limit(rate), Instant::now());
        let mut store = Store::default();
        for call in 0..2000_u32 {
            // Nine in ten of those that the limit allows, spread over three gateways.
            let now = start + limit.interval * call * 10 / 9;
            let quota = &quotas[call as usize % 3];
            assert!(store.admits(quota, limit, now), "{rate}: call {call}");
        }
    }
}

#[test]
fn one_lease_at_a_time_takes_a_block_or_what_waits() {
    let (quota, now) = (quota(), Instant::now());
    let check = |limit: RateLimit, waiting: usize, expected: u32| {
        let waiting: Vec<_> = (0..waiting).map(|_| quota.wait()).collect();
        let lease = quota.begin_lease(limit, true, now).unwrap();
        assert_eq!(lease.most, expected, "{limit:?}");
        assert!(quota.begin_lease(limit, true, now).is_none(), "one is in progress");
        drop((lease, waiting));
    };
    check(limit("1000/s"), 0, 50);
    check(limit("100/s"), 1, 5);
    check(limit("100/s"), 30, 30);
    check(limit("100/s"), 300, 100);
    check(limit("10/s"), 0, 1);
    check(limit("1/h"), 9, 1);
    check("1000/s".parse::<Rate>().unwrap().with_burst(Some(40)), 0, 2);
}

#[test]
fn a_lease_is_renewed_in_the_background_before_it_is_used_up() {
    let (quota, limit, now) = (quota(), limit("200/s"), Instant::now());
    quota.begin_lease(limit, true, now).unwrap().granted(Granted { permits: 10, total: 10, ..NOTHING }, now);
    for left in (5..10).rev() {
        assert!(matches!(quota.decide(limit, Source::Shared, now), Decision::Admitted(_)));
        assert!(quota.begin_lease(limit, false, now).is_none(), "{left} are left");
    }
    assert!(matches!(quota.decide(limit, Source::Shared, now), Decision::Admitted(_)));
    assert!(quota.begin_lease(limit, false, now).is_some());
}

#[test]
fn leased_permits_lapse() {
    let (quota, limit, now) = (quota(), limit("100/s"), Instant::now());
    quota.begin_lease(limit, true, now).unwrap().granted(Granted { permits: 5, total: 5, ..NOTHING }, now);
    let last = now + LAPSE - Duration::from_millis(1);
    assert!(matches!(quota.decide(limit, Source::Shared, last), Decision::Admitted(_)));
    assert_eq!(quota.decide(limit, Source::Shared, now + LAPSE), Decision::Undecided);
    assert!(!quota.until_unused(last).is_zero());
    assert!(quota.until_unused(now + 2 * LAPSE).is_zero());
}

#[test]
fn an_exhausted_store_is_asked_again_when_it_has_permits() {
    let (quota, limit, now) = (quota(), limit("100/s"), Instant::now());
    assert_eq!(quota.decide(limit, Source::Shared, now), Decision::Undecided);
    let granted = Granted { wait: Duration::from_millis(30), ..NOTHING };
    quota.begin_lease(limit, true, now).unwrap().granted(granted, now);
    assert_eq!(quota.decide(limit, Source::Shared, now), Decision::Refused(Duration::from_millis(30)));
    assert!(quota.begin_lease(limit, true, now).is_none());
    let later = now + Duration::from_millis(30);
    assert_eq!(quota.decide(limit, Source::Shared, later), Decision::Undecided);
    assert!(quota.begin_lease(limit, true, later).is_some());
}

#[test]
fn a_permit_that_is_given_back_can_be_taken() {
    let (quota, limit, now) = (quota(), limit("1/s"), Instant::now());
    quota.begin_lease(limit, true, now).unwrap().granted(Granted { permits: 1, total: 1, ..NOTHING }, now);
    for _ in 0..3 {
        let Decision::Admitted(permit) = quota.decide(limit, Source::Shared, now) else { panic!("refused") };
        assert_eq!(quota.standing(limit, now), (0, Duration::from_secs(1)));
        quota.give_back(permit, now);
        assert_eq!(quota.standing(limit, now), (1, Duration::ZERO));
    }
}

#[test]
fn without_the_store_a_gateway_goes_on_with_its_share() {
    let (quota, limit, start) = (quota(), limit("100/s"), Instant::now());
    // Nothing is known of others: all of the limit.
    let admitted = |now: Instant| {
        (0..1000)
            .filter(|_| matches!(quota.decide(limit, Source::ByShare, now), Decision::Admitted(_)))
            .count()
    };
    assert_eq!(admitted(start), 100);
    // A quarter of the permits of a second were ours.
    let later = start + Duration::from_secs(10);
    let lease = || quota.begin_lease(limit, true, later).unwrap();
    lease().granted(Granted { permits: 5, total: 1000, ..NOTHING }, later);
    quota.state().exhausted = None;
    lease().granted(Granted { permits: 5, total: 1020, ..NOTHING }, later + MEASURED / 2);
    quota.state().exhausted = None;
    lease().granted(Granted { permits: 5, total: 1040, ..NOTHING }, later + MEASURED);
    let later = start + Duration::from_secs(20);
    assert_eq!(admitted(later), 25);
    assert_eq!(admitted(later + Duration::from_secs(1)), 25);
    // A state that the store has forgotten begins again, and changes nothing at first.
    quota.state().exhausted = None;
    lease().granted(Granted { permits: 5, total: 5, ..NOTHING }, later + Duration::from_secs(5));
    assert_eq!(admitted(later + Duration::from_secs(9)), 25);
}

#[test]
fn a_higher_rate_applies_at_once() {
    let (quota, now) = (quota(), Instant::now());
    let (low, high) = (limit("1/h"), limit("10/s"));
    let admits = |limit, now| matches!(quota.decide(limit, Source::Alone, now), Decision::Admitted(_));
    assert!(admits(low, now) && !admits(low, now));
    assert!(!admits(high, now) && admits(high, now + high.interval) && !admits(high, now + high.interval));
    // The store is asked again within a second, too; what it said of the lower rate stands until then.
    let other = self::quota();
    let granted = Granted { wait: Duration::from_secs(3600), ..NOTHING };
    other.begin_lease(low, true, now).unwrap().granted(granted, now);
    assert_eq!(other.decide(high, Source::Shared, now), Decision::Refused(granted.wait));
    assert_eq!(other.decide(high, Source::Shared, now + LONGEST_PAUSE), Decision::Undecided);
}
