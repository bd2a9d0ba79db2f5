//! The catalogue service: catalogues over time. It stores what a provider's catalogue is as snapshots, with a receipt for
//! each upload, and tells what differs between two of them.
//!
//! The path of one upload: [`grpc`] receives it, [`catalogues`] asks the [`registry`] for the provider and has
//! `dataflow-uploads` pass the documents to a parser thread, where [`reading`] packs what `dataflow-sdmx` reads into a
//! content (`stored`); [`snapshots`] stores it, within what [`retention`] allows. [`diff`] compares two contents; their
//! [`categories`] come from the analysis capability.

pub mod args;
pub mod catalogues;
pub mod categories;
pub mod content;
pub mod convert;
pub mod diff;
pub mod error;
pub mod grpc;
pub mod metrics;
pub mod reading;
pub mod registry;
pub mod retention;
pub mod snapshots;
pub mod stored;

mod version;

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::Upstream;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::catalogue::v1::catalogue_service_server::CatalogueServiceServer;
use dataflow_proto::config::v1::provider_service_server::SERVICE_NAME as PROVIDER_SERVICE;
use dataflow_store::Store;
use dataflow_uploads::Uploads;

pub use args::CatalogueArgs;
use catalogues::Catalogues;
use categories::Categories;
pub use error::Error;
use metrics::SnapshotMetrics;
use registry::Registry;
use snapshots::Snapshots;

/// What the capability needs of others.
#[derive(Debug)]
pub struct Peers {
    /// The store of the snapshots.
    pub store: Arc<dyn Store>,
    /// The uploads of the role.
    pub uploads: Uploads,
    /// The categories of dataflows.
    pub categories: Arc<dyn Categories>,
    /// The config service, which has the registry of providers.
    pub config: Option<Upstream>,
    /// The timeout of a call to it.
    pub timeout: Duration,
}

/// CatalogueService.
pub fn capability(args: &CatalogueArgs, server: &ServerArgs, context: &Context, peers: Peers) -> Capability {
    let Peers { store, uploads, categories, config, timeout } = peers;
    let metrics = SnapshotMetrics::register(&context.metrics);
    let observer =
        config.as_ref().map(|_| context.observer("config", &[PROVIDER_SERVICE], FILE_DESCRIPTOR_SET));
    let registry = Registry::new(config.as_ref().zip(observer.as_ref()), timeout);
    let snapshots = Snapshots::new(store, args, metrics.clone());
    let catalogues = Catalogues::new(uploads, snapshots, registry, categories, metrics);
    let service = CatalogueServiceServer::new(grpc::Service::new(catalogues, server.max_message()))
        .max_decoding_message_size(server.max_message())
        .max_encoding_message_size(server.max_message());
    Capability::new().service(service)
}
