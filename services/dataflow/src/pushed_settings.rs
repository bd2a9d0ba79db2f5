//! Receives the settings that the config service pushes and applies them to this process.

use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::{self, Follower, Outbound, Upstream};
use dataflow_mesh::process::Process;
use dataflow_mesh::tasks::Task;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1::config_service_client::ConfigServiceClient;
use dataflow_proto::config::v1::config_service_server::SERVICE_NAME as CONFIG_SERVICE;
use dataflow_proto::config::v1::{WatchConfigRequest, WatchConfigResponse};
use dataflow_settings::Pushed;
use tokio::sync::watch;
use tonic::{Status, Streaming};

/// Watches the settings of the config service, if there is one, in the background of a role. While it is unavailable,
/// the settings that it pushed last stay in effect.
pub(crate) fn follow(upstream: Option<&Upstream>, process: &Process, context: &Context) {
    let Some(upstream) = upstream.cloned() else { return };
    let pushed = process.pushed.clone();
    let observer = context.observer("config", &[CONFIG_SERVICE], FILE_DESCRIPTOR_SET);
    let task = Task::restarting("pushed settings", move || {
        let client = ConfigServiceClient::new(Outbound::watching(&upstream).observed(&observer));
        outbound::follow(Settings { client, pushed: pushed.clone() })
    });
    process.tasks.spawn(task);
}

/// Takes the settings that the config service pushes.
struct Settings {
    client: ConfigServiceClient<Outbound>,
    pushed: watch::Sender<Pushed>,
}

impl Follower for Settings {
    type Message = WatchConfigResponse;

    async fn open(&mut self) -> Result<Streaming<WatchConfigResponse>, Status> {
        Ok(self.client.watch_config(WatchConfigRequest {}).await?.into_inner())
    }

    async fn take(&mut self, all: WatchConfigResponse) {
        let settings = all.settings.into_iter().filter(|setting| setting.pushed);
        let new: Pushed = settings.map(|setting| (setting.name, setting.value)).collect();
        self.pushed.send_if_modified(|current| {
            let is_new = *current != new;
            *current = new;
            is_new
        });
    }

    fn ended(&mut self, error: Option<&Status>) {
        if let Some(error) = error {
            tracing::debug!(%error, "settings: config service unavailable, keeping the current ones, retrying");
        }
    }
}
