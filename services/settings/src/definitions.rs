//! The settings of each source, and the merge of all sources by precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::document::{self, Leaf, SyntaxError};
use super::names::{Names, is_service_link};
use super::problem::Problem;
use super::scan::SettingsFile;
use super::source::{FilePosition, Source};
use super::value::Value;

/// A setting as one source defines it. Without `Debug`, because it may be a secret.
pub(super) struct Definition {
    /// The name as written in the source.
    pub(super) name: String,
    /// The key of the setting.
    pub(super) key: String,
    /// Several for a list, none for a null.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
}

/// The settings in a file: an object of settings, or, in a mounted directory, the one setting that the file is named
/// after.
///
/// # Errors
///
/// If the file is unusable, or should be an object and is not.
pub(super) fn in_file(file: &SettingsFile, names: &Names) -> Result<Vec<Definition>, Problem> {
    let path = &file.path;
    let text = file.content.as_ref().map_err(|why| Problem::Unusable { path: path.clone(), why: *why })?;
    let source = (file.source)(FilePosition::whole(path));
    let must_be_object = matches!(source, Source::File(_));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let key = names.key(&name);
    // The file name decides, so that a password that looks like an object is still a password.
    let object = if !must_be_object && names.knows(&key, &source) { Ok(None) } else { document::read(text) };
    match object {
        Ok(Some(leaves)) => Ok(leaves.into_iter().map(|leaf| in_object(leaf, file, names)).collect()),
        Err(SyntaxError { line, message }) if must_be_object || is_document(path, text) => {
            Err(Problem::Syntax { place: FilePosition::line(path, line), message })
        }
        Ok(None) if must_be_object && text.trim().is_empty() => Ok(Vec::new()),
        Ok(None) if must_be_object => {
            let message = "expected an object of settings".to_owned();
            Err(Problem::Syntax { place: FilePosition::whole(path), message })
        }
        Ok(None) | Err(_) => Ok(vec![Definition { name, key, values: vec![text.trim().to_owned()], source }]),
    }
}

fn in_object(leaf: Leaf, file: &SettingsFile, names: &Names) -> Definition {
    let Leaf { name, values, line } = leaf;
    Definition {
        key: names.key(&name),
        name,
        values,
        source: (file.source)(FilePosition::line(&file.path, line)),
    }
}

/// Whether a file is YAML or JSON, by its name or content.
fn is_document(path: &Path, text: &str) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json")) || text.trim_start().starts_with('{')
}

/// The settings in the environment, or an error for each of our variables that is not UTF-8.
pub(super) fn in_environment(
    environment: &BTreeMap<OsString, OsString>,
    names: &Names,
) -> Vec<Result<Definition, Problem>> {
    let ours = environment.iter().filter_map(|(variable, value)| {
        let variable = variable.to_str()?;
        Some((variable, names.key_of_variable(variable)?, value))
    });
    let definitions = ours.filter_map(|(variable, key, value)| {
        let name = variable.to_owned();
        let Some(value) = value.to_str() else { return Some(Err(Problem::NotText { variable: name })) };
        let source = Source::Environment(name.clone());
        (!is_service_link(variable, value))
            .then(|| Ok(Definition { name, key, values: vec![value.to_owned()], source }))
    });
    definitions.collect()
}

/// Selects, for each key, the value of the source with the highest precedence. An empty value counts as absent:
/// templates write it for an unset value.
pub(super) fn merge(
    mut definitions: Vec<Definition>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    definitions.sort_by_key(|definition| definition.source.rank());
    let mut merged = BTreeMap::<String, Value>::new();
    for Definition { key, mut values, source, .. } in definitions {
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
