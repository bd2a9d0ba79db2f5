//! `dataflow diff`: what differs between two snapshots of a running mesh, or between two files.

mod files;
mod table;

use std::path::PathBuf;

use anyhow::Context;
use dataflow_proto::catalogue::v1 as pb;

use crate::client::{EndpointArgs, FormatArgs};
use crate::exit::{Exit, Failure};
use crate::snapshot;

/// The flags of `dataflow diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earlier catalogue: a file, or a snapshot with `--provider`.
    #[arg(value_name = "A")]
    base: PathBuf,

    /// The later catalogue, likewise; `latest` is the last received snapshot.
    #[arg(value_name = "B")]
    head: PathBuf,

    /// Compare two snapshots of this provider in a running mesh. Without it two files are compared, without a mesh, and
    /// categories are those of the built-in rules.
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    mesh: EndpointArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { base, head, provider, format, mesh } = args;
    let (diff, incomplete) = match provider {
        Some(provider) => (of_snapshots(&mesh, provider, [base, head]).await?, false),
        None => tokio::task::spawn_blocking(move || files::compare(&base, &head)).await??,
    };
    format.print("dataflow.catalogue.v1.Diff", &diff, |options, out| table::write(&diff, options, out))?;
    Ok(if incomplete { Exit::Incomplete } else { Exit::Success })
}

async fn of_snapshots(
    mesh: &EndpointArgs,
    provider: String,
    names: [PathBuf; 2],
) -> Result<pb::Diff, Failure> {
    let [base, head] = names.map(|name| name.to_string_lossy().into_owned());
    let request = pb::DiffSnapshotsRequest { provider, base, head };
    let reply = snapshot::client(mesh)?.diff_snapshots(request).await;
    let reply = reply.map_err(|status| mesh.failure(&status))?.into_inner();
    Ok(reply.diff.context("the response contains no difference")?)
}
