//! The analysis service: reads a catalogue as its bytes arrive, categorises every dataflow, and says why.
//!
//! The path of one request: [`grpc`] takes it in, [`analyses`] looks the document up in [`results`] or feeds it through
//! [`document`] to a parser thread, where [`catalogue`] joins the crates `dataflow-sdmx` and `dataflow-rules`; `convert`
//! makes the reply. [`rulesets`] keeps the compiled rules current.

pub mod args;
pub mod error;
pub mod grpc;

pub mod analyses;
pub mod digest;
pub mod document;
pub mod results;
pub mod rulesets;

pub mod catalogue;
pub mod evaluation;

mod convert;

use std::future::Future;
use std::io;
use std::sync::Arc;

use dataflow_mesh::serve::{Context, Server};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisServiceServer;
use dataflow_rules::RuleSet;
use dataflow_settings::Live;
use tokio::net::TcpListener;

use analyses::Analyses;
pub use args::Args;
pub use error::Error;
use results::Results;
use rulesets::Rulesets;

/// Runs the service until `shutdown` resolves and every call in flight has ended. `built_in` are the rule sets to fall
/// back on while the config service does not answer.
///
/// # Errors
///
/// When the listener has no address.
pub async fn run(
    args: &Args,
    context: Context,
    built_in: impl IntoIterator<Item = RuleSet>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let rulesets = Arc::new(Rulesets::new(built_in));
    let warm_up = rulesets::follow(Arc::clone(&rulesets), &args.peers, context.draining.clone());
    let (documents, follow) = Live::following(args.analysis.documents.clone(), context.settings.clone());
    tokio::spawn(follow);
    let analyses = Analyses::new(args, documents, rulesets, Results::new(&args.peers));
    let service = AnalysisServiceServer::new(grpc::Service::new(analyses))
        .max_decoding_message_size(args.server.max_message())
        .max_encoding_message_size(args.server.max_message());
    Server::new(&args.server, context, FILE_DESCRIPTOR_SET)
        .with(service)
        .serve(listener, warm_up, shutdown)
        .await
}
