//! The cache service: entries with a time to live over the store.
//!
//! [`grpc`] adapts the wire to [`dataflow_store::entries`]; [`key`] says what a key may be.

pub mod args;
pub mod error;
pub mod grpc;
pub mod key;

mod convert;

use std::future::Future;
use std::io;

use dataflow_mesh::serve::{Context, Server};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_store::entries::Entries;
use tokio::net::TcpListener;

pub use args::Args;
pub use error::Error;

/// Runs the service until `shutdown` resolves and every call in flight has ended.
///
/// # Errors
///
/// When the listener has no address.
pub async fn run(
    args: &Args,
    context: Context,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let entries = Entries::new(args.cache.capacity.as_u64());
    let service = CacheServiceServer::new(grpc::Service::new(entries, args.cache.clone()))
        .max_decoding_message_size(args.server.max_message())
        .max_encoding_message_size(args.server.max_message());
    Server::new(&args.server, context, FILE_DESCRIPTOR_SET)
        .with(service)
        .serve(listener, std::future::ready(()), shutdown)
        .await
}
