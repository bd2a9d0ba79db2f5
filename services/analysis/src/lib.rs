//! The analysis service: parses a catalogue as its bytes arrive, categorizes every dataflow, and gives the evidence.
//!
//! The path of one request: [`grpc`] receives it, [`analyses`] looks the document up in [`results`] or streams it
//! through [`document`] to a parser thread, where [`catalogue`] combines the crates `dataflow-sdmx` and
//! `dataflow-rules`; `convert` builds the response. [`rulesets`] has the compiled rules, and [`rule_watch`] keeps them
//! current.

pub mod args;
pub mod budget;
pub mod error;
pub mod grpc;

pub mod analyses;
pub mod digest;
pub mod document;
pub mod options;
pub mod results;
pub mod rule_watch;
pub mod rulesets;

pub mod catalogue;
pub mod evaluation;

mod convert;

use std::sync::Arc;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisServiceServer;

use analyses::Analyses;
pub use args::Args;
pub use error::Error;
use results::Results;
use rulesets::Rulesets;

/// AnalysisService. While the config service is unavailable, it uses the built-in rule sets.
pub fn capability(args: &Args, server: &ServerArgs, context: &Context) -> Capability {
    let rulesets = Arc::new(Rulesets::new(dataflow_rules::built_in::rulesets()));
    let documents = context.live(args.analysis.documents.clone());
    let results = Results::new(&args.peers);
    let analyses = Analyses::new(args, server.max_message(), documents, Arc::clone(&rulesets), results);
    let service = AnalysisServiceServer::new(grpc::Service::new(analyses))
        .max_decoding_message_size(server.max_message())
        .max_encoding_message_size(server.max_message());
    let (follow, first) = rule_watch::follow(Arc::clone(&rulesets), &args.peers, context.draining.clone());
    let capability = Capability::new().service(service).warm_up(first);
    follow.into_iter().fold(capability, Capability::task)
}
