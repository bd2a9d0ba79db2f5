//! The categories of snapshots: what the catalogue capability needs of analysis, where both are in one process.

use std::sync::Arc;

use async_trait::async_trait;
use dataflow_analysis::analyses::Analyses;
use dataflow_analysis::recategorization;
use dataflow_catalogue::categories::Categories;
use dataflow_catalogue::content::{ListedDataflow, StructureHash, Theme};
use dataflow_catalogue::stored::packed::Packed;
use dataflow_mesh::panics;
use dataflow_rules::themes::CompiledMapping;
use dataflow_rules::{Category, Compiled};
use dataflow_sdmx::{Position, Resolved, ThemeLink, ThemePart};
use dataflow_uploads::Uploads;
use dataflow_uploads::budget::{Budget, Canceled};
use moka::sync::Cache;

/// The memory of categories that are kept, in bytes: a byte for each dataflow. A content has the same ones until the rules
/// or the themes change.
const KEPT: u64 = 4 << 20;

/// The memory of one content's categories beside them.
const OVERHEAD: usize = 256;

/// What the categories of a content depend on: the content, the rules and the mapping of themes.
type Key = [[u8; 32]; 3];

/// See the module.
#[derive(Debug)]
pub(crate) struct OfAnalysis {
    analyses: Analyses,
    uploads: Uploads,
    known: Cache<Key, Arc<[Category]>>,
}

// === impl OfAnalysis ===

impl OfAnalysis {
    /// By these analyses, with the seats of these uploads.
    pub(crate) fn new(analyses: Analyses, uploads: Uploads) -> Self {
        let weigh = |_: &Key, of: &Arc<[Category]>| u32::try_from(of.len() + OVERHEAD).unwrap_or(u32::MAX);
        Self { analyses, uploads, known: Cache::builder().max_capacity(KEPT).weigher(weigh).build() }
    }
}

#[async_trait]
impl Categories for OfAnalysis {
    async fn of(&self, tenant: &str, hash: StructureHash, content: Arc<Packed>) -> Option<Arc<[Category]>> {
        let (rules, mapping) = self.analyses.in_use(tenant).await.ok()?;
        let key = [hash, rules.fingerprint, mapping.fingerprint];
        if let Some(known) = self.known.get(&key) {
            return Some(known);
        }
        let canceled = Canceled::default();
        let _guard = canceled.on_drop();
        let _seat = self.uploads.seat().await;
        let work = move || {
            let mut budget = Budget::new(usize::MAX, canceled);
            categories(&content, rules.compiled().ok()?, mapping.compiled(), &mut budget)
        };
        let found: Arc<[Category]> = panics::spawn_blocking(work).await?.into();
        self.known.insert(key, Arc::clone(&found));
        Some(found)
    }
}

/// The category of each dataflow of a content; `None` if one cannot be decoded, or the caller has left.
pub(crate) fn categories(
    content: &Packed,
    rules: &Compiled,
    mapping: &CompiledMapping,
    budget: &mut Budget,
) -> Option<Vec<Category>> {
    let listed: Option<Vec<_>> = (0..content.len()).map(|index| content.dataflow(index).ok()).collect();
    let listed = listed?;
    let links = listed.iter().flat_map(links).collect();
    let themes = content.themes().iter().map(theme).collect();
    let dataflows = listed.iter().map(|listed| Box::new(listed.dataflow.clone())).collect();
    recategorization::categories(dataflows, Resolved { themes, links }, (rules, mapping), budget).ok()
}

/// The links of a dataflow, as a document has them. Versions have the same links, of which those of one suffice.
fn links(listed: &ListedDataflow) -> impl Iterator<Item = ThemeLink<'_>> {
    let ListedDataflow { dataflow, links } = listed;
    links.iter().filter_map(|link| {
        Some(ThemeLink {
            agency_id: &dataflow.agency_id,
            dataflow_id: &dataflow.id,
            version: &link.version,
            theme: usize::try_from(link.theme).ok()?,
            // Whether it has ended depends on the time of a document, which a content does not have.
            deprecated: false,
            ends: link.ends,
            position: Position::START,
        })
    })
}

fn theme(theme: &Theme) -> dataflow_sdmx::Theme<'_> {
    let path = theme.path.iter().map(|(id, names)| ThemePart { id, names }).collect();
    let (agency_id, scheme_id) = (&*theme.scheme.agency_id, &*theme.scheme.id);
    dataflow_sdmx::Theme { agency_id, scheme_id, version: &theme.scheme.version, path }
}
