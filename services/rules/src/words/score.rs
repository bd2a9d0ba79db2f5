//! What a match of a keyword counts for. Apart from the keywords themselves, so that those that the texts of a dataflow
//! match are in few lines of the processor's caches.

use super::Tenths;
use super::languages::LanguageMask;
use crate::keyword::Keyword;
use crate::{Category, Rule};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    /// The languages of its rule.
    pub(super) languages: LanguageMask,
    /// Decides ties, the greatest wins: the priority of its rule, then the lower id of it. Never 0.
    pub(super) precedence: u64,
    /// Priority x weight.
    points: u32,
    pub(super) category: Category,
    /// Whether a keyword matches wherever its head does.
    pub(super) is_head_only: bool,
}

// === impl Score ===

impl Score {
    /// The score of a keyword of a rule, which has this rank among the rules sorted by id. Both factors of the points are
    /// valid, and so at most 1,000.
    pub(super) fn new(
        rule: &Rule,
        rank: usize,
        languages: LanguageMask,
        written: &str,
        keyword: &Keyword,
    ) -> Self {
        let weight = rule.weights.get(written).copied().unwrap_or(1);
        let rank = u32::try_from(rank).expect("at most 10,000 rules");
        Self {
            languages,
            precedence: u64::from(rule.priority.unsigned_abs()) << 32 | u64::from(u32::MAX - rank),
            points: (rule.priority * weight).unsigned_abs(),
            category: rule.category,
            is_head_only: keyword.is_head_only(),
        }
    }

    /// The points of a match with this weight, in tenths.
    pub(super) fn tenths(&self, weight: u32) -> Tenths {
        Tenths::from(self.points) * Tenths::from(weight)
    }
}
