//! `dataflow themes list`, `get` and `revisions`.

use std::fmt::Display;
use std::io::{self, Write};

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_render::grid::Grid;
use dataflow_render::text::printable;

use super::client;
use crate::client::{EndpointArgs, FormatArgs, category, revision, time};
use crate::exit::{Exit, Failure};
use crate::revisions::{self, Changed, Made};

/// Themes, and revisions, per page.
const PAGE: i32 = 1000;

/// The full name of a theme in the contract.
const THEME: &str = "dataflow.config.v1.Theme";

/// The flags of `dataflow themes list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    /// Only themes that mean this category.
    #[arg(long, value_name = "CATEGORY", value_parser = category(), ignore_case = true)]
    category: Option<Category>,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow themes get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The theme's identifier.
    #[arg(value_name = "THEME")]
    theme: String,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow themes revisions`.
#[derive(Debug, clap::Args)]
pub(crate) struct RevisionsArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Lists the themes.
pub(crate) async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { mesh, category, format } = args;
    let mut client = client(&mesh)?;
    let mut all = pb::ListThemesResponse::default();
    loop {
        let request = pb::ListThemesRequest {
            category: category.unwrap_or_default().into(),
            page_size: PAGE,
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = client.list_themes(request).await.map_err(|status| mesh.failure(&status))?.into_inner();
        let themes = [std::mem::take(&mut all.themes), page.themes].concat();
        all = pb::ListThemesResponse { themes, ..page };
        if all.next_page_token.is_empty() {
            break;
        }
    }
    format.print("dataflow.config.v1.ListThemesResponse", &all, |options, out| {
        let mut grid = Grid::new(["THEME", "CATEGORY", "STATE", "SCHEME", "PATH"]);
        for theme in &all.themes {
            grid.push([
                theme.theme_id.clone(),
                theme.category().as_str_name().to_owned(),
                state(theme).to_owned(),
                theme.scheme.clone(),
                theme.path.join(" / "),
            ]);
        }
        let count = all.themes.len();
        let noun = if count == 1 { "theme" } else { "themes" };
        let (now, etag) = (revision(all.revision, all.overlay_revision), printable(&all.mapping_etag));
        writeln!(out, "{count} {noun} at {now}, etag {etag}")?;
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

/// Shows one theme.
pub(crate) async fn get(args: GetArgs) -> Result<Exit, Failure> {
    let GetArgs { theme, mesh, format } = args;
    let reply = client(&mesh)?.get_theme(pb::GetThemeRequest { theme }).await;
    let theme = reply.map_err(|status| mesh.failure(&status))?.into_inner().theme.unwrap_or_default();
    print_theme(&format, &theme)?;
    Ok(Exit::Success)
}

/// Shows the revisions.
pub(crate) async fn revisions(args: RevisionsArgs) -> Result<Exit, Failure> {
    let RevisionsArgs { mesh, format } = args;
    let mut client = client(&mesh)?;
    let mut all = pb::ListThemeRevisionsResponse::default();
    loop {
        let page_token = std::mem::take(&mut all.next_page_token);
        let request = pb::ListThemeRevisionsRequest { page_size: PAGE, page_token };
        let page = client.list_theme_revisions(request).await.map_err(|status| mesh.failure(&status))?;
        let page = page.into_inner();
        all.revisions.extend(page.revisions);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    format.print("dataflow.config.v1.ListThemeRevisionsResponse", &all, |options, out| {
        revisions::write("THEME", all.revisions.iter().flat_map(changes), options, out)
    })?;
    Ok(Exit::Success)
}

/// What a revision changed.
fn changes(revision: &pb::ThemeRevision) -> impl Iterator<Item = (Made<'_>, Changed<'_>)> {
    let changed = revision.differences.iter();
    changed
        .map(move |theme| (revision.into(), (theme.theme_id.as_str(), theme.kind(), theme.fields.as_slice())))
}

/// Prints one theme.
pub(super) fn print_theme(format: &FormatArgs, theme: &pb::Theme) -> Result<(), Failure> {
    format.print(THEME, theme, |_, out| lines(theme, out))
}

/// Whether a theme is the tenant's own.
fn state(theme: &pb::Theme) -> &'static str {
    if theme.owner() == pb::Owner::Tenant { "own" } else { "shared" }
}

/// The fields of a theme, one per line, and the parts of its path, one per line.
fn lines(theme: &pb::Theme, out: &mut Vec<u8>) -> io::Result<()> {
    let mut line = |name: &str, value: &dyn Display| {
        let value = value.to_string();
        writeln!(out, "{name:<8}  {}", if value.is_empty() { "-".into() } else { printable(&value) })
    };
    line("theme", &theme.theme_id)?;
    line("category", &theme.category().as_str_name())?;
    line("state", &state(theme))?;
    line("scheme", &theme.scheme)?;
    line("changed", &time(theme.update_time))?;
    line("etag", &theme.etag)?;
    for (index, part) in theme.path.iter().enumerate() {
        line(if index == 0 { "path" } else { "" }, part)?;
    }
    Ok(())
}
