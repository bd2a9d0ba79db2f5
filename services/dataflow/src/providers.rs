//! `dataflow providers`: the provider registry of a running mesh.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::provider_service_client::ProviderServiceClient;
use dataflow_render::grid::Grid;

use crate::client::{EndpointArgs, FormatArgs};
use crate::exit::{Exit, Failure};

/// The subcommands of `dataflow providers`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Providers {
    /// List the providers, by identifier.
    List(Box<ListArgs>),
}

/// The flags of `dataflow providers list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

// === impl Providers ===

impl Providers {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Providers::List(args) => list(*args).await,
        }
    }
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { mesh, format } = args;
    let mut client = ProviderServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX);
    let reply = client.list_providers(pb::ListProvidersRequest {}).await;
    let all = reply.map_err(|status| mesh.failure(&status))?.into_inner();
    format.print("dataflow.config.v1.ListProvidersResponse", &all, |options, out| {
        let mut grid = Grid::new(["PROVIDER", "STATE", "DIALECT", "DATA", "STRUCTURES", "URL", "NAME"]);
        for provider in &all.providers {
            grid.push([
                provider.provider_id.clone(),
                if provider.disabled { "disabled" } else { "on" }.to_owned(),
                provider.dialect().as_str_name().to_owned(),
                provider.data_quota.as_ref().map(quota).unwrap_or_default(),
                provider.structure_quota.as_ref().map(quota).unwrap_or_default(),
                provider.base_url.clone(),
                provider.display_name.clone(),
            ]);
        }
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

/// Calls per period, as `5/60s`.
fn quota(quota: &pb::provider::Quota) -> String {
    let seconds = quota.period.map(|period| period.seconds).unwrap_or_default();
    format!("{}/{seconds}s", quota.calls)
}
