//! Compares two definitions of one dataflow.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use dataflow_sdmx::{Annotation, Dataflow, Flag, Localized, StructureReference, Timestamp};

use super::change::{Field, Kind};
use crate::content::{Link, ListedDataflow, Theme};
use crate::stored::packed::Packed;

/// The kinds that were found, with what changed.
pub(super) type Found = Vec<(Kind, Vec<Field>)>;

/// The themes of both contents.
#[derive(Debug)]
pub(super) struct Themes<'a> {
    base: &'a [Theme],
    head: &'a [Theme],
    now: Timestamp,
}

/// The flags that hide a dataflow.
const HIDING: [Flag; 2] = [Flag::Hidden, Flag::NonProduction];

/// Compares what a dataflow has of its own.
pub(super) fn dataflows(before: &Dataflow, after: &Dataflow, found: &mut Found) {
    let renamed = texts("name", &before.names, &after.names);
    if !renamed.is_empty() {
        found.push((Kind::Renamed, renamed));
    }
    if before.structure != after.structure {
        let [before, after] = [before, after].map(|one| structure(one.structure.as_ref()));
        found.push((Kind::StructureChanged, vec![Field::new("structure", &before, &after)]));
    }
    let [was, is] = [before, after].map(|one| HIDING.iter().any(|flag| one.facts.flags.contains(flag)));
    match (was, is) {
        (false, true) => found.push((Kind::Hidden, Vec::new())),
        (true, false) => found.push((Kind::Shown, Vec::new())),
        _ => {}
    }
    let annotations = annotations(&before.annotations, &after.annotations);
    if !annotations.is_empty() {
        found.push((Kind::AnnotationsChanged, annotations));
    }
}

/// The texts that differ, by language. Languages differ in case at most by accident.
fn texts(what: &str, before: &[Localized], after: &[Localized]) -> Vec<Field> {
    let by_language = |texts: &[Localized]| -> BTreeMap<String, String> {
        texts.iter().map(|(language, text)| (language.to_ascii_lowercase(), text.clone())).collect()
    };
    let (before, after) = (by_language(before), by_language(after));
    let languages: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let field = |language: &String| {
        let [was, is] = [&before, &after].map(|texts| texts.get(language).map_or("", String::as_str));
        let name = if language.is_empty() { what.to_owned() } else { format!("{what}.{language}") };
        (was != is).then(|| Field::new(name, was, is))
    };
    languages.into_iter().filter_map(field).collect()
}

/// The kinds of annotations whose values differ.
fn annotations(before: &[Annotation], after: &[Annotation]) -> Vec<Field> {
    let by_kind = |annotations: &[Annotation]| {
        let mut values = BTreeMap::<String, Vec<String>>::new();
        for annotation in annotations {
            let kind = if annotation.kind.is_empty() { &annotation.id } else { &annotation.kind };
            values.entry(kind.clone()).or_default().push(value(annotation));
        }
        values
    };
    let (before, after) = (by_kind(before), by_kind(after));
    let kinds: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let field = |kind: &String| {
        let (was, is) = (before.get(kind), after.get(kind));
        let text = |values: Option<&Vec<String>>| values.map(|all| all.join("; ")).unwrap_or_default();
        let name = if kind.is_empty() { "annotation".to_owned() } else { format!("annotation.{kind}") };
        (was != is).then(|| Field::new(name, &text(was), &text(is)))
    };
    kinds.into_iter().filter_map(field).collect()
}

/// All that an annotation states, in one text.
fn value(annotation: &Annotation) -> String {
    let Annotation { id: _, kind: _, title, url, texts, value } = annotation;
    let own = [title, value, url].into_iter().filter(|text| !text.is_empty()).cloned();
    let texts = texts.iter().map(|(language, text)| format!("{language}: {text}"));
    own.chain(texts).collect::<Vec<_>>().join(" | ")
}

fn structure(structure: Option<&StructureReference>) -> String {
    structure.map_or_else(String::new, |StructureReference { agency_id, id, version }| {
        format!("{agency_id}:{id}({version})")
    })
}

// === impl Themes ===

impl<'a> Themes<'a> {
    pub(super) fn new(base: &'a Packed, head: &'a Packed, now: Timestamp) -> Self {
        Self { base: base.themes(), head: head.themes(), now }
    }

    /// Whether both contents have themes: without any in one, nothing is known of a change.
    pub(super) fn are_known(&self) -> bool {
        !self.base.is_empty() && !self.head.is_empty()
    }

    /// Whether links of the same numbers lead to the same themes.
    pub(super) fn are_same(&self) -> bool {
        self.base == self.head
    }

    /// The themes that only one of both has.
    pub(super) fn changed(&self, before: &ListedDataflow, after: &ListedDataflow) -> Option<Vec<Field>> {
        let (was, is) = (self.keys(self.base, before), self.keys(self.head, after));
        let mut gone = was.difference(&is).map(String::as_str);
        let mut new = is.difference(&was).map(String::as_str);
        let pairs = std::iter::from_fn(|| match (gone.next(), new.next()) {
            (None, None) => None,
            (gone, new) => Some(Field::new("theme", gone.unwrap_or_default(), new.unwrap_or_default())),
        });
        Some(pairs.collect()).filter(|fields: &Vec<_>| !fields.is_empty())
    }

    /// The themes of a dataflow by the links that name its version, else by all.
    fn keys(&self, themes: &[Theme], listed: &ListedDataflow) -> BTreeSet<String> {
        let ListedDataflow { dataflow, links } = listed;
        let has_exact = links.iter().any(|link| link.version == dataflow.version);
        let counts = |link: &&Link| {
            (!has_exact || link.version == dataflow.version) && link.ends.is_none_or(|end| end > self.now)
        };
        let themes = links.iter().filter(counts).filter_map(|link| themes.get(link.theme as usize));
        themes.map(Theme::key).collect()
    }
}
