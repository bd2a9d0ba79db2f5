//! The config service: owns the rule sets, the mapping of themes, the registries of providers and API keys, and the
//! feature flags, serves the dynamic settings of the mesh, and pushes every change to all watchers.
//!
//! [`grpc`] adapts the wire. Reads are served from a [`state`], which results from replaying the [`journal`]; writes
//! append to the journal, in the format of `stored`. Beside it stand the logs ([`bounded_log`]) of refused writes and of
//! [`audited_reads`], and when keys were last used ([`key_uses`]). The crate `dataflow-rules` validates rule sets and themes, [`provider`] validates providers, [`flag`]
//! flags, [`key`] makes and validates API keys, and [`built_in`] is the seed of an empty store.

pub mod args;
pub mod error;
pub mod grpc;

pub mod audited_reads;
pub mod bounded_log;
pub mod journal;
pub mod key_uses;

pub mod change;
pub mod difference;
pub mod state;

pub mod audited_read;
pub mod built_in;
pub mod flag;
pub mod key;
pub mod provider;
pub mod refusal;

mod convert;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::tasks::Task;
use dataflow_proto::config::v1::audit_service_server::AuditServiceServer;
use dataflow_proto::config::v1::config_service_server::ConfigServiceServer;
use dataflow_proto::config::v1::flag_service_server::FlagServiceServer;
use dataflow_proto::config::v1::key_service_server::KeyServiceServer;
use dataflow_proto::config::v1::provider_service_server::ProviderServiceServer;
use dataflow_proto::config::v1::rule_service_server::RuleServiceServer;
use dataflow_proto::config::v1::theme_service_server::ThemeServiceServer;

pub use args::{AuditLogArgs, JournalArgs, ReadLogArgs, RefusalLogArgs};
use audited_reads::AuditedReads;
use bounded_log::{BoundedLog, Bounds};
pub use convert::ruleset::{from_wire as ruleset_from_wire, to_wire as ruleset_to_wire};
pub use convert::theme::{mapping_from_wire, mapping_to_wire};
pub use error::Error;
use journal::{Journal, SPACE};
use key_uses::KeyUses;
use refusal::Refusal;

/// How long startup waits for the next records before the service serves the built-in rule sets and providers.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// RuleService, ThemeService, ProviderService, KeyService, FlagService, AuditService and ConfigService on top of
/// `journal`, with the logs of refused writes and of audited reads beside it.
pub fn capability(
    server: &ServerArgs,
    context: &Context,
    journal: Arc<Journal>,
    logs: &AuditLogArgs,
) -> Capability {
    let limit = server.max_message();
    journal.register(&context.metrics);
    let watched = Arc::clone(&journal);
    context.status.degraded_while("JOURNAL_LOST", move || watched.is_lost());
    let AuditLogArgs { refusals, reads } = logs;
    let bounds = Bounds { entries: refusals.entries, age: refusals.age };
    let refusals = Arc::new(BoundedLog::<Refusal>::new(journal.store(), SPACE.key("refusals"), bounds));
    let help = "Refused writes in the log, as of the last change or check; at most `--refusal-log-entries`";
    context.metrics.register("config_refusal_log_entries", help, refusals.entries());
    let reads = Arc::new(AuditedReads::new(journal.store(), reads));
    reads.register(&context.metrics);
    let uses = Arc::new(KeyUses::new(journal.store()));
    let rules = grpc::rules::Service::new(Arc::clone(&journal), context.draining.clone());
    let rules =
        RuleServiceServer::new(rules).max_decoding_message_size(limit).max_encoding_message_size(limit);
    let themes = grpc::themes::Service::new(Arc::clone(&journal), context.draining.clone());
    let themes =
        ThemeServiceServer::new(themes).max_decoding_message_size(limit).max_encoding_message_size(limit);
    let providers = ProviderServiceServer::new(grpc::providers::Service::new(Arc::clone(&journal)));
    let keys =
        grpc::keys::Service::new(Arc::clone(&journal), uses, Arc::clone(&reads), context.draining.clone());
    let flags = grpc::flags::Service::new(Arc::clone(&journal), context.draining.clone());
    let audit = AuditServiceServer::new(grpc::audit::Service::new(
        Arc::clone(&journal),
        Arc::clone(&refusals),
        Arc::clone(&reads),
    ));
    let settings = grpc::settings::Service::new(context.settings.clone(), context.draining.clone());
    let followed = Arc::clone(&journal);
    let follow = Task::restarting("journal", move || {
        let journal = Arc::clone(&followed);
        async move { journal.follow().await }
    });
    let trim = Task::restarting("refusal log", move || {
        let refusals = Arc::clone(&refusals);
        async move { refusals.follow().await }
    });
    let trim_reads = Task::restarting("read log", move || {
        let reads = Arc::clone(&reads);
        async move { reads.follow().await }
    });
    Capability::new()
        .service(rules)
        .service(themes)
        .service(providers)
        .service(KeyServiceServer::new(keys))
        .service(FlagServiceServer::new(flags))
        .service(audit)
        .service(ConfigServiceServer::new(settings))
        .warm_up(warm_up(journal))
        .task(follow)
        .task(trim)
        .task(trim_reads)
}

/// Reads the journal, unless the store stops replying.
async fn warm_up(journal: Arc<Journal>) {
    const DEGRADED: &str = "store: no response, serving the built-in rule sets and providers";
    let mut opening = std::pin::pin!(journal.open());
    loop {
        let before = journal.progress();
        match tokio::time::timeout(STORE_TIMEOUT, &mut opening).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => {
                tracing::warn!(%error, "{DEGRADED}");
                break;
            }
            // A long journal takes a while.
            Err(_) if journal.progress() > before => {}
            Err(_) => {
                tracing::warn!("{DEGRADED}");
                break;
            }
        }
    }
    journal.mark_ready();
}
