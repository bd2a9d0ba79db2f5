//! The contract of every backend of the store: one suite that runs on all of them, opened by command-line flags. Other
//! tests are specific to a backend: a crashing process ([`embedded`]), or a Redis that crashes, fails over, loses its
//! scripts, hangs or rejects us (the rest).
//!
//! A backend is one test, which starts its servers once and runs the cases of the suite concurrently, each with a
//! separate prefix. A failure names backend and case.

mod backend;
mod collections;
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
mod one_name;
mod outages;
mod permits;
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

/// Maximum number of concurrent cases of a backend. All of them, with two connections each, would keep a machine with
/// few processors busy with handshakes for longer than the timeout of a call.
const CONCURRENCY: usize = 6;

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

/// The contract of every backend.
static SUITE: &[Case] = &cases![
    entries::an_entry_exists_until_it_is_deleted,
    entries::a_batch_is_returned_in_order,
    entries::an_entry_expires_after_its_ttl,
    entries::a_megabyte_is_stored_unchanged,
    entries::values_and_names_are_arbitrary,
    conditions::a_set_is_applied_only_if_its_condition_is_true,
    conditions::a_delete_is_applied_only_if_its_condition_is_true,
    conditions::a_revision_is_never_reused,
    conditions::one_of_many_concurrent_writers_wins,
    listings::a_listing_returns_exactly_the_prefix,
    listings::a_prefix_is_not_a_pattern,
    listings::a_long_listing_has_pages,
    leases::a_lease_has_one_holder,
    leases::acquiring_again_with_the_same_token_succeeds,
    leases::a_lease_expires,
    leases::a_change_of_the_key_revokes_its_lease,
    leases::only_the_holder_releases,
    generations::a_generation_stays_until_it_is_renewed,
    generations::concurrent_readers_get_the_same_generation,
    permits::a_burst_is_shared_by_all_handles,
    permits::concurrent_takers_get_no_more_than_the_burst,
    permits::a_higher_limit_applies_at_once,
    permits::time_earns_permits,
    logs::positions_have_no_gaps,
    logs::a_record_id_is_appended_once,
    logs::of_concurrent_conditional_appends_one_succeeds,
    logs::a_log_is_trimmed_from_its_beginning,
    logs::one_read_returns_a_bounded_number_of_bytes,
    logs::a_log_is_read_in_pages,
    collections::changes_are_made_together_or_not_at_all,
    collections::of_concurrent_changes_one_is_made,
    collections::a_content_is_kept_until_it_is_dropped,
    collections::a_chunk_of_a_megabyte_is_stored_unchanged,
    signals::a_message_reaches_every_handle,
    signals::changes_are_published_and_counted,
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
    let failures = stream::iter(SUITE).map(run).buffer_unordered(CONCURRENCY).filter_map(future::ready);
    let failures: Vec<_> = cases.run_until(failures.collect()).await;
    assert!(failures.is_empty(), "{} after {:?}:\n{}", backend.name, begun.elapsed(), failures.join("\n"));
}

/// The message of a panic.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_memory() {
    check(Backend::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_a_directory() {
    check(Backend::directory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_on_a_single_redis() {
    if !redis::available() {
        return;
    }
    check(Backend::redis("redis", redis::Server::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_redis_with_acl() {
    if !redis::available() {
        return;
    }
    check(Backend::redis_with_acl(redis::Server::with_acl())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_redis_with_tls() {
    if !redis::available() {
        return;
    }
    check(Backend::redis_with_tls(redis::Server::with_tls())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_in_a_cluster() {
    if !redis::available() {
        return;
    }
    check(Backend::cluster(redis::Cluster::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_behind_sentinels() {
    if !redis::available() {
        return;
    }
    check(Backend::sentinels(redis::Sentinels::start())).await;
}
