//! A rolling restart of every service under load without a failed request: on new connections, on connections that are
//! kept, and with streams that are open.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dataflow_tests::envoy::{self, Envoy};
use dataflow_tests::eventually::{TIMEOUT, eventually_blocking};
use dataflow_tests::redis;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{Call, Client};
use super::fleet::{Fleet, Plan, REPLICAS, ROLES, free_ports, index};
use super::lasting;
use super::proxy::{endpoints, everything, listener, routes};

/// Requests per second, and how many are sent on a machine that is not busy.
const RATE: u32 = 300;
const REQUESTS: usize = 20_000;

/// The most requests in progress.
const MAX_IN_PROGRESS: usize = 64;

/// One call of each service.
static CALLS: [Call; 3] = [
    Call {
        method: "POST",
        target: "/v1/dataflows:categorize",
        body: r#"{"dataflow": {"id": "X", "names": {"en": "Hospital discharges"}}}"#,
    },
    Call { method: "GET", target: "/v1/rules/pop_rule?ruleset=legacy", body: "" },
    Call { method: "GET", target: "/v1/cache:stats", body: "" },
];

/// Restarts every replica of every service, one after the other, repeatedly until enough requests were sent. As in a
/// rollout, the next one stops when load balancers know that the previous one is back, which `is_seen` reports for a
/// role.
async fn restart_all_under_load(
    client: Arc<Client>,
    mut fleet: Fleet,
    is_seen: impl Fn(&str) -> bool + Send + 'static,
) {
    let until_seen = move |role: &str| {
        eventually_blocking(TIMEOUT, "both replicas are seen", || is_seen(role));
    };
    let all_seen = tokio::task::spawn_blocking(move || {
        ROLES.iter().for_each(|role| until_seen(role));
        until_seen
    });
    let until_seen = all_seen.await.unwrap();
    let begun = Instant::now();
    let (done, mut is_done) = tokio::sync::watch::channel(false);
    let lasting = tokio::spawn(lasting::run(Arc::clone(&client), &CALLS, is_done.clone()));
    let restarting = tokio::task::spawn_blocking(move || {
        let mut rounds = 0;
        while rounds == 0 || begun.elapsed() < Duration::from_secs(REQUESTS as u64 / u64::from(RATE)) {
            for role in ROLES {
                for replica in 0..REPLICAS {
                    fleet.restart(role, replica);
                    until_seen(role);
                }
            }
            rounds += 1;
        }
        done.send_replace(true);
        (fleet, rounds)
    });

    let mut rate = interval(Duration::from_secs(1) / RATE);
    rate.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let in_progress = Arc::new(Semaphore::new(MAX_IN_PROGRESS));
    let (mut sent, mut calls) = (0, tokio::task::JoinSet::new());
    while !*is_done.borrow_and_update() {
        rate.tick().await;
        // A busy machine gets fewer requests, and not more than it can serve.
        let permit = Arc::clone(&in_progress).acquire_owned().await.unwrap();
        let (client, call) = (Arc::clone(&client), CALLS[sent % CALLS.len()]);
        calls.spawn(async move {
            client.call(call).await;
            drop(permit);
        });
        sent += 1;
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
    let lasted = lasting.await.unwrap();
    let (fleet, rounds) = restarting.await.unwrap();
    let failures = client.failures.lock().unwrap();
    let unprocessed = client.unprocessed.load(Ordering::Relaxed);
    println!(
        "{sent} requests in {:?} and {lasted:?}, {rounds} restarts of every replica, {} failed, {unprocessed} sent again",
        begun.elapsed(),
        failures.len()
    );

    assert!(sent > REQUESTS / 10, "{sent} requests");
    // It takes a request that waits in the client while a GOAWAY arrives.
    assert!(unprocessed <= sent / 1000, "{unprocessed} of {sent} requests were sent again");
    assert!(lasted.requests.load(Ordering::Relaxed) > 100 && lasted.streams.load(Ordering::Relaxed) > 0);
    let shown = &failures[..failures.len().min(5)];
    assert!(failures.is_empty(), "{} of {sent} failed: {shown:#?} {:#?}", failures.len(), fleet.warnings());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_service_is_restarted_without_a_mesh() {
    if !envoy::available() || !redis::available() {
        return;
    }
    let plan = Plan::new();
    let fleet =
        tokio::task::spawn_blocking(move || Fleet::start(plan, |role| plan.urls(role))).await.unwrap();
    let client = Client::new(plan.of("gateway").map(|ports| (ports.api, Some(ports.admin))));
    let seen = Arc::clone(&client);
    restart_all_under_load(client, fleet, move |role| role != "gateway" || seen.all_ready()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_service_is_restarted_behind_proxies() {
    if !envoy::available() || !redis::available() {
        return;
    }
    let plan = Plan::new();
    let [admin, ports @ ..] = &free_ports(1 + ROLES.len())[..] else { unreachable!() };
    let at = |role: &str| ports[index(role)];
    let listeners = ROLES.map(|role| {
        // Requests from outside are not retried.
        let routes = if role == "gateway" { everything(role) } else { routes(role) };
        listener(at(role), &routes, &[], None)
    });
    let clusters = ROLES.map(|role| endpoints(role, &plan.of(role)));
    // Kept until the last response has arrived.
    let proxy = Arc::new(Envoy::start(*admin, &listeners, &clusters));
    let seen = Arc::clone(&proxy);
    let urls = ROLES.map(|role| (role, format!("http://{}", at(role))));
    let url = move |role: &str| urls.iter().find(|(known, _)| *known == role).unwrap().1.clone();
    let fleet = tokio::task::spawn_blocking(move || Fleet::start(plan, url)).await.unwrap();
    let gateway = at("gateway");
    let is_seen =
        move |role: &str| seen.statistic(&format!("cluster.{role}.membership_healthy")) == REPLICAS as u64;
    restart_all_under_load(Client::new([(gateway, None), (gateway, None)]), fleet, is_seen).await;
}
