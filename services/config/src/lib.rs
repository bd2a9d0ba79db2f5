//! The config service: owns the rule sets and pushes every change to whoever watches.
//!
//! [`grpc`] adapts the wire to [`rulesets`], which holds what [`ruleset`] describes and checks; [`mod@file`] reads the
//! same from YAML, the two sets built into the binary ([`built_in`]) included.

pub mod args;
pub mod built_in;
pub mod error;
pub mod file;
pub mod grpc;
pub mod ruleset;
pub mod rulesets;

mod convert;
mod words;

use std::future::Future;
use std::io;
use std::sync::Arc;

use dataflow_mesh::serve::{Context, Server};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1::rule_service_server::RuleServiceServer;
use tokio::net::TcpListener;

pub use args::Args;
pub use error::Error;
use rulesets::Rulesets;

/// Runs the service until `shutdown` resolves and every call in flight has ended.
///
/// # Errors
///
/// When the listener has no address.
pub async fn run(
    args: &Args,
    context: Context,
    rulesets: Rulesets,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let service = grpc::Service::new(Arc::new(rulesets), context.draining.clone());
    let rules = RuleServiceServer::new(service)
        .max_decoding_message_size(args.server.max_message())
        .max_encoding_message_size(args.server.max_message());
    Server::new(&args.server, context, FILE_DESCRIPTOR_SET)
        .with(rules)
        .serve(listener, std::future::ready(()), shutdown)
        .await
}
