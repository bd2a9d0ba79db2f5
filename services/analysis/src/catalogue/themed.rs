//! Themes decide before the rules.

use dataflow_rules::Category;

use super::AnalyzedDataflow;
use crate::Error;
use crate::decision::DecidedBy;
use crate::themes::{AssignedTheme, THEME_CONFIDENCE};
use dataflow_uploads::budget::Budget;

/// Gives each dataflow its themes, and lets them decide.
///
/// # Errors
///
/// If the budget is used up.
pub(crate) fn decide(
    dataflows: &mut [AnalyzedDataflow],
    assigned: Vec<Vec<AssignedTheme>>,
    budget: &mut Budget,
) -> Result<(), Error> {
    for (dataflow, themes) in dataflows.iter_mut().zip(assigned) {
        budget.check()?;
        budget.add(themes.iter().map(AssignedTheme::bytes).sum())?;
        dataflow.decide(themes);
    }
    Ok(())
}

// === impl AnalyzedDataflow ===

impl AnalyzedDataflow {
    /// Lets the themes decide, if the mapping has any of them: for the category that most of them mean; of equal ones
    /// for that of the rules, else the first.
    fn decide(&mut self, themes: Vec<AssignedTheme>) {
        let mapped = themes.iter().filter(|theme| !theme.deprecated).filter_map(|theme| theme.theme.category);
        let mut votes = [0_u32; Category::ALL.len()];
        let mut order = Vec::new();
        for category in mapped {
            votes[category.index()] += 1;
            order.push(category);
        }
        let by_rules = (self.filing.decided_by != DecidedBy::Nothing).then_some(self.filing.category);
        let rank = |category: &&Category| (votes[category.index()], Some(**category) == by_rules);
        let winner = order.iter().rev().max_by_key(rank).copied();
        self.themes = themes;
        let Some(category) = winner else { return };
        if by_rules != Some(category) {
            // What the rules found is evidence for another category.
            self.filing.score = 0;
            self.filing.evidence.clear();
        }
        let share = f64::from(votes[category.index()]) / f64::from(votes.iter().sum::<u32>());
        self.filing.category = category;
        self.filing.confidence = THEME_CONFIDENCE * share;
        self.filing.decided_by = DecidedBy::Theme;
    }
}
