//! `dataflow snapshot`: the snapshots of a running mesh.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::catalogue::v1 as pb;
use dataflow_proto::catalogue::v1::catalogue_service_client::CatalogueServiceClient;
use dataflow_render::grid::Grid;

use crate::client::{self, EndpointArgs, FormatArgs, time};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::upload;

/// Timeout for one catalogue. It is generous because the user is waiting and can interrupt at any time.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The flags of `dataflow snapshot`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    create: CreateArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the snapshots of a provider, the last received first.
    List(Box<ListArgs>),
    /// Show one snapshot with its receipts.
    Get(Box<OneArgs>),
    /// Remove a snapshot with its receipts.
    Delete(Box<OneArgs>),
}

/// The provider.
#[derive(Debug, clap::Args)]
pub(crate) struct ProviderArgs {
    /// The provider whose catalogue it is, as `providers list` shows it.
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: String,
}

/// The flags of `dataflow snapshot FILE`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The catalogue to store: a structure message in SDMX-ML or SDMX-JSON, plain or gzip; `-` reads standard input.
    #[arg(value_name = "FILE", required = true)]
    source: Option<PathBuf>,

    /// A document with category schemes and categorisations of the provider. Repeatable.
    #[arg(long, value_name = "FILE")]
    themes: Vec<PathBuf>,

    /// A document with data structures, code lists or constraints of the provider. Repeatable.
    #[arg(long, value_name = "FILE")]
    structures: Vec<PathBuf>,

    /// The provider whose catalogue it is, as `providers list` shows it.
    #[arg(long, value_name = "PROVIDER", required = true)]
    provider: Option<String>,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow snapshot list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    provider: ProviderArgs,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow snapshot get` and `delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct OneArgs {
    /// The snapshot, as `snapshot list` shows it; for `get` also `latest`.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,

    #[command(flatten)]
    provider: ProviderArgs,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Some(Command::List(args)) => list(*args).await,
        Some(Command::Get(args)) => get(*args).await,
        Some(Command::Delete(args)) => delete(*args).await,
        None => create(args.create).await,
    }
}

