//! The config service: owns the rule sets and the registry of providers, knows the dynamic settings of the mesh, and
//! pushes every change to whoever watches.
//!
//! [`grpc`] adapts the wire. What is asked is answered from a [`state`], which is what all changes of the [`journal`] have
//! made; what is to be changed is written there, as `stored` says. The crate `dataflow-rules` says which rule sets are
//! valid, [`provider`] which providers, and [`built_in`] what a fresh store begins with.

pub mod args;
pub mod error;
pub mod grpc;

pub mod journal;

pub mod change;
pub mod difference;
pub mod state;

pub mod built_in;
pub mod provider;

mod convert;
mod mask;
mod stored;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::serve::{Context, Server};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1::audit_service_server::AuditServiceServer;
use dataflow_proto::config::v1::config_service_server::ConfigServiceServer;
use dataflow_proto::config::v1::provider_service_server::ProviderServiceServer;
use dataflow_proto::config::v1::rule_service_server::RuleServiceServer;
use tokio::net::TcpListener;

pub use args::Args;
pub use convert::ruleset::to_wire as ruleset_to_wire;
pub use error::Error;
use journal::Journal;

/// How long the start waits for the store before the service serves what the release brings.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs the service over `journal` until `shutdown` resolves and every call in flight has ended.
///
/// # Errors
///
/// When the listener has no address.
pub async fn run(
    args: &Args,
    context: Context,
    journal: Arc<Journal>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let limit = args.server.max_message();
    let rules = grpc::rules::Service::new(Arc::clone(&journal), context.draining.clone());
    let rules =
        RuleServiceServer::new(rules).max_decoding_message_size(limit).max_encoding_message_size(limit);
    let providers = ProviderServiceServer::new(grpc::providers::Service::new(Arc::clone(&journal)));
    let audit = AuditServiceServer::new(grpc::audit::Service::new(Arc::clone(&journal)));
    let settings = grpc::settings::Service::new(context.settings.clone(), context.draining.clone());
    let warm_up = {
        let journal = Arc::clone(&journal);
        async move {
            match tokio::time::timeout(PATIENCE, journal.open()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the store does not answer: serving what the release brings")
                }
                Err(_) => tracing::warn!("the store does not answer: serving what the release brings"),
            }
            journal.settle();
        }
    };
    let following = tokio::spawn(async move { journal.follow().await });
    let ended = Server::new(&args.server, context, FILE_DESCRIPTOR_SET)
        .with(rules)
        .with(providers)
        .with(audit)
        .with(ConfigServiceServer::new(settings))
        .serve(listener, warm_up, shutdown)
        .await;
    following.abort();
    ended
}
