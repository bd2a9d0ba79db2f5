//! The cache service: entries with a time to live, tags and leases, on top of the store.
//!
//! The path of a request: [`grpc`] receives it, `convert` maps it to a [`key`], and [`entries`] responds from the L1
//! cache (`l1`) or from the store; `secret` computes the store keys of internal entries, and `stored` is the stored
//! format of an entry. [`lease`] provides single flight. [`permits`] has the rate limits that gateways share.

pub mod args;
pub mod error;
pub mod grpc;

pub mod entries;
pub mod entry;
pub mod key;
pub mod lease;
pub mod permits;
pub mod stats;

mod convert;
mod l1;
mod secret;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::memory::{Level, Memory};
use dataflow_mesh::tasks::Task;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_store::Store;

pub use args::CacheArgs;
use entries::Entries;
pub use error::Error;
use permits::Permits;

/// How long startup waits for the store before the service is SERVING, degraded if the store is unreachable.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval at which the L1 cache is emptied while memory is short.
const SHRINK_INTERVAL: Duration = Duration::from_secs(1);

/// CacheService with the entries in `store`.
pub fn capability(
    args: &CacheArgs,
    server: &ServerArgs,
    context: &Context,
    store: Arc<dyn Store>,
) -> Capability {
    let (capacity, limit) = (args.capacity.as_u64(), server.max_message());
    let limits = context.live(server.limits.clone());
    let entries = Entries::new(Arc::clone(&store), capacity, limits, &context.metrics);
    let shown = entries.clone();
    context.status.set_cache(move || shown.use_of_all());
    let follow = entries.follow_changes();
    let (shrunk, memory) = (entries.clone(), context.memory.clone());
    let shrink =
        Task::restarting("memory marks", move || shrink_above_the_mark(shrunk.clone(), memory.clone()));
    let service = CacheServiceServer::new(grpc::Service::new(
        entries,
        Permits::new(Arc::clone(&store)),
        args.clone(),
        limit,
    ))
    .max_decoding_message_size(limit)
    .max_encoding_message_size(limit);
    let capability = Capability::new().service(service).warm_up(warm_up(store)).task(shrink);
    follow.into_iter().fold(capability, Capability::task)
}

/// Empties the L1 cache while the memory of the process is above a mark, again and again: a copy can be read from the
/// store.
async fn shrink_above_the_mark(entries: Entries, mut memory: Memory) {
    loop {
        if memory.level() > Level::Normal {
            entries.drop_copies();
            tokio::time::sleep(SHRINK_INTERVAL).await;
        } else {
            memory.changed().await;
        }
    }
}

/// Resolves once the store was polled, so that the L1 cache is coherent for the first callers.
async fn warm_up(store: Arc<dyn Store>) {
    if let Some(mut counters) = store.version_counters() {
        let polled = counters.wait_for(|counters| counters.polled);
        if !matches!(tokio::time::timeout(STORE_TIMEOUT, polled).await, Ok(Ok(_))) {
            tracing::warn!("store: no response, serving degraded");
        }
    }
}