async fn create(args: CreateArgs) -> Result<Exit, Failure> {
    let CreateArgs { source, themes, structures, provider, mesh, format } = args;
    let (source, provider) =
        source.zip(provider).context("the command line has a FILE and --provider, unless a subcommand")?;
    let sources: Vec<_> = [source].into_iter().chain(themes).chain(structures).collect();
    let documents = upload::open_all(&sources).await?;
    let progress = Progress::new(upload::size(&documents), false);
    let options = pb::CreateSnapshotRequest { provider, ..Default::default() };
    let to_message = |source: Option<String>, piece| pb::CreateSnapshotRequest {
        source: source.unwrap_or_default(),
        document: Some(piece),
        ..Default::default()
    };
    let (messages, read_error) = upload::messages(documents, options, to_message, progress.clone());
    let mut client = CatalogueServiceClient::new(mesh.connection.channel(&mesh.endpoint, TIMEOUT)?);
    let reply = tokio::select! {
        reply = client.create_snapshot(messages) => reply,
        Ok((document, error)) = read_error => {
            let name = upload::name(&sources[document]);
            return Err(anyhow::Error::new(error).context(format!("cannot read {name}")).into());
        }
    };
    progress.finish();
    let reply = reply.map_err(|status| {
        let source = sources.get(client::document_of(&status)).unwrap_or(&sources[0]);
        let Failure { error, exit } = mesh.failure(&status);
        Failure { error: error.context(upload::name(source)), exit }
    })?;
    let pb::CreateSnapshotResponse { snapshot, created } = reply.into_inner();
    let snapshot = snapshot.context("the response contains no snapshot")?;
    let warnings = snapshot.receipts.last().map_or(0, |receipt| receipt.warnings);
    format.print("dataflow.catalogue.v1.Snapshot", &snapshot, |options, out| {
        let known = if created { "stored" } else { "known" };
        writeln!(out, "{known} {}, {} dataflows", snapshot.snapshot_id, snapshot.dataflows)?;
        if snapshot.suspicious {
            writeln!(out, "suspicious: much smaller than the snapshot before; send it again to confirm it")?;
        }
        receipts(&snapshot).write(options, out)
    })?;
    Ok(if warnings > 0 { Exit::Incomplete } else { Exit::Success })
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { provider, mesh, format } = args;
    let mut client = client(&mesh)?;
    let mut all = pb::ListSnapshotsResponse::default();
    loop {
        let request = pb::ListSnapshotsRequest {
            provider: provider.provider.clone(),
            page_size: 1000,
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = client.list_snapshots(request).await.map_err(|status| mesh.failure(&status))?.into_inner();
        all.snapshots.extend(page.snapshots);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    format.print("dataflow.catalogue.v1.ListSnapshotsResponse", &all, |options, out| {
        let headings =
            ["SNAPSHOT", "RECEIVED", "DATAFLOWS", "THEMES", "STRUCTURES", "BYTES", "RECEIPTS", "NOTE"];
        let mut grid = Grid::new(headings);
        for snapshot in &all.snapshots {
            let receipts = snapshot.receipts.len() + usize::try_from(snapshot.receipts_omitted).unwrap_or(0);
            grid.push([
                snapshot.snapshot_id.clone(),
                time(snapshot.receive_time),
                snapshot.dataflows.to_string(),
                snapshot.themes.to_string(),
                snapshot.structures.to_string(),
                snapshot.stored_bytes.to_string(),
                receipts.to_string(),
                if snapshot.suspicious { "suspicious" } else { "" }.to_owned(),
            ]);
        }
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

async fn get(args: OneArgs) -> Result<Exit, Failure> {
    let OneArgs { snapshot, provider, mesh, format } = args;
    let request = pb::GetSnapshotRequest { provider: provider.provider, snapshot };
    let reply = client(&mesh)?.get_snapshot(request).await.map_err(|status| mesh.failure(&status))?;
    let snapshot = reply.into_inner().snapshot.context("the response contains no snapshot")?;
    format.print("dataflow.catalogue.v1.Snapshot", &snapshot, |options, out| {
        let pb::Snapshot { snapshot_id, provider, dataflows, structure_hash, .. } = &snapshot;
        writeln!(out, "{snapshot_id} of {provider}, {dataflows} dataflows, {structure_hash}")?;
        receipts(&snapshot).write(options, out)
    })?;
    Ok(Exit::Success)
}

async fn delete(args: OneArgs) -> Result<Exit, Failure> {
    let OneArgs { snapshot, provider, mesh, format } = args;
    let request = pb::DeleteSnapshotRequest { provider: provider.provider, snapshot: snapshot.clone() };
    let reply = client(&mesh)?.delete_snapshot(request).await.map_err(|status| mesh.failure(&status))?;
    format.print("dataflow.catalogue.v1.DeleteSnapshotResponse", &reply.into_inner(), |_, out| {
        writeln!(out, "deleted {snapshot}")
    })?;
    Ok(Exit::Success)
}

/// The documents of all receipts, oldest first.
fn receipts(snapshot: &pb::Snapshot) -> Grid<6> {
    let mut grid = Grid::new(["RECEIVED", "DOCUMENT", "BYTES", "SHA-256", "REQUEST", "LICENCE"]);
    for receipt in &snapshot.receipts {
        for document in &receipt.documents {
            grid.push([
                time(receipt.time),
                document.source.clone(),
                document.bytes.to_string(),
                document.sha256.clone(),
                receipt.request_id.clone(),
                receipt.license.clone(),
            ]);
        }
    }
    grid
}

/// A client of the catalogue service.
pub(crate) fn client(mesh: &EndpointArgs) -> Result<CatalogueServiceClient<Outbound>, Failure> {
    Ok(CatalogueServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX))
}
