//! The categories of the dataflows of a snapshot. They belong to the analysis capability, which the binary passes in.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dataflow_rules::Category;

use crate::content::StructureHash;
use crate::stored::packed::Packed;

/// Categorizes the dataflows of a content.
#[async_trait]
pub trait Categories: Send + Sync {
    /// The category of each dataflow of the content with this hash, in their order, by the present rules and themes of the
    /// tenant; `None` if they cannot be told now.
    async fn of(&self, tenant: &str, hash: StructureHash, content: Arc<Packed>) -> Option<Arc<[Category]>>;
}

/// Where there is no analysis: the categories are not known.
#[derive(Debug, Clone, Copy)]
pub struct Unknown;

#[async_trait]
impl Categories for Unknown {
    async fn of(&self, _: &str, _: StructureHash, _: Arc<Packed>) -> Option<Arc<[Category]>> {
        None
    }
}

/// Services that derive `Debug` contain them.
impl fmt::Debug for dyn Categories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Categories")
    }
}
