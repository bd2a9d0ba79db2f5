//! The manifests and policies of the repository, as data.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A path from the repository's root.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// The documents of one file.
///
/// # Panics
///
/// When it cannot be read, or is no YAML.
pub fn documents(relative: &str) -> Vec<Value> {
    let text = fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"));
    let documents = text.split("\n---\n").map(|document| {
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{relative}: {error}"))
    });
    documents.collect()
}

/// The documents of one kind.
///
/// # Panics
///
/// As [`documents`].
pub fn of_kind(relative: &str, kind: &str) -> Vec<Value> {
    let mut documents = documents(relative);
    documents.retain(|document| document["kind"] == kind);
    documents
}

/// The elements of a list, none where there is none.
pub fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The text at a place where there must be one.
///
/// # Panics
///
/// When there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, found {value}"))
}
