//! What every backend of the store promises, one suite run on all of them, opened by the flags that users write; and
//! what only one of them has to stand: a process that dies ([`embedded`]), or a Redis that dies, moves, forgets, is
//! silent or will not have us (the rest).
//!
//! A backend is one test, which starts its servers once and runs the suite's cases side by side, each under a prefix of
//! its own: a failure names backend and case.

mod backend;
mod conditions;
mod durability;
mod embedded;
mod entries;
mod failover;
mod flags;
mod generations;
mod leases;
mod listings;
mod logs;
mod migration;
mod outages;
mod records;
mod signals;

use std::any::Any;
use std::future;
use std::pin::Pin;
use std::time::Instant;

use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::redis;
use futures_util::stream::{self, StreamExt};
use tokio::task::LocalSet;
use tokio::time::timeout;

use backend::{Backend, Stores};

/// Cases of a backend that run at the same time. With all of them, two connections each, a machine with few processors
/// would be busy with handshakes for longer than a call may take.
const AT_ONCE: usize = 6;

/// One case of the suite.
struct Case {
    /// `module::function`.
    name: &'static str,
    run: fn(Stores) -> Pin<Box<dyn Future<Output = ()>>>,
}

macro_rules! cases {
    ($($module:ident :: $case:ident),* $(,)?) => {
        [$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |stores| Box::pin($module::$case(stores)),
        }),*]
    };
}

/// What every backend promises.
static SUITE: &[Case] = &cases![
    entries::what_is_set_is_there_until_it_is_deleted,
    entries::a_batch_is_answered_in_order,
    entries::an_entry_lives_as_long_as_it_was_given,
    entries::a_megabyte_comes_back_whole,
    entries::bytes_and_names_may_be_anything,
    conditions::a_set_happens_under_its_condition,
    conditions::a_delete_happens_under_its_condition,
    conditions::a_revision_never_comes_back,
    conditions::one_of_many_wins,
    listings::a_listing_names_what_begins_so,
    listings::a_prefix_is_no_pattern,
    listings::a_long_listing_comes_in_pages,
    leases::a_lease_is_held_by_one,
    leases::who_asks_again_with_the_same_token_has_the_lease,
    leases::a_lease_ends_by_itself,
    leases::a_change_of_the_key_ends_its_lease,
    leases::only_the_holder_gives_back,
    generations::a_generation_stays_until_it_is_renewed,
    generations::two_who_ask_at_once_get_the_same,
    logs::positions_have_no_gaps,
    logs::an_id_is_written_once,
    logs::of_those_who_go_by_what_they_read_one_writes,
    logs::a_log_is_read_in_pages,
    signals::a_message_reaches_every_handle,
    signals::changes_are_told_and_counted,
];

/// Runs the suite on a backend.
async fn check(backend: Backend) {
    let (begun, cases) = (Instant::now(), LocalSet::new());
    let run = async |case: &Case| {
        let stores = backend.stores(case.name).await;
        let failure = match cases.spawn_local(timeout(TIMEOUT, (case.run)(stores))).await {
            Ok(Ok(())) => return None,
            Ok(Err(_)) => "not within a minute".to_owned(),
            Err(panic) => text(&*panic.into_panic()).to_owned(),
        };
        Some(format!("{}: {failure}", case.name))
    };
    let failures = stream::iter(SUITE).map(run).buffer_unordered(AT_ONCE).filter_map(future::ready);
    let failures: Vec<_> = cases.run_until(failures.collect()).await;
    assert!(failures.is_empty(), "{} after {:?}:\n{}", backend.name, begun.elapsed(), failures.join("\n"));
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_memory() {
    check(Backend::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_a_directory() {
    check(Backend::directory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_redis_alone() {
    if !redis::available() {
        return;
    }
    check(Backend::redis("redis", redis::Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_redis_with_acl() {
    if !redis::available() {
        return;
    }
    check(Backend::redis_with_acl(redis::Server::with_acl())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_redis_with_tls() {
    if !redis::available() {
        return;
    }
    check(Backend::redis_with_tls(redis::Server::with_tls())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_in_a_cluster() {
    if !redis::available() {
        return;
    }
    check(Backend::cluster(redis::Cluster::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_holds_behind_sentinels() {
    if !redis::available() {
        return;
    }
    check(Backend::sentinels(redis::Sentinels::start())).await;
}
