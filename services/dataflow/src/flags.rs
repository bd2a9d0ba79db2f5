//! `dataflow flags`: the feature flags of a running mesh.

use std::collections::BTreeMap;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::flag::Rollout;
use dataflow_proto::config::v1::flag_service_client::FlagServiceClient;
use dataflow_render::grid::Grid;

use crate::client::{EndpointArgs, FormatArgs, RecordArgs, time};
use crate::exit::{Exit, Failure};

/// The subcommands of `dataflow flags`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Flags {
    /// List the flags, by identifier.
    List(Box<ListArgs>),
    /// Set a flag: for everybody, or for a share of the tenants, with exceptions by name.
    Set(Box<SetArgs>),
}

/// The flags of `dataflow flags list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow flags set`.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The flag's identifier.
    #[arg(value_name = "FLAG")]
    flag: String,

    /// `on`, `off`, or a percentage of the tenants such as `25%`.
    #[arg(value_name = "on|off|N%", value_parser = rollout)]
    rollout: Rollout,

    /// A tenant that has the flag on or off in any case; repeatable. Replaces the whole list.
    #[arg(long = "tenant", value_name = "TENANT=on|off", value_parser = tenant)]
    tenants: Vec<(String, bool)>,

    /// Set the flag only if this is still its etag, as `flags list` shows it.
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,

    #[command(flatten)]
    record: RecordArgs,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

// === impl Flags ===

impl Flags {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Flags::List(args) => list(*args).await,
            Flags::Set(args) => set(*args).await,
        }
    }
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { mesh, format } = args;
    let reply = client(&mesh)?.list_flags(pb::ListFlagsRequest {}).await;
    let all = reply.map_err(|status| mesh.failure(&status))?.into_inner();
    print(&format, &all)
}

async fn set(args: SetArgs) -> Result<Exit, Failure> {
    let SetArgs { flag: flag_id, rollout, tenants, etag, record, mesh, format } = args;
    let tenants: BTreeMap<_, _> = tenants.into_iter().collect();
    let etag = etag.unwrap_or_default();
    let flag = pb::Flag { flag_id, rollout: Some(rollout), tenants, etag, ..pb::Flag::default() };
    let request = pb::SetFlagRequest { flag: Some(flag), reason: record.reason.unwrap_or_default() };
    let reply = client(&mesh)?.set_flag(request).await.map_err(|status| mesh.failure(&status))?;
    print(&format, &pb::ListFlagsResponse { flags: reply.into_inner().flag.into_iter().collect() })
}

fn print(format: &FormatArgs, all: &pb::ListFlagsResponse) -> Result<Exit, Failure> {
    format.print("dataflow.config.v1.ListFlagsResponse", all, |options, out| {
        let mut grid = Grid::new(["FLAG", "STATE", "TENANTS", "CHANGED", "ETAG", "DESCRIPTION"]);
        for flag in &all.flags {
            let named = flag.tenants.iter().map(|(tenant, is_on)| format!("{tenant}={}", state(*is_on)));
            grid.push([
                flag.flag_id.clone(),
                match flag.rollout {
                    Some(Rollout::Percentage(percentage)) => format!("{percentage}%"),
                    Some(Rollout::Enabled(enabled)) => state(enabled).to_owned(),
                    None => state(false).to_owned(),
                },
                named.collect::<Vec<_>>().join(","),
                time(flag.update_time),
                flag.etag.clone(),
                flag.description.clone(),
            ]);
        }
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

/// A client of the flag service.
fn client(mesh: &EndpointArgs) -> Result<FlagServiceClient<Outbound>, Failure> {
    Ok(FlagServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX))
}

fn state(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn switch(given: &str) -> Option<bool> {
    match given {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn rollout(given: &str) -> Result<Rollout, String> {
    let percentage =
        || given.strip_suffix('%')?.parse().ok().filter(|percentage| (0..=100).contains(percentage));
    let found = switch(given).map(Rollout::Enabled).or_else(|| percentage().map(Rollout::Percentage));
    found.ok_or_else(|| "expected `on`, `off`, or a percentage from `0%` to `100%`".to_owned())
}

fn tenant(given: &str) -> Result<(String, bool), String> {
    let parts = given.rsplit_once('=').and_then(|(tenant, state)| Some((tenant.to_owned(), switch(state)?)));
    parts.ok_or_else(|| "expected a tenant, `=`, and `on` or `off`".to_owned())
}
