//! The dataflows of an analysis in the predecessor's replies: grouped by category, highest score first, filtered and
//! truncated.
//!
//! One deliberate difference: for a `max_results` of 1 to 6 the predecessor truncated every list to nothing; here each
//! keeps its first element.

use std::collections::BTreeMap;

use super::category::Category;

/// The filters of a request for the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// The only categories to list; empty for all.
    pub categories: Vec<Category>,
    /// The least score to list; 0 and below list everything.
    pub min_relevance_score: i32,
    /// How many dataflows to list in all; brought into [`MAX_RESULTS`], then shared out evenly over the categories.
    pub max_results: i64,
}

/// The range of `max_results`; other values are clamped.
pub const MAX_RESULTS: std::ops::RangeInclusive<i64> = 1..=1000;

/// The lists by category. A category that was not requested is absent; one without dataflows is an empty list.
pub type Lists<T> = BTreeMap<Category, Vec<T>>;

// === impl Filters ===

impl Default for Filters {
    fn default() -> Self {
        Self { categories: Vec::new(), min_relevance_score: 0, max_results: 100 }
    }
}

impl Filters {
    /// Groups dataflows, given in document order, and applies the filters in the predecessor's order: sort, categories,
    /// score, cut.
    pub fn select<T>(&self, dataflows: impl IntoIterator<Item = (Category, i32, T)>) -> Lists<T> {
        let asked = |category: &Category| self.categories.is_empty() || self.categories.contains(category);
        let mut lists: BTreeMap<Category, Vec<(i32, T)>> =
            Category::ALL.into_iter().filter(asked).map(|category| (category, Vec::new())).collect();
        for (category, score, dataflow) in dataflows {
            if let Some(list) = lists.get_mut(&category)
                && (self.min_relevance_score <= 0 || score >= self.min_relevance_score)
            {
                list.push((score, dataflow));
            }
        }
        let each = self.each();
        let finish = |mut list: Vec<(i32, T)>| {
            // Stable: equal scores keep the order of the document.
            list.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
            list.into_iter().take(each).map(|(_, dataflow)| dataflow).collect()
        };
        lists.into_iter().map(|(category, list)| (category, finish(list))).collect()
    }

    /// How many dataflows each category may list.
    fn each(&self) -> usize {
        let all = self.max_results.clamp(*MAX_RESULTS.start(), *MAX_RESULTS.end());
        let share = usize::try_from(all).unwrap_or_default() / Category::ALL.len();
        share.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(scores: &[(Category, i32)]) -> Vec<(Category, i32, usize)> {
        scores.iter().enumerate().map(|(index, (category, score))| (*category, *score, index)).collect()
    }

    #[test]
    fn max_results_is_clamped_and_divided_among_the_lists() {
        let check = |max_results, expected| {
            let filters = Filters { max_results, ..Filters::default() };
            let flows = (0..2000).map(|index| (Category::Economia, 1, index));
            assert_eq!(
                filters.select(flows)[&Category::Economia].len(),
                expected,
                "max_results {max_results}"
            );
        };
        // The predecessor's own cases; 1 to 6 are the deliberate difference.
        for (max_results, expected) in [(7, 1), (13, 1), (14, 2), (100, 14), (1000, 142), (2000, 142)] {
            check(max_results, expected);
        }
        for max_results in [i64::MIN, -1, 0, 1, 6] {
            check(max_results, 1);
        }
        check(i64::MAX, 142);
    }

    #[test]
    fn every_category_is_listed_unless_some_are_requested() {
        let flows = || numbered(&[(Category::Popolazione, 1), (Category::Salute, 2)]);
        let all = Filters::default().select(flows());
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), Category::ALL);
        let filters = Filters { categories: vec![Category::Popolazione], ..Filters::default() };
        assert_eq!(filters.select(flows()), Lists::from([(Category::Popolazione, vec![0])]));
    }

    #[test]
    fn the_minimum_score_filters_each_list() {
        let flows = [10, 20, 15, 14, -5].map(|score| (Category::Lavoro, score));
        let select = |min_relevance_score| {
            let filters = Filters { min_relevance_score, ..Filters::default() };
            filters.select(numbered(&flows))[&Category::Lavoro].clone()
        };
        assert_eq!(select(15), [1, 2]);
        assert_eq!(select(0), [1, 2, 3, 0, 4], "0 filters nothing, not even what is below it");
    }

    #[test]
    fn dataflows_are_sorted_by_score_and_the_sort_is_stable() {
        let flows =
            [(Category::Altri, 10), (Category::Altri, 20), (Category::Altri, 15), (Category::Altri, 20)];
        let filters = Filters { max_results: 21, ..Filters::default() };
        assert_eq!(filters.select(numbered(&flows))[&Category::Altri], [1, 3, 2]);
    }
}
