//! The limits of callers: which they have, and what is counted.

use dataflow_mesh::access::Scope;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::process::Process;
use dataflow_mesh::status::Describe;

use super::*;

fn caller(tenant: &str, subject: &str, rate: Option<&str>) -> Caller {
    with_burst(tenant, subject, rate, None)
}

fn with_burst(tenant: &str, subject: &str, rate: Option<&str>, burst: Option<u32>) -> Caller {
    let (tenant, subject) = (tenant.to_owned(), subject.to_owned());
    let rate = rate.map(|rate| rate.parse().unwrap());
    Principal { tenant, subject, scope: Some(Scope::Read), rate, burst }.into()
}

fn rates(usual: Option<&str>, tenants: &[&str]) -> Rates {
    Rates::new(&RateLimitArgs {
        rate_limit: usual.map(|rate| rate.parse().unwrap()),
        rate_burst: None,
        tenant_rate_limit: tenants.iter().map(|tenant| tenant.parse().unwrap()).collect(),
        max_rate_identities: 100,
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_that_of_the_token_or_the_table_or_the_usual_one() {
    let limited = async |rates: Rates, caller: &Caller| {
        let limits = RateLimits::new(rates, None, &Process::default().context("gateway"));
        let standing = limits.admit(caller).await.unwrap();
        assert_eq!(!standing.0.is_empty(), limits.apply_to(caller));
        let rates = standing.0.iter().map(|one| format!("{} {}", one.kind.name(), one.rate));
        rates.collect::<Vec<_>>().join(", ")
    };
    let (ada, own) = (caller("acme", "ada", None), caller("acme", "ada", Some("5/s")));
    let table = &["acme=9/s", "bolt=8/s"];
    assert_eq!(limited(rates(None, &[]), &ada).await, "");
    assert_eq!(limited(rates(None, &[]), &own).await, "subject 5/s");
    assert_eq!(limited(rates(None, table), &ada).await, "tenant 9/s");
    assert_eq!(limited(rates(Some("3/s"), &[]), &ada).await, "subject 3/s, tenant 3/s");
    assert_eq!(limited(rates(Some("3/s"), table), &own).await, "subject 5/s, tenant 9/s");
    assert_eq!(limited(rates(Some("3/s"), table), &caller("", "root", None)).await, "subject 3/s");
    assert_eq!(limited(rates(Some("3/s"), table), &Caller::default()).await, "", "anonymous");
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_have_a_burst_of_its_own_and_the_stricter_limit_refuses() {
    let check = async |tenant: &str, burst: Option<u32>, expected: (u32, &str)| {
        let limits =
            RateLimits::new(rates(None, &["acme=5/s"]), None, &Process::default().context("gateway"));
        let caller = with_burst(tenant, "key:k-1", Some("8/s"), burst);
        for call in 0..expected.0 {
            assert!(limits.admit(&caller).await.is_ok(), "{call} of {expected:?}");
        }
        assert_eq!(limits.admit(&caller).await.unwrap_err().metadata()["identity"], expected.1);
    };
    check("", None, (8, "subject")).await;
    check("", Some(2), (2, "subject")).await;
    check("", Some(9), (9, "subject")).await;
    check("acme", Some(2), (2, "subject")).await;
    check("acme", Some(5), (5, "subject")).await;
    check("acme", Some(6), (5, "tenant")).await;
    check("acme", None, (5, "tenant")).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_uses_up_no_other_limit() {
    let process = Process::default();
    let limits = RateLimits::new(rates(Some("4/s"), &["acme=2/s"]), None, &process.context("gateway"));
    let (ada, bob) = (caller("acme", "ada", None), caller("acme", "bob", None));
    assert!(limits.admit(&ada).await.is_ok() && limits.admit(&bob).await.is_ok());
    for _ in 0..9 {
        let error = limits.admit(&ada).await.unwrap_err();
        assert_eq!((error.metadata()["identity"].as_str(), error.reason()), ("tenant", "RATE_LIMITED"));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(500)));
        let left: Vec<_> =
            error.into_standing().0.iter().map(|one| (one.kind.name(), one.remaining)).collect();
        assert_eq!(left, [("subject", 3), ("tenant", 0)]);
    }
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(limits.admit(&ada).await.is_ok());
    let metrics = process.metrics.encode();
    for line in [
        "gateway_rate_limited_total{identity=\"tenant\"} 9\n",
        "gateway_rate_limited_total{identity=\"subject\"} 0\n",
        "gateway_rate_identities 3\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_is_refused_because_the_cache_service_does_not_answer() {
    let process = Process::default();
    // Nothing listens there.
    let cache = "http://127.0.0.1:1".parse().unwrap();
    let limits = RateLimits::new(rates(Some("50/s"), &[]), Some(&cache), &process.context("gateway"));
    let ada = caller("", "ada", None);
    for call in 0..50 {
        assert!(limits.admit(&ada).await.is_ok(), "{call}");
    }
    assert!(limits.admit(&ada).await.is_err(), "the limit of this gateway");
    let metrics = process.metrics.encode();
    assert!(metrics.contains("gateway_rate_limits_by_share 1\n"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_identities_is_bounded() {
    let process = Process::default();
    let limits = RateLimits::new(rates(Some("1/h"), &[]), None, &process.context("gateway"));
    for index in 0..1000 {
        assert!(limits.admit(&caller("", &format!("user {index}"), None)).await.is_ok());
    }
    assert!(limits.quotas.lock().unwrap().len() <= 100);
    let metrics = process.metrics.encode();
    let size = metrics.lines().find_map(|line| line.strip_prefix("gateway_rate_identities ")).unwrap();
    assert!((80..=100).contains(&size.parse::<u32>().unwrap()), "{size}");
}
