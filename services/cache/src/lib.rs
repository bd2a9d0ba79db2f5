//! The cache service: entries with a time to live, tags and leases, over the store.
//!
//! The path of one request: [`grpc`] takes it in, `convert` makes a [`key`] of it, and [`entries`] answers from the copies
//! that `near` holds or from the store, where `stored` says how an entry is written down. [`lease`] lets one compute for
//! all.

pub mod args;
pub mod error;
pub mod grpc;

pub mod entries;
pub mod entry;
pub mod key;
pub mod lease;
pub mod stats;

mod convert;
mod near;
mod stored;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::serve::{Context, Server};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_settings::Live;
use dataflow_store::Store;
use tokio::net::TcpListener;

pub use args::Args;
use entries::Entries;
pub use error::Error;

/// How long the start waits for the store before the service says that it serves, without if need be.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the service over `store` until `shutdown` resolves and every call in flight has ended.
///
/// # Errors
///
/// When the listener has no address.
pub async fn run(
    args: &Args,
    context: Context,
    store: Arc<dyn Store>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let warm_up = warm_up(Arc::clone(&store));
    let (capacity, limit) = (args.cache.capacity.as_u64(), args.server.max_message());
    let (limits, follow) = Live::following(args.server.limits.clone(), context.settings.clone());
    tokio::spawn(follow);
    let entries = Entries::new(store, capacity, limits, &context.metrics);
    let service = CacheServiceServer::new(grpc::Service::new(entries, args.cache.clone(), limit))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    Server::new(&args.server, context, FILE_DESCRIPTOR_SET)
        .with(service)
        .serve(listener, warm_up, shutdown)
        .await
}

/// Resolves when the store was asked once, so that the first callers do not find it cold.
async fn warm_up(store: Arc<dyn Store>) {
    if let Some(mut pulse) = store.pulse() {
        let tried = pulse.wait_for(|pulse| pulse.tried);
        if !matches!(tokio::time::timeout(PATIENCE, tried).await, Ok(Ok(_))) {
            tracing::warn!("the store does not answer: serving without it");
        }
    }
}
