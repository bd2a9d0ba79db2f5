//! From what the sources hold to one value for each flag. Merged field by field: a Secret with a password leaves the
//! host that a ConfigMap names.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use super::dynamic::Pushed;
use super::entries::{Entry, in_environment, in_file, merge};
use super::field::Field;
use super::former::{FormerNames, Inherited, Translation};
use super::names::Names;
use super::problem::Problem;
use super::production;
use super::scan::{Locations, Scan};
use super::source::Source;
use super::value::Value;

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

/// Makes settings of a scan, as often as there is one.
pub(super) struct Resolver {
    pub(super) locations: Locations,
    pub(super) names: Names,
    /// Where they count.
    pub(super) former: Option<&'static dyn FormerNames>,
    pub(super) fields: Vec<Field>,
}

/// The result of a scan.
pub(super) struct Resolved {
    pub(super) settings: Vec<Setting>,
    /// By key, what clap is to be given.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) problems: Vec<Problem>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) inherited: Inherited,
}

// === impl Resolver ===

impl Resolver {
    /// Everything that follows from a scan and what is pushed, and everything that is wrong with it.
    pub(super) fn resolve(&self, scan: &Scan, pushed: &Pushed) -> Resolved {
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for file in &scan.files {
            match in_file(file, &self.names) {
                Ok(found) => entries.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        for entry in in_environment(&self.locations.environment, &self.names) {
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

        let mut values = merge(entries, &mut problems);
        let inherited = self.translate(&mut values);
        for field in self.fields.iter().filter(|field| field.typed.is_none()) {
            let Some(value) = values.get(&field.key) else { continue };
            if let Err(reason) = field.check(&value.values, value.secret || field.is_secret()) {
                problems.push(Problem::Invalid {
                    at: value.source.clone(),
                    flag: field.flag.clone(),
                    reason,
                });
            }
        }
        let settings: Vec<_> =
            self.fields.iter().map(|field| Setting::new(field, values.get(&field.key))).collect();
        problems.extend(production::unfit(&settings));
        // A certificate beside the secrets is no setting, but what a setting names.
        unknown.retain(|unknown| !settings.iter().any(|setting| unknown.is_file(&setting.text)));
        Resolved { settings, values, problems, unknown, inherited }
    }

    /// Replaces former names by today's.
    fn translate(&self, values: &mut BTreeMap<String, Value>) -> Inherited {
        let Some(former) = self.former else { return Inherited::default() };
        let is_own = |key: &str| self.names.is_own(key);
        let is_typed = |key: &str| self.fields.iter().any(|field| field.key == key && field.typed.is_some());
        let mut translation = Translation::new(values, &is_own, &is_typed);
        former.translate(&mut translation);
        translation.finish()
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
    fn new(field: &Field, value: Option<&Value>) -> Self {
        let (key, flag) = (field.key.clone(), field.flag.clone());
        let (secret, dynamic) = (field.is_secret(), field.is_dynamic());
        let (text, source) = match (&field.typed, value) {
            (Some(typed), _) => (typed.clone(), Source::Flag),
            (None, None) => (field.default(), Source::Default),
            (None, Some(value)) => {
                let Value { source, secret: from_secret, with, over, .. } = value.clone();
                let secret = secret || from_secret;
                return Self { key, flag, text: value.text(), source, secret, dynamic, with, over };
            }
        };
        let beaten =
            value.into_iter().flat_map(|value| [slice::from_ref(&value.source), &value.over].concat());
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
