//! Resolves the definitions in all sources to one value per flag. Sources are merged field by field: a Secret with only
//! a password keeps the host from a ConfigMap.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use super::definitions::{Definition, in_environment, in_file, merge};
use super::dynamic::Pushed;
use super::field::Field;
use super::former::{FormerNames, Inherited, Translation};
use super::names::Names;
use super::problem::Problem;
use super::production;
use super::scan::{Locations, Scan};
use super::setting::Setting;
use super::source::Source;
use super::value::Value;

/// A name that no command has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The name as written.
    pub name: String,
    /// Its source.
    pub at: Source,
    /// The most similar variable, as a suggestion.
    pub nearest: Option<String>,
}

/// Computes the settings from a scan, any number of times.
pub(super) struct Resolver {
    pub(super) locations: Locations,
    pub(super) names: Names,
    /// Only for commands that support them.
    pub(super) former: Option<&'static dyn FormerNames>,
    pub(super) fields: Vec<Field>,
}

/// The settings that result from a scan.
pub(super) struct Resolved {
    pub(super) settings: Vec<Setting>,
    /// By key, the values to pass to clap.
    pub(super) values: BTreeMap<String, Value>,
    pub(super) problems: Vec<Problem>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) inherited: Inherited,
}

// === impl Resolver ===

impl Resolver {
    /// Computes the settings from a scan and the pushed settings, with all problems.
    pub(super) fn resolve(&self, scan: &Scan, pushed: &Pushed) -> Resolved {
        let (mut definitions, mut problems) = (Vec::new(), Vec::new());
        for file in &scan.files {
            match in_file(file, &self.names) {
                Ok(found) => definitions.extend(found),
                Err(problem) => problems.push(problem),
            }
        }
        for definition in in_environment(&self.locations.environment, &self.names) {
            match definition {
                Ok(definition) => definitions.push(definition),
                Err(problem) => problems.push(problem),
            }
        }

        let mut unknown = Vec::new();
        definitions.retain(|definition| {
            let known = self.names.knows(&definition.key, &definition.source);
            if !known {
                let nearest = self.names.nearest(&definition.key).map(str::to_owned);
                unknown.push(Unknown {
                    name: definition.name.clone(),
                    at: definition.source.clone(),
                    nearest,
                });
            }
            known
        });
        definitions.extend(self.dynamic(pushed));

        let mut values = merge(definitions, &mut problems);
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
        problems.extend(production::violations(&settings));
        // A file in the directory that a setting points to, such as a certificate, is not a setting.
        unknown.retain(|unknown| !settings.iter().any(|setting| unknown.is_file(&setting.text)));
        Resolved { settings, values, problems, unknown, inherited }
    }

    /// Replaces former names by current ones.
    fn translate(&self, values: &mut BTreeMap<String, Value>) -> Inherited {
        let Some(former) = self.former else { return Inherited::default() };
        let is_own = |key: &str| self.names.is_own(key);
        let is_typed = |key: &str| self.fields.iter().any(|field| field.key == key && field.typed.is_some());
        let mut translation = Translation::new(values, &is_own, &is_typed);
        former.translate(&mut translation);
        translation.finish()
    }

    /// The pushed settings that are dynamic here. The others belong to other services: all settings are pushed to every
    /// service.
    fn dynamic<'a>(&'a self, pushed: &'a Pushed) -> impl Iterator<Item = Definition> + 'a {
        let dynamic = self.fields.iter().filter(|field| field.is_dynamic());
        dynamic.filter_map(|field| {
            let (name, value) = pushed.get_key_value(field.flag.trim_start_matches('-'))?;
            let (name, key, values) = (name.clone(), field.key.clone(), vec![value.clone()]);
            Some(Definition { name, key, values, source: Source::ConfigService })
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
        let overridden =
            value.into_iter().flat_map(|value| [slice::from_ref(&value.source), &value.over].concat());
        Self { key, flag, text, source, secret, dynamic, with: Vec::new(), over: overridden.collect() }
    }

    /// Its value, masked if it is a secret.
    pub(super) fn shown(&self) -> &str {
        if self.secret && !self.text.is_empty() { "***" } else { &self.text }
    }
}

// === impl Unknown ===

impl Unknown {
    /// Whether it is the file at the path `text`.
    fn is_file(&self, text: &str) -> bool {
        let (Source::Secret(place) | Source::ConfigMap(place)) = &self.at else { return false };
        !text.is_empty() && place.path == Path::new(text)
    }
}
