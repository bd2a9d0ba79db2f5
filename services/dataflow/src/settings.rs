//! What the config service pushes, on its way to the layers of this process.

use std::convert::Infallible;

use dataflow_mesh::outbound::{Outbound, Retry, Upstream};
use dataflow_proto::config::v1::WatchConfigRequest;
use dataflow_proto::config::v1::config_service_client::ConfigServiceClient;
use dataflow_settings::Pushed;
use tokio::sync::watch;
use tonic::Status;

/// Follows the config service for ever. What it said last holds on while it is silent.
pub(crate) async fn follow(upstream: Option<&Upstream>, pushed: watch::Sender<Pushed>) -> Infallible {
    let Some(upstream) = upstream else { return std::future::pending().await };
    let mut client = ConfigServiceClient::new(Outbound::watching(upstream));
    let mut retry = Retry::default();
    loop {
        if let Err(error) = receive(&mut client, &pushed, &mut retry).await {
            tracing::debug!(%error, "config service does not answer: keeping the settings at hand");
        }
        retry.pause().await;
    }
}

/// Receives settings until the stream ends.
async fn receive(
    client: &mut ConfigServiceClient<Outbound>,
    pushed: &watch::Sender<Pushed>,
    retry: &mut Retry,
) -> Result<(), Status> {
    let mut changes = client.watch_config(WatchConfigRequest {}).await?.into_inner();
    while let Some(all) = changes.message().await? {
        retry.heard();
        let settings = all.settings.into_iter().filter(|setting| setting.pushed);
        let new: Pushed = settings.map(|setting| (setting.name, setting.value)).collect();
        pushed.send_if_modified(|held| {
            let is_new = *held != new;
            *held = new;
            is_new
        });
    }
    Ok(())
}
