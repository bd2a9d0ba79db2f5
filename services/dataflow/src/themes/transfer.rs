//! `dataflow themes export` and `import`: the mapping as a file, for a backup, a review or another mesh.

use std::path::PathBuf;

use anyhow::Context;
use dataflow_proto::config::v1 as pb;
use dataflow_rules::themes::Mapping;

use super::client;
use crate::client::{self, ChangeArgs, ChangeParts, EndpointArgs, revision};
use crate::exit::{Exit, Failure};

/// The flags of `dataflow themes export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    mesh: EndpointArgs,
}

/// The flags of `dataflow themes import`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file, as `themes export` prints it; YAML or JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    change: ChangeArgs,
}

/// Prints the mapping as a file.
pub(crate) async fn export(args: ExportArgs) -> Result<Exit, Failure> {
    let ExportArgs { mesh } = args;
    let reply = client(&mesh)?.export_themes(pb::ExportThemesRequest {}).await;
    let mapping = reply.map_err(|status| mesh.failure(&status))?.into_inner().mapping.unwrap_or_default();
    let mapping =
        dataflow_config::mapping_from_wire(mapping).context("the mesh sent an unusable mapping of themes")?;
    client::print(mapping.to_yaml().as_bytes())?;
    Ok(Exit::Success)
}

/// Replaces all themes by those of a file.
pub(crate) async fn import(args: ImportArgs) -> Result<Exit, Failure> {
    let ImportArgs { file, mesh, change } = args;
    let mapping = client::read(&file, "the file of themes", Mapping::parse).await?;
    let pb::ThemeMapping { themes, .. } = dataflow_config::mapping_to_wire(&mapping);
    let count = themes.len();
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::ReplaceThemesRequest { themes, reason, etag, validate_only };
    let reply = client(&mesh)?.replace_themes(request).await.map_err(|status| mesh.failure(&status))?;
    let mapping = reply.into_inner().mapping.unwrap_or_default();
    let now = revision(mapping.revision, mapping.overlay_revision);
    client::print_change(validate_only, &format!("the mapping is at {now}, with {count} themes"))?;
    Ok(Exit::Success)
}
