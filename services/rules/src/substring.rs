//! [`Mode::Substring`](super::Mode): the predecessor's semantics, reproduced exactly so that results can be compared
//! with its own. Its oddities (a keyword matches inside any word, a keyword that is listed twice counts twice, the
//! order of rules decides ties) are the contract here, not mistakes.
//!
//! Confidence is `(min(1, matches / 3) + min(1, score / 50)) / 2`.

use std::sync::Arc;

use super::automaton::{Automaton, Marks};
use super::error::at_most;
use super::limits::MAX_KEYWORD_BYTES;
use super::{Category, Match, Points, Rule, RuleError, RuleKeyword, Subject, Verdict};

#[derive(Debug)]
pub(super) struct Engine {
    rules: Box<[ActiveRule]>,
    /// The values of a pattern are the rules that list it, one value per listing.
    listings: Automaton<usize>,
}

/// A rule that can win: enabled, and with a positive priority.
#[derive(Debug)]
struct ActiveRule {
    category: Category,
    priority: i32,
    /// Lower-cased and trimmed, in the rule's order, duplicates included.
    keywords: Box<[Arc<RuleKeyword>]>,
}

#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: String,
    /// Patterns found in this text.
    seen: Marks,
    /// Points per rule; all 0 between texts.
    points: Vec<i32>,
    /// Rules with points.
    candidates: Vec<usize>,
}

impl Engine {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let rules: Box<[ActiveRule]> =
            rules.iter().filter(|rule| !rule.disabled && rule.priority > 0).map(ActiveRule::new).collect();
        let keywords = || {
            let numbered = rules.iter().enumerate();
            numbered.flat_map(|(index, rule)| rule.keywords.iter().map(move |keyword| (index, keyword)))
        };
        let bytes = keywords().map(|(_, keyword)| keyword.written.len()).sum();
        at_most(MAX_KEYWORD_BYTES, bytes, || "rules".to_owned())?;
        let listings =
            Automaton::new(keywords().map(|(index, keyword)| (keyword.written.as_bytes().to_vec(), index)));
        Ok(Self { rules, listings })
    }

    pub(super) fn categorize<'a>(&'a self, subject: &Subject<'a>, scratch: &mut Scratch) -> Verdict<'a> {
        let source = subject.legacy_text();
        let Scratch { text, seen, points, candidates } = scratch;
        text.clear();
        lower_into(source.display_name, text);
        text.push(' ');
        let boundary = text.len();
        lower_into(source.description, text);

        seen.reset(self.listings.patterns());
        points.resize(points.len().max(self.rules.len()), 0);
        self.listings.search(text.as_bytes(), |hit, rules| {
            if seen.insert(hit.pattern) {
                for &rule in rules {
                    if points[rule] == 0 {
                        candidates.push(rule);
                    }
                    points[rule] = points[rule].saturating_add(self.rules[rule].priority);
                }
            }
        });
        // The earlier rule wins a tie.
        let Some(&winner) = candidates.iter().max_by_key(|rule| (points[**rule], std::cmp::Reverse(**rule)))
        else {
            return Verdict::none(0.0);
        };
        let score = points[winner];
        for rule in candidates.drain(..) {
            points[rule] = 0;
        }

        let rule = &self.rules[winner];
        let locate = |keyword: &'a Arc<RuleKeyword>| {
            let at = text.find(&*keyword.written)?;
            let (field, original, at) = if at < boundary {
                (source.display_field, source.display_name, at)
            } else {
                (source.description_field, source.description, at - boundary)
            };
            Some(Match { keyword, field, offset: offset(original, at) })
        };
        let evidence: Vec<_> = rule.keywords.iter().filter_map(locate).collect();
        let confidence = confidence(evidence.len(), score);
        Verdict { category: rule.category, score, confidence, points: Points::default(), evidence }
    }
}

impl ActiveRule {
    fn new(rule: &Rule) -> Self {
        let rule_id = Arc::<str>::from(rule.id.as_str());
        let keywords = rule.keywords.iter().map(|keyword| keyword.trim().to_lowercase());
        let keywords = keywords.filter(|keyword| !keyword.is_empty());
        let named = |keyword: String| RuleKeyword { rule_id: Arc::clone(&rule_id), written: keyword.into() };
        Self {
            category: rule.category,
            priority: rule.priority,
            keywords: keywords.map(|keyword| Arc::new(named(keyword))).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rule has at most 1,000 keywords")]
fn confidence(matches: usize, score: i32) -> f64 {
    let by_matches = (matches as f64 / 3.0).min(1.0);
    let by_score = (f64::from(score) / 50.0).min(1.0);
    f64::midpoint(by_matches, by_score)
}

/// Appends the text in lower case, without a temporary allocation.
fn lower_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else if text.contains('Σ') {
        // The only letter whose lower case depends on its neighbors.
        out.push_str(&text.to_lowercase());
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Number of characters before the one whose lower case covers byte `at`. Correct for `Σ` too: both of its lower cases
/// have two bytes.
fn offset(original: &str, at: usize) -> u32 {
    let mut bytes = 0;
    let before = original.chars().take_while(|c| {
        bytes += c.to_lowercase().map(char::len_utf8).sum::<usize>();
        bytes <= at
    });
    u32::try_from(before.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_predecessors() {
        for (matches, score, expected) in
            [(1, 10, 0.266_67), (2, 20, 0.533_33), (3, 30, 0.8), (6, 60, 1.0), (1, 60, 0.666_67)]
        {
            assert!((confidence(matches, score) - expected).abs() < 1e-5, "{matches} {score}");
        }
    }

    #[test]
    fn lower_case_is_that_of_the_whole_word() {
        let mut out = String::new();
        lower_into("ΟΔΟΣ Σ İ È", &mut out);
        assert_eq!(out, "ΟΔΟΣ Σ İ È".to_lowercase());
    }

    #[test]
    fn offsets_count_characters_of_the_original() {
        // The lower case of `İ` has three bytes and two characters.
        assert_eq!(offset("İxÈy", 3), 1);
        assert_eq!(offset("İxÈy", 4), 2);
        assert_eq!(offset("İxÈy", 6), 3);
    }
}
