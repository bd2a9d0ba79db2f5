//! Categorizes one dataflow after the other by a rule set. Results share what they have in common: a catalogue has few
//! names of fields, and each keyword matches in many dataflows.

use std::sync::Arc;

use dataflow_rules::{Category, Compiled, Field, Match, Points, Scratch, Subject};

use crate::decision::DecidedBy;
use crate::filing::{Evidence, Filing};

/// See the module.
#[derive(Debug)]
pub struct Categorizer<'r> {
    rules: &'r Compiled,
    scratch: Scratch,
    fields: FieldNames,
}

/// The names of fields so far, as evidence has them.
#[derive(Debug, Default)]
struct FieldNames(Vec<(Field<'static>, Box<str>, Arc<str>)>);

/// The most names of fields that are remembered: two for each language of a catalogue. Further ones are not shared.
const MOST_FIELDS: usize = 32;

/// The families that may follow the matches of a dataflow in its evidence.
const FAMILIES: usize = 2;

// === impl Categorizer ===

impl<'r> Categorizer<'r> {
    /// By these rules.
    pub fn new(rules: &'r Compiled) -> Self {
        Self { rules, scratch: Scratch::default(), fields: FieldNames::default() }
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &'r Compiled {
        self.rules
    }

    /// Categorizes a dataflow by its own texts, without a family. The points are those of its texts.
    pub fn file(&mut self, subject: &Subject<'_>) -> (Filing, Points) {
        let verdict = self.rules.categorize(subject, &mut self.scratch);
        let filing = Filing {
            category: verdict.category,
            score: verdict.score,
            confidence: verdict.confidence,
            evidence: self.fields.evidence(&verdict.evidence),
            decided_by: if verdict.evidence.is_empty() { DecidedBy::Nothing } else { DecidedBy::Rules },
        };
        (filing, verdict.points)
    }

    /// The matches for a category that others than the dataflow's own texts have decided.
    pub(crate) fn evidence(&mut self, category: Category, subject: &Subject<'_>) -> Vec<Evidence> {
        let found = self.rules.evidence(category, subject, &mut self.scratch);
        self.fields.evidence(&found)
    }
}

// === impl FieldNames ===

impl FieldNames {
    fn evidence(&mut self, found: &[Match<'_>]) -> Vec<Evidence> {
        if found.is_empty() {
            return Vec::new();
        }
        let mut evidence = Vec::with_capacity(found.len() + FAMILIES);
        evidence.extend(found.iter().map(|found| Evidence::Rule {
            keyword: Arc::clone(found.keyword),
            field: self.name(found.field),
            offset: found.offset,
        }));
        evidence
    }

    fn name(&mut self, field: Field<'_>) -> Arc<str> {
        let (kind, language) = match field {
            Field::Id => (Field::Id, ""),
            Field::Name(language) => (Field::Name(""), language),
            Field::Description(language) => (Field::Description(""), language),
        };
        let is_same = |(known, of, _): &&(Field<'_>, Box<str>, _)| *known == kind && **of == *language;
        if let Some((_, _, name)) = self.0.iter().find(is_same) {
            return Arc::clone(name);
        }
        let name = Arc::<str>::from(field.name());
        if self.0.len() < MOST_FIELDS {
            self.0.push((kind, language.into(), Arc::clone(&name)));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_shared_up_to_a_bound() {
        let mut names = FieldNames::default();
        let (first, second) = (names.name(Field::Name("it")), names.name(Field::Name("it")));
        assert!(Arc::ptr_eq(&first, &second));
        for (field, expected) in [
            (Field::Id, "id"),
            (Field::Name(""), "name"),
            (Field::Description(""), "description"),
            (Field::Name("it"), "name.it"),
            (Field::Description("it"), "description.it"),
            (Field::Name("IT"), "name.IT"),
        ] {
            assert_eq!((&*names.name(field), &*names.name(field)), (expected, expected));
        }
        for number in 0..2 * MOST_FIELDS {
            let language = format!("x-{number}");
            assert_eq!(*names.name(Field::Name(&language)), *format!("name.{language}"));
        }
        assert_eq!(names.0.len(), MOST_FIELDS);
    }
}
