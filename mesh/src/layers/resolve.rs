//! From what the layers hold to one value for each flag. Merged field by field: a Secret with a password leaves the host
//! that a ConfigMap names.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use super::dynamic::Pushed;
use super::entries::{Entry, in_environment, in_file};
use super::field::Field;
use super::found::{Found, merge};
use super::look::{Layers, Look};
use super::names::Names;
use super::predecessor::{self, Inherited};
use super::problem::Problem;
use super::production;
use super::source::Source;

/// A flag and the value that holds. Without `Debug`, since that may be a secret.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) flag: String,
    /// The value as it would be typed, empty when there is none.
    pub(super) text: String,
    pub(super) source: Source,
    pub(super) secret: bool,
    pub(super) dynamic: bool,
    pub(super) with: Vec<Source>,
    pub(super) over: Vec<Source>,
}

/// A name that no command knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// As it is written.
    pub name: String,
    /// Where.
    pub at: Source,
    /// The variable that was probably meant.
    pub nearest: Option<String>,
}

/// How to come from a look to settings, as often as there are looks.
pub(super) struct Resolver {
    pub(super) layers: Layers,
    pub(super) names: Names,
    pub(super) fields: Vec<Field>,
}

/// What came of a look.
pub(super) struct Resolved {
    pub(super) settings: Vec<Setting>,
    /// By key, what clap is to be given.
    pub(super) found: BTreeMap<String, Found>,
    pub(super) problems: Vec<Problem>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) inherited: Inherited,
}

// === impl Resolver ===

impl Resolver {
    /// Everything that follows from a look and what is pushed, and everything that is wrong with it.
    pub(super) fn resolve(&self, look: &Look, pushed: &Pushed) -> Resolved {
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for file in &look.files {
            match in_file(file, &self.names) {
                Ok(found) => entries.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        for entry in in_environment(&self.layers.environment, &self.names) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(problem) => problems.push(problem),
            }
        }

        let mut unknown = Vec::new();
        entries.retain(|entry| {
            let known = self.names.knows(&entry.key, &entry.source);
            if !known {
                let nearest = self.names.nearest(&entry.key).map(str::to_owned);
                unknown.push(Unknown { name: entry.name.clone(), at: entry.source.clone(), nearest });
            }
            known
        });
        entries.extend(self.dynamic(pushed));

        let mut found = merge(entries, &mut problems);
        let typed = |key: &str| self.fields.iter().any(|field| field.key == key && field.typed.is_some());
        let inherited = predecessor::translate(&mut found, &self.names, &typed);
        for field in self.fields.iter().filter(|field| field.typed.is_none()) {
            let Some(found) = found.get(&field.key) else { continue };
            if let Err(reason) = field.check(&found.values, found.secret || field.is_secret()) {
                problems.push(Problem::Invalid {
                    at: found.source.clone(),
                    flag: field.flag.clone(),
                    reason,
                });
            }
        }
        let settings: Vec<_> =
            self.fields.iter().map(|field| Setting::new(field, found.get(&field.key))).collect();
        problems.extend(production::unfit(&settings));
        // A certificate beside the secrets is no setting, but what a setting names.
        unknown.retain(|unknown| !settings.iter().any(|setting| unknown.is_file(&setting.text)));
        Resolved { settings, found, problems, unknown, inherited }
    }

    /// What is pushed and dynamic here. The rest is for other services: everything is pushed to all.
    fn dynamic<'a>(&'a self, pushed: &'a Pushed) -> impl Iterator<Item = Entry> + 'a {
        let dynamic = self.fields.iter().filter(|field| field.is_dynamic());
        dynamic.filter_map(|field| {
            let (name, value) = pushed.get_key_value(field.flag.trim_start_matches('-'))?;
            let (name, key, values) = (name.clone(), field.key.clone(), vec![value.clone()]);
            Some(Entry { name, key, values, source: Source::ConfigService })
        })
    }
}

// === impl Setting ===

impl Setting {
    fn new(field: &Field, found: Option<&Found>) -> Self {
        let (key, flag) = (field.key.clone(), field.flag.clone());
        let (secret, dynamic) = (field.is_secret(), field.is_dynamic());
        let (text, source) = match (&field.typed, found) {
            (Some(typed), _) => (typed.clone(), Source::Flag),
            (None, None) => (field.default(), Source::Default),
            (None, Some(found)) => {
                let Found { source, secret: from_secret, with, over, .. } = found.clone();
                let secret = secret || from_secret;
                return Self { key, flag, text: found.text(), source, secret, dynamic, with, over };
            }
        };
        let beaten =
            found.into_iter().flat_map(|found| [slice::from_ref(&found.source), &found.over].concat());
        Self { key, flag, text, source, secret, dynamic, with: Vec::new(), over: beaten.collect() }
    }

    /// Its value as it may be shown.
    pub(super) fn shown(&self) -> &str {
        if self.secret && !self.text.is_empty() { "***" } else { &self.text }
    }
}

// === impl Unknown ===

impl Unknown {
    /// Whether it is the file that `text` names.
    fn is_file(&self, text: &str) -> bool {
        let (Source::Secret(place) | Source::ConfigMap(place)) = &self.at else { return false };
        !text.is_empty() && place.path == Path::new(text)
    }
}
