//! Rule sets: keywords that support a [`Category`], and the engines that match them against the texts of a dataflow.
//!
//! A [`RuleSet`] is data that people edit: [`mod@file`] parses it from YAML, [`limits`] and [`RuleSet::validate`]
//! define what is valid. [`Compiled`] is the same set compiled for millions of dataflows: one table or automaton of all
//! keywords, built once per revision and shared by threads. The two modes differ in the keyword syntax and in how
//! points are counted:
//!
//! | | [`Mode::Words`] | [`Mode::Substring`] |
//! |---|---|---|
//! | searched | the id, every name, every description, as readers see them (`visible`) | one text: display name, a space, description |
//! | folding | case, accents, ligatures, punctuation (`fold`) | lower case only |
//! | keyword | words, prefixes, phrases, id tokens (`keyword`) | any run of characters |
//! | points | priority x weight, once per keyword, summed per category; fewer in descriptions | priority per keyword, summed per rule |
//! | tie | higher single priority, then rule id | the earlier rule |
//! | family | its points are added ([`mod@family`]) | none |
//! | confidence | the probability of being right ([`calibration`]) | the predecessor's formula |
//! | none matched | [`Category::Other`], score 0, [`calibration::NO_EVIDENCE`] | [`Category::Other`], score 0, confidence 0 |

use std::fmt;
use std::sync::Arc;

pub use self::category::{Category, UnknownCategory};
pub use self::error::RuleError;
pub use self::overlay::{Item, Overlay, Set};
pub use self::points::{Points, Winner};
pub use self::ruleset::{Mode, Rule, RuleSet};

pub mod built_in;
pub mod calibration;
pub mod family;
pub mod file;
pub mod limits;
pub mod themes;

mod automaton;
mod category;
mod error;
mod fold;
mod keyword;
mod language;
mod overlay;
mod points;
mod ruleset;
mod starts;
mod substring;
mod validate;
mod visible;
mod words;

/// The input of a categorization: borrowed from a parsed dataflow or from a request.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The dataflow's id as the provider writes it.
    pub id: &'a str,
    /// The agency that maintains the dataflow, which id keywords may name; "" if it is unknown.
    pub agency: &'a str,
    /// (language, text) in document order; the language is "" if the document states none.
    pub names: &'a [(String, String)],
    /// Like `names`.
    pub descriptions: &'a [(String, String)],
    /// The text that [`Mode::Substring`] searches. If absent, it is assembled from the fields above: the Italian name,
    /// else the English name, else the id; then the first description.
    pub legacy: Option<LegacyText<'a>>,
}

/// The predecessor's text, with the fields that it was taken from, so that evidence can name them.
#[derive(Debug, Clone, Copy)]
pub struct LegacyText<'a> {
    /// Searched first.
    pub display_name: &'a str,
    /// The field of `display_name`.
    pub display_field: Field<'a>,
    /// Searched after one space; "" if there is none.
    pub description: &'a str,
    /// The field of `description`.
    pub description_field: Field<'a>,
}

/// A part of a dataflow; displayed as `id`, `name.it`, `description.en`, or `name` if untagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field<'a> {
    /// The dataflow's id.
    Id,
    /// The name in this language, as the document writes it.
    Name(&'a str),
    /// The description in this language, as the document writes it.
    Description(&'a str),
}

/// A keyword of a rule, as evidence names it. Shared: it matches in many dataflows, whose results outlive the set.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleKeyword {
    /// [`Rule::id`].
    pub rule_id: Arc<str>,
    /// The keyword as the rule writes it (lower-cased and trimmed in [`Mode::Substring`]).
    pub written: Box<str>,
}

/// A keyword that counted, and its first position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<'a> {
    /// The keyword.
    pub keyword: &'a Arc<RuleKeyword>,
    /// The field with the match.
    pub field: Field<'a>,
    /// Unicode scalar values from the start of that field's text.
    pub offset: u32,
}

