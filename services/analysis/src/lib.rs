//! The analysis service: parses a catalogue as its bytes arrive, categorizes every dataflow, and gives the evidence.
//!
//! The path of one request: [`grpc`] receives it, [`analyses`] looks the document up in [`results`] or streams it
//! through [`document`] to a parser thread, where [`catalogue`] combines the crates `dataflow-sdmx` and
//! `dataflow-rules` and `families` adds the evidence of families; `convert` builds the response. [`selection`] finds the rules of the call: [`rulesets`] has the
//! compiled rules that tenants share, which [`rule_watch`] keeps current, and [`overlays`] what tenants have changed.

pub mod args;
pub mod budget;
pub mod error;
pub mod grpc;

pub mod analyses;
pub mod digest;
pub mod document;
pub mod options;
pub mod results;

pub mod flags;
pub mod overlays;
pub mod rule_watch;
pub mod rulesets;
pub mod selection;

pub mod catalogue;
pub mod evaluation;

mod convert;
mod families;
mod filing;

use std::sync::Arc;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::{self, Upstream};
use dataflow_mesh::tasks::Task;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisServiceServer;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use analyses::Analyses;
pub use args::Args;
pub use error::Error;
use flags::{FlagWatch, Flags};
use overlays::{OverlayWatch, Overlays};
use results::Results;
use rulesets::Rulesets;
use selection::Selection;

/// AnalysisService. While the config service is unavailable, it uses the built-in rule sets.
pub fn capability(args: &Args, server: &ServerArgs, context: &Context) -> Capability {
    let rulesets = Arc::new(Rulesets::new(dataflow_rules::built_in::rulesets()));
    let (config, timeout) = (args.peers.config_url.as_ref(), args.peers.peer_timeout);
    let overlays =
        Overlays::new(config, timeout, args.analysis.tenant_rules_memory.as_u64(), &context.metrics);
    let rules = Selection { rulesets: Arc::clone(&rulesets), overlays, flags: Flags::default() };
    let documents = context.live(args.analysis.documents.clone());
    let results = Results::new(&args.peers);
    let analyses = Analyses::new(args, server.max_message(), documents, rules.clone(), results);
    let service = AnalysisServiceServer::new(grpc::Service::new(analyses))
        .max_decoding_message_size(server.max_message())
        .max_encoding_message_size(server.max_message());
    let (follow, first) = rule_watch::follow(rulesets, &args.peers, context.draining.clone());
    let capability = Capability::new().service(service).warm_up(first);
    let watches = config.into_iter().flat_map(|config| watches(&rules, config, &context.draining));
    follow.into_iter().chain(watches).fold(capability, Capability::task)
}

/// The tasks that watch what tenants have changed, and the flags.
fn watches(rules: &Selection, config: &Upstream, draining: &CancellationToken) -> [Task; 2] {
    let (overlays, flags) = (rules.overlays.clone(), rules.flags.clone());
    let (upstream, until) = (config.clone(), draining.clone());
    let overlays = Task::restarting("tenant rules", move || {
        let watch = outbound::follow(OverlayWatch::new(&overlays, &upstream));
        until.clone().run_until_cancelled_owned(watch).map(drop)
    });
    let (upstream, until) = (config.clone(), draining.clone());
    let flags = Task::restarting("flags", move || {
        let watch = outbound::follow(FlagWatch::new(&flags, &upstream));
        until.clone().run_until_cancelled_owned(watch).map(drop)
    });
    [overlays, flags]
}
