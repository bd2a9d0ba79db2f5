//! Receives the settings that the config service pushes and applies them to this process.

use dataflow_mesh::backoff::Backoff;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_mesh::process::Process;
use dataflow_mesh::tasks::Task;
use dataflow_proto::config::v1::WatchConfigRequest;
use dataflow_proto::config::v1::config_service_client::ConfigServiceClient;
use dataflow_settings::Pushed;
use tokio::sync::watch;
use tonic::Status;

/// Watches the settings of the config service, if there is one, in the background. While it is unavailable, the
/// settings that it pushed last stay in effect.
pub(crate) fn follow(upstream: Option<&Upstream>, process: &Process) {
    let Some(upstream) = upstream.cloned() else { return };
    let pushed = process.pushed.clone();
    let task = Task::restarting("pushed settings", move || watch_forever(upstream.clone(), pushed.clone()));
    process.tasks.spawn(task);
}

async fn watch_forever(upstream: Upstream, pushed: watch::Sender<Pushed>) {
    let mut client = ConfigServiceClient::new(Outbound::watching(&upstream));
    let mut backoff = Backoff::default();
    loop {
        if let Err(error) = receive(&mut client, &pushed, &mut backoff).await {
            tracing::debug!(%error, "settings: config service unavailable, keeping the current ones, retrying");
        }
        backoff.wait().await;
    }
}

/// Receives settings until the stream ends.
async fn receive(
    client: &mut ConfigServiceClient<Outbound>,
    pushed: &watch::Sender<Pushed>,
    backoff: &mut Backoff,
) -> Result<(), Status> {
    let mut changes = client.watch_config(WatchConfigRequest {}).await?.into_inner();
    while let Some(all) = changes.message().await? {
        backoff.reset();
        let settings = all.settings.into_iter().filter(|setting| setting.pushed);
        let new: Pushed = settings.map(|setting| (setting.name, setting.value)).collect();
        pushed.send_if_modified(|current| {
            let is_new = *current != new;
            *current = new;
            is_new
        });
    }
    Ok(())
}
