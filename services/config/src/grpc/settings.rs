//! The tonic adapter of ConfigService.

use std::pin::Pin;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::config_service_server::ConfigService;
use dataflow_settings::{Current, Dynamic, Source};
use futures_util::stream::{Stream, StreamExt};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Serves ConfigService.
#[derive(Clone)]
pub struct Service {
    settings: watch::Receiver<Dynamic>,
    /// Ends the watches: an endless response stream would delay the drain.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves the dynamic settings of this process until `draining` is canceled.
    pub fn new(settings: watch::Receiver<Dynamic>, draining: CancellationToken) -> Self {
        Self { settings, draining }
    }
}

/// The wire form of the settings.
fn settings(dynamic: &Dynamic) -> Vec<pb::Setting> {
    let settings = dynamic.settings.iter().map(|(name, Current { value, source })| pb::Setting {
        name: name.clone(),
        value: value.clone(),
        source: source.to_string(),
        pushed: matches!(source, Source::ConfigMap(_) | Source::File(_)),
    });
    settings.collect()
}

#[tonic::async_trait]
impl ConfigService for Service {
    async fn get_config(
        &self,
        _: Request<pb::GetConfigRequest>,
    ) -> Result<Response<pb::GetConfigResponse>, Status> {
        let settings = settings(&self.settings.borrow());
        Ok(Response::new(pb::GetConfigResponse { settings }))
    }

    type WatchConfigStream = Pin<Box<dyn Stream<Item = Result<pb::WatchConfigResponse, Status>> + Send>>;

    async fn watch_config(
        &self,
        _: Request<pb::WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        let changes = WatchStream::new(self.settings.clone())
            .map(|dynamic| Ok(pb::WatchConfigResponse { settings: settings(&dynamic) }));
        let changes = changes.take_until(self.draining.clone().cancelled_owned());
        Ok(Response::new(changes.boxed()))
    }
}