/// The result for one dataflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'a> {
    /// [`Category::Other`] if no keyword matched.
    pub category: Category,
    /// The points of the winning category, rounded; 0 if no keyword matched.
    pub score: i32,
    /// 0 to 1. [`Mode::Words`]: the probability that the category is right, by [`calibration`]. [`Mode::Substring`]:
    /// `(min(1, matches / 3) + min(1, score / 50)) / 2`.
    pub confidence: f64,
    /// The points of every category, to which those of the family are added; none in [`Mode::Substring`].
    pub points: Points,
    /// The matches that count for the winner. [`Mode::Words`]: those with the most points first, equal ones in field
    /// order (id, names, descriptions), then by offset; at most [`MAX_EVIDENCE`]. [`Mode::Substring`]: every match of the winning rule in the order of its
    /// keywords; a keyword that is listed twice is included twice.
    pub evidence: Vec<Match<'a>>,
}

/// Limit for the matches that a verdict of [`Mode::Words`] lists. All matches count for the score.
pub const MAX_EVIDENCE: usize = 16;

/// A compiled rule set. Immutable, shared by any number of threads.
#[derive(Debug)]
pub struct Compiled(Engine);

#[derive(Debug)]
enum Engine {
    Substring(Box<substring::Engine>),
    Words(Box<words::Engine>),
}

/// Buffers that one thread reuses for each dataflow. Usable with any [`Compiled`].
#[derive(Debug, Default)]
pub struct Scratch {
    words: words::Scratch,
    substring: substring::Scratch,
}

impl Compiled {
    /// Compiles a set. Takes milliseconds: compile once per revision, not once per request.
    ///
    /// It validates what the engine relies on, since a set may come from another release. In [`Mode::Substring`] that
    /// is less than [`RuleSet::validate`] requires: the predecessor's sets have priorities of any size.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first invalid field and the allowed values.
    pub fn new(set: &RuleSet) -> Result<Self, RuleError> {
        validate::check_identities(&set.rules)?;
        Ok(Self(match set.mode {
            Mode::Substring => Engine::Substring(Box::new(substring::Engine::new(&set.rules)?)),
            Mode::Words => Engine::Words(Box::new(words::Engine::new(&set.rules)?)),
        }))
    }

    /// The mode, which defines the meaning of the keywords.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match &self.0 {
            Engine::Substring(_) => Mode::Substring,
            Engine::Words(_) => Mode::Words,
        }
    }

    /// Categorizes one dataflow. The verdict borrows from the set and from the subject.
    pub fn categorize<'a>(&'a self, subject: &Subject<'a>, scratch: &mut Scratch) -> Verdict<'a> {
        match &self.0 {
            Engine::Substring(engine) => engine.categorize(subject, &mut scratch.substring),
            Engine::Words(engine) => engine.categorize(subject, &mut scratch.words),
        }
    }

    /// The matches for one category, as those of a verdict. For a category that wins by the points of its family;
    /// none in [`Mode::Substring`], which has no families.
    pub fn evidence<'a>(
        &'a self,
        category: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        match &self.0 {
            Engine::Substring(_) => Vec::new(),
            Engine::Words(engine) => engine.evidence_for(category, subject, &mut scratch.words),
        }
    }
}

// === impl Verdict ===

impl Verdict<'_> {
    /// The verdict if no keyword matched.
    fn none(confidence: f64) -> Self {
        let points = Points::default();
        Self { category: Category::Other, score: 0, confidence, points, evidence: Vec::new() }
    }
}

// === impl Subject ===

impl<'a> Subject<'a> {
    /// The texts that [`Mode::Substring`] searches.
    fn legacy_text(&self) -> LegacyText<'a> {
        self.legacy.unwrap_or_else(|| {
            let in_language = |wanted: &str| {
                self.names
                    .iter()
                    .find(|(language, _)| language == wanted)
                    .map(|(language, text)| (text.as_str(), Field::Name(language.as_str())))
            };
            let (display_name, display_field) =
                in_language("it").or_else(|| in_language("en")).unwrap_or((self.id, Field::Id));
            let (description, description_field) =
                self.descriptions.first().map_or(("", Field::Description("")), |(language, text)| {
                    (text.as_str(), Field::Description(language))
                });
            LegacyText { display_name, display_field, description, description_field }
        })
    }
}

// === impl Field ===

impl Field<'_> {
    /// As displayed. A result has a dozen fields per dataflow, for which formatting is too slow.
    #[must_use]
    pub fn name(self) -> String {
        let (kind, language) = match self {
            Self::Id => ("id", ""),
            Self::Name(language) => ("name", language),
            Self::Description(language) => ("description", language),
        };
        if language.is_empty() { kind.to_owned() } else { [kind, ".", language].concat() }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests;
