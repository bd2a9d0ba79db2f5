//! The settings of each source, name by name, and the value that wins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::document::{self, Leaf, Malformed};
use super::names::{Names, is_service_link};
use super::problem::Problem;
use super::scan::Text;
use super::source::{Place, Source};
use super::value::Value;

/// A setting as a source gives it. Without `Debug`, since it may be a secret.
pub(super) struct Entry {
    /// As it is called there.
    pub(super) name: String,
    /// As we call it.
    pub(super) key: String,
    /// Several for a list, none for a null.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
}

/// What a file says: an object of settings, or, in a mounted directory, the one setting that it is called after.
///
/// # Errors
///
/// When it cannot be used, or means to be an object and is none.
pub(super) fn in_file(file: &Text, names: &Names) -> Result<Vec<Entry>, Problem> {
    let path = &file.path;
    let text = file.content.as_ref().map_err(|why| Problem::Unusable { path: path.clone(), why: *why })?;
    let source = (file.source)(Place::whole(path));
    let must_be_object = matches!(source, Source::File(_));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let key = names.key(&name);
    // The name decides, so that a password which looks like an object is a password all the same.
    let object = if !must_be_object && names.knows(&key, &source) { Ok(None) } else { document::read(text) };
    match object {
        Ok(Some(leaves)) => Ok(leaves.into_iter().map(|leaf| in_object(leaf, file, names)).collect()),
        Err(Malformed { line, message }) if must_be_object || is_document(path, text) => {
            Err(Problem::Syntax { place: Place::line(path, line), message })
        }
        Ok(None) if must_be_object && text.trim().is_empty() => Ok(Vec::new()),
        Ok(None) if must_be_object => {
            let message = "an object of settings was expected".to_owned();
            Err(Problem::Syntax { place: Place::whole(path), message })
        }
        Ok(None) | Err(_) => Ok(vec![Entry { name, key, values: vec![text.trim().to_owned()], source }]),
    }
}

fn in_object(leaf: Leaf, file: &Text, names: &Names) -> Entry {
    let Leaf { name, values, line } = leaf;
    Entry { key: names.key(&name), name, values, source: (file.source)(Place::line(&file.path, line)) }
}

/// Whether a file means to be YAML or JSON.
fn is_document(path: &Path, text: &str) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || text.trim_start().starts_with('{')
}

/// What the environment says, or the variables of ours that are no text.
pub(super) fn in_environment(
    environment: &BTreeMap<OsString, OsString>,
    names: &Names,
) -> Vec<Result<Entry, Problem>> {
    let ours = environment.iter().filter_map(|(variable, value)| {
        let variable = variable.to_str()?;
        Some((variable, names.key_of_variable(variable)?, value))
    });
    let entries = ours.filter_map(|(variable, key, value)| {
        let name = variable.to_owned();
        let Some(value) = value.to_str() else { return Some(Err(Problem::NotText { variable: name })) };
        let source = Source::Environment(name.clone());
        (!is_service_link(variable, value))
            .then(|| Ok(Entry { name, key, values: vec![value.to_owned()], source }))
    });
    entries.collect()
}

/// For each key the value of the highest source that has one. An empty value is none: that is how templates say nothing.
pub(super) fn merge(mut entries: Vec<Entry>, problems: &mut Vec<Problem>) -> BTreeMap<String, Value> {
    entries.sort_by_key(|entry| entry.source.rank());
    let mut merged = BTreeMap::<String, Value>::new();
    for Entry { key, mut values, source, .. } in entries {
        values.retain(|value| !value.is_empty());
        if values.is_empty() {
            continue;
        }
        match merged.get_mut(&key) {
            None => drop(merged.insert(key, Value::new(values, source))),
            Some(higher) if higher.source.rank() < source.rank() => higher.over.push(source),
            Some(same) if same.values == values => {}
            Some(same) => {
                problems.push(Problem::Contradiction {
                    name: key,
                    places: Box::new([same.source.clone(), source]),
                });
            }
        }
    }
    merged
}
