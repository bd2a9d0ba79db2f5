//! The analysis service: parses a catalogue as its bytes arrive, categorizes every dataflow, and gives the evidence.
//!
//! The path of one request: [`grpc`] receives it, [`analyses`] looks the documents up in [`results`] or streams them
//! through `dataflow-uploads` to a parser thread, where [`catalogue`] combines the crates `dataflow-sdmx` and
//! `dataflow-rules` by a [`categorizer`], `families` adds the evidence of families, [`themes`] has the provider's own
//! categories decide first, and [`profile`] tells what is known about the data; `convert` builds the response.
//! [`selection`] finds the rules and the mapping of themes of the call: [`rulesets`] has the compiled rules that
//! tenants share, which [`rule_watch`] keeps current, [`mappings`] the mapping, which `theme_watch` does, and
//! [`overlays`] what tenants have changed.

pub mod args;
pub mod error;
pub mod grpc;

pub mod analyses;
pub mod options;
pub mod results;

pub mod flags;
pub mod mappings;
pub mod overlays;
pub mod rule_watch;
pub mod rulesets;
pub mod selection;

pub mod catalogue;
pub mod categorizer;
pub mod decision;
pub mod evaluation;
pub mod profile;
pub mod recategorization;
pub mod themes;

mod convert;
mod families;
mod filing;
mod fingerprint;
mod theme_watch;

use std::sync::Arc;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_mesh::outbound::{self, CallObserver, Upstream};
use dataflow_mesh::tasks::Task;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisServiceServer;
use dataflow_proto::cache::v1::cache_service_server::SERVICE_NAME as CACHE_SERVICE;
use dataflow_proto::config::v1::flag_service_server::SERVICE_NAME as FLAG_SERVICE;
use dataflow_proto::config::v1::rule_service_server::SERVICE_NAME as RULE_SERVICE;
use dataflow_proto::config::v1::theme_service_server::SERVICE_NAME as THEME_SERVICE;
use dataflow_rules::themes::Mapping;
use dataflow_uploads::Uploads;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use analyses::Analyses;
pub use args::Args;
pub use error::Error;
use flags::{FlagWatch, Flags};
use mappings::Mappings;
use overlays::Overlays;
use overlays::rules::OverlayWatch;
use results::Results;
use rulesets::Rulesets;
use selection::Selection;
use theme_watch::ThemeWatch;

/// The uploads of the role of these flags, which its capabilities share.
pub fn uploads(args: &Args, context: &Context) -> Uploads {
    let documents = context.live(args.analysis.documents.clone());
    let memory = MemoryShares::new(args.analysis.result_memory(context.memory.limit()));
    let uploads = Uploads::new(&args.uploads, documents, args.analysis.parsers(), memory);
    uploads.register(&context.metrics, &context.status);
    uploads
}

/// AnalysisService, and the analyses that it serves, for what other capabilities of the role need of them. While the config service is unavailable, it uses the built-in rule sets and mapping of themes.
pub fn capability(
    args: &Args,
    server: &ServerArgs,
    context: &Context,
    uploads: Uploads,
) -> (Capability, Analyses) {
    let rulesets = Arc::new(Rulesets::new(dataflow_rules::built_in::rulesets()));
    rulesets.register(&context.metrics);
    let mappings = Arc::new(Mappings::new(Mapping::built_in()));
    mappings.register(&context.metrics);
    let (config, timeout) = (args.peers.config_url.as_ref(), args.peers.peer_timeout);
    let services = [RULE_SERVICE, THEME_SERVICE, FLAG_SERVICE];
    let observer = config.map(|_| context.observer("config", &services, FILE_DESCRIPTOR_SET));
    let config = config.zip(observer.as_ref());
    report((&rulesets, &mappings), config.is_some(), context);
    let (rules_memory, themes_memory) =
        (args.analysis.tenant_rules_memory, args.analysis.tenant_themes_memory);
    let rules = Selection {
        rulesets: Arc::clone(&rulesets),
        overlays: Overlays::new(config, timeout, rules_memory.as_u64(), &context.metrics),
        mappings,
        theme_overlays: Overlays::new(config, timeout, themes_memory.as_u64(), &context.metrics),
        flags: Flags::default(),
    };
    let cache = args.peers.cache_url.as_ref();
    let cache_observer = cache.map(|_| context.observer("cache", &[CACHE_SERVICE], FILE_DESCRIPTOR_SET));
    let results = Results::new(&args.peers, cache_observer.as_ref());
    let analyses = Analyses::new(args, server.max_message(), uploads, rules.clone(), results);
    analyses.register(&context.metrics);
    let service = AnalysisServiceServer::new(grpc::Service::new(analyses.clone()))
        .max_decoding_message_size(server.max_message())
        .max_encoding_message_size(server.max_message());
    let (follow, first) = rule_watch::follow(rulesets, config, timeout, context.draining.clone());
    let (overlays, theme_overlays) = (rules.overlays.clone(), rules.theme_overlays.clone());
    let known = async move {
        let attempted = async { tokio::join!(overlays.attempted(), theme_overlays.attempted()) };
        drop(tokio::time::timeout(timeout, attempted).await);
    };
    let capability = Capability::new().service(service).warm_up(async {
        let ((), ()) = tokio::join!(first, known);
    });
    let watches = config.into_iter().flat_map(|config| watches(&rules, config, &context.draining));
    (follow.into_iter().chain(watches).fold(capability, Capability::task), analyses)
}

/// Adds the rules and the mapping of themes to the status. Without a config service the built-in ones are what is wanted.
fn report((rulesets, mappings): (&Arc<Rulesets>, &Arc<Mappings>), has_config: bool, context: &Context) {
    let shown = Arc::clone(rulesets);
    context.status.add_rulesets(move || shown.revisions());
    let shown = Arc::clone(mappings);
    context.status.set_themes(move || shown.get().source.revision);
    if has_config {
        let rulesets = Arc::clone(rulesets);
        context.status.degraded_while("BUILT_IN_RULES", move || rulesets.built_in());
        let mappings = Arc::clone(mappings);
        context.status.degraded_while("BUILT_IN_THEMES", move || mappings.is_built_in());
    }
}

/// The tasks that watch what tenants have changed, the mapping of themes, and the flags.
fn watches(
    rules: &Selection,
    (config, observer): (&Upstream, &CallObserver),
    draining: &CancellationToken,
) -> [Task; 3] {
    let (overlays, flags) = (rules.overlays.clone(), rules.flags.clone());
    let (upstream, observer, until) = (config.clone(), observer.clone(), draining.clone());
    let observed = observer.clone();
    let overlays = Task::restarting("tenant rules", move || {
        let watch = outbound::follow(OverlayWatch::new(&overlays, &upstream, &observed));
        until.clone().run_until_cancelled_owned(watch).map(drop)
    });
    let (mappings, changes) = (Arc::clone(&rules.mappings), rules.theme_overlays.clone());
    let (upstream, observed, until) = (config.clone(), observer.clone(), draining.clone());
    let themes = Task::restarting("themes", move || {
        let watch = outbound::follow(ThemeWatch::new(&mappings, &changes, &upstream, &observed));
        until.clone().run_until_cancelled_owned(watch).map(drop)
    });
    let (upstream, until) = (config.clone(), draining.clone());
    let flags = Task::restarting("flags", move || {
        let watch = outbound::follow(FlagWatch::new(&flags, &upstream, &observer));
        until.clone().run_until_cancelled_owned(watch).map(drop)
    });
    [overlays, themes, flags]
}
