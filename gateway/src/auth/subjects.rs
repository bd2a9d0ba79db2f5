//! The table of `--subjects-file`: what callers may do that are known by a certificate or by the mesh, neither of which
//! says so itself. A caller that is not in it may do nothing.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dataflow_mesh::access::{NotAScope, Scope};
use dataflow_mesh::identity::Principal;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::reload;
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;

use super::error::AuthError;
use super::names::{CERTIFICATE_SUBJECT, MAX_SUBJECT, PEER_SUBJECT, is_tenant};

/// The most bytes of the file.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most subjects.
const MAX_SUBJECTS: usize = 10_000;

/// The table, as the file has it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    file: Arc<Path>,
    table: Arc<ArcSwap<Table>>,
    count: Gauge,
}

type Table = HashMap<String, Granted>;

/// What a subject may do.
#[derive(Debug, PartialEq, Eq)]
struct Granted {
    scope: Scope,
    tenant: String,
}

/// Why a file has no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectsError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a file, or too large.
    #[error("it must be a file of at most 4 MiB")]
    TooLong,
    /// It is not the JSON of a table. The position is in the message.
    #[error("{0}: expected {{\"subjects\": [{{\"subject\": ..., \"scope\": ..., \"tenant\": ...}}]}}")]
    Malformed(#[from] serde_json::Error),
    /// It has too many subjects.
    #[error("subjects: has {found}, more than {MAX_SUBJECTS}")]
    TooMany {
        /// The number.
        found: usize,
    },
    /// A field of an entry is not valid.
    #[error("subjects[{index}].{field}: {problem}")]
    Field {
        /// The position of the entry, from 0.
        index: usize,
        /// The name of the field.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    subjects: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    subject: String,
    scope: String,
    #[serde(default)]
    tenant: Option<String>,
}

// === impl Subjects ===

impl Subjects {
    /// The table in a file.
    pub(super) fn read(file: &Path) -> Result<Self, SubjectsError> {
        let table = table_in(&read(file)?)?;
        let count = Gauge::default();
        show(&count, &table);
        Ok(Self { file: file.into(), table: Arc::new(ArcSwap::from_pointee(table)), count })
    }

    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.register("gateway_subjects", "Entries of the table of subjects in use", self.count.clone());
    }

    /// The caller with a subject.
    ///
    /// # Errors
    ///
    /// If the table does not have it.
    pub(super) fn caller(&self, subject: &str) -> Result<Principal, AuthError> {
        let table = self.table.load();
        let Granted { scope, tenant } =
            table.get(subject).ok_or_else(|| AuthError::SubjectUnknown { subject: subject.to_owned() })?;
        Ok(Principal {
            subject: subject.to_owned(),
            tenant: tenant.clone(),
            scope: Some(*scope),
            ..Principal::default()
        })
    }

    /// Reloads the table when the file changes, without end.
    pub(super) async fn follow(self) {
        let Self { file, table, count } = self;
        let read = {
            let file = Arc::clone(&file);
            move || {
                let table = table_in(&read(&file)?)?;
                show(&count, &table);
                Ok::<_, SubjectsError>(table)
            }
        };
        reload::follow(&file, &table, read).await;
    }
}

fn show(count: &Gauge, table: &Table) {
    count.set(i64::try_from(table.len()).unwrap_or(i64::MAX));
}

/// A little more than the file may have, at most.
fn read(file: &Path) -> Result<Vec<u8>, SubjectsError> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(SubjectsError::TooLong);
    }
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_BYTES { Err(SubjectsError::TooLong) } else { Ok(text) }
}

fn table_in(text: &[u8]) -> Result<Table, SubjectsError> {
    let Document { subjects } = serde_json::from_slice(text)?;
    if subjects.len() > MAX_SUBJECTS {
        return Err(SubjectsError::TooMany { found: subjects.len() });
    }
    let mut table = Table::with_capacity(subjects.len());
    for (index, Entry { subject, scope, tenant }) in subjects.into_iter().enumerate() {
        let invalid =
            |field, problem: &str| SubjectsError::Field { index, field, problem: problem.to_owned() };
        check_subject(&subject).map_err(|problem| invalid("subject", problem))?;
        let scope = scope.parse().map_err(|problem: NotAScope| invalid("scope", &problem.to_string()))?;
        if tenant.as_deref().is_some_and(|tenant| !is_tenant(tenant)) {
            let problem = "must be 1 to 63 letters, digits, dots, hyphens and underscores, of which the first is a \
                           letter or a digit";
            return Err(invalid("tenant", problem));
        }
        if table.contains_key(&subject) {
            return Err(invalid("subject", &format!("{subject:?} is there twice")));
        }
        table.insert(subject, Granted { scope, tenant: tenant.unwrap_or_default() });
    }
    Ok(table)
}

/// Checks a subject that no token and no API key can have.
fn check_subject(subject: &str) -> Result<(), &'static str> {
    let beginnings = [CERTIFICATE_SUBJECT, PEER_SUBJECT];
    let identity = beginnings.iter().find_map(|beginning| subject.strip_prefix(beginning));
    match identity {
        None => Err("must begin with cert: (a client certificate) or peer: (a peer of the mesh)"),
        Some("") => Err("has no identity after cert: or peer:"),
        Some(_) if subject.len() > MAX_SUBJECT => Err("has more than 256 bytes"),
        Some(identity) if identity.chars().any(char::is_control) => Err("has a control character"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
