//! `dataflow themes set`, `delete`, `restore` and `rollback`: the commands that make a new revision.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_render::text::printable;

use super::client;
use super::show::print_theme;
use crate::client::{self, ChangeArgs, ChangeParts, EndpointArgs, FormatArgs, category, revision};
use crate::exit::{Exit, Failure};

/// The flags of `dataflow themes set`.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    theme: OneTheme,

    /// The category schemes that have the theme; `*` stands for any id. Required for a new theme.
    #[arg(long, value_name = "AGENCY:ID")]
    scheme: Option<String>,

    /// An id or a name on the path to the theme; repeatable, from the outermost category inwards. Replaces the whole
    /// path. A new theme needs at least one.
    #[arg(long = "path", value_name = "NAME")]
    path: Option<Vec<String>>,

    /// The category that the theme means. Required for a new theme.
    #[arg(long, value_name = "CATEGORY", value_parser = category(), ignore_case = true)]
    category: Option<Category>,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow themes delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    theme: OneTheme,
}

/// The flags of `dataflow themes restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    theme: OneTheme,

    #[command(flatten)]
    format: FormatArgs,
}

/// A theme to change.
#[derive(Debug, clap::Args)]
struct OneTheme {
    /// The theme's identifier.
    #[arg(value_name = "THEME")]
    theme: String,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    change: ChangeArgs,
}

/// The flags of `dataflow themes rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The revision to restore; for a caller of a tenant, of its tenant's changes, and 0 for none of them.
    #[arg(value_name = "REVISION")]
    revision: i64,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    change: ChangeArgs,
}

/// Changes a theme, or creates it if it does not exist.
pub(crate) async fn set(args: SetArgs) -> Result<Exit, Failure> {
    let SetArgs { theme: OneTheme { theme: theme_id, mesh, change }, scheme, path, category, format } = args;
    let given = [("scheme", scheme.is_some()), ("path", path.is_some()), ("category", category.is_some())];
    let paths: Vec<_> =
        given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| (*name).to_owned()).collect();
    if paths.is_empty() {
        let why = "nothing to set: give a field, for instance --category";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(why)));
    }
    let is_whole = paths.len() == given.len();
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let theme = pb::Theme {
        theme_id,
        scheme: scheme.unwrap_or_default(),
        path: path.unwrap_or_default(),
        category: category.unwrap_or_default().into(),
        etag,
        ..pb::Theme::default()
    };
    let mut client = client(&mesh)?;
    let request = pb::UpdateThemeRequest {
        theme: Some(theme.clone()),
        update_mask: Some(prost_types::FieldMask { paths }),
        reason: reason.clone(),
        validate_only,
    };
    let theme = match client.update_theme(request).await {
        Ok(reply) => reply.into_inner().theme,
        // With an etag the caller expects an existing theme, so none is created.
        Err(status) if theme.etag.is_empty() && client::is_for(&status, "THEME_NOT_FOUND") => {
            if !is_whole {
                let why = "to create it, give --scheme, --path and --category";
                return Err(Failure::new(Exit::Usage, anyhow::anyhow!("{}; {why}", status.message())));
            }
            let pb::Theme { theme_id, scheme, path, category, .. } = theme;
            let request = pb::CreateThemeRequest { theme_id, scheme, path, category, reason, validate_only };
            let reply = client.create_theme(request).await;
            reply.map_err(|status| mesh.failure(&status))?.into_inner().theme
        }
        Err(status) => return Err(mesh.failure(&status)),
    };
    print_theme(&format, &theme.unwrap_or_default())?;
    Ok(Exit::Success)
}

/// Deletes a theme.
pub(crate) async fn delete(args: DeleteArgs) -> Result<Exit, Failure> {
    let DeleteArgs { theme: OneTheme { theme, mesh, change } } = args;
    let done = format!("{} is removed: the mapping is at ", printable(&theme));
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::DeleteThemeRequest { theme, etag, reason, validate_only };
    let reply = client(&mesh)?.delete_theme(request).await.map_err(|status| mesh.failure(&status))?;
    let pb::DeleteThemeResponse { revision: shared, overlay_revision } = reply.into_inner();
    client::print_change(validate_only, &format!("{done}{}", revision(shared, overlay_revision)))?;
    Ok(Exit::Success)
}

/// Drops what the caller's tenant has changed in a theme.
pub(crate) async fn restore(args: RestoreArgs) -> Result<Exit, Failure> {
    let RestoreArgs { theme: OneTheme { theme, mesh, change }, format } = args;
    let gone = format!("{} is removed: there is no shared theme", printable(&theme));
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::RestoreThemeRequest { theme, etag, reason, validate_only };
    let reply = client(&mesh)?.restore_theme(request).await.map_err(|status| mesh.failure(&status))?;
    match reply.into_inner().theme {
        Some(theme) => print_theme(&format, &theme)?,
        None => client::print_change(validate_only, &gone)?,
    }
    Ok(Exit::Success)
}

/// Restores an earlier revision.
pub(crate) async fn rollback(args: RollbackArgs) -> Result<Exit, Failure> {
    let RollbackArgs { revision: earlier, mesh, change } = args;
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::RollbackThemesRequest { revision: earlier, reason, etag, validate_only };
    let reply = client(&mesh)?.rollback_themes(request).await.map_err(|status| mesh.failure(&status))?;
    let mapping = reply.into_inner().mapping.unwrap_or_default();
    let now = revision(mapping.revision, mapping.overlay_revision);
    client::print_change(
        validate_only,
        &format!("the mapping is at {now}, with the themes of revision {earlier}"),
    )?;
    Ok(Exit::Success)
}
