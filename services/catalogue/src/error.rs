//! The errors of the catalogue service.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind, Violation};
use dataflow_sdmx::ParseError;

use crate::stored::Unreadable;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upload fails, or there is no memory for its result.
    #[error(transparent)]
    Upload(#[from] dataflow_uploads::Error),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] dataflow_store::Error),
    /// A field of the request is invalid.
    #[error("{field}: {problem}")]
    FieldInvalid {
        /// The field's path.
        field: String,
        /// What is wrong, and the allowed values.
        problem: String,
    },
    /// There is no such snapshot of this provider and tenant.
    #[error("provider {provider} has no snapshot {snapshot:?}; list those that it has")]
    SnapshotNotFound {
        /// The provider.
        provider: String,
        /// The requested snapshot.
        snapshot: String,
    },
    /// The catalogue is of another provider.
    #[error(
        "no dataflow of the catalogue is of agency {agency}, but of {found}: send it for its own provider, or set the \
         agency of provider {provider}"
    )]
    ProviderMismatch {
        /// The provider.
        provider: String,
        /// Its agency.
        agency: String,
        /// The agencies of the catalogue.
        found: String,
    },
    /// The registry of providers cannot be asked.
    #[error("the registry of providers is out of reach, so that the agency of the provider is not known")]
    RegistryUnavailable,
    /// The tenant has as many snapshots, or as many bytes of them, as it may have.
    #[error("the snapshots of the tenant reach {limit}, the limit of {flag}: delete some, or raise it")]
    SnapshotsFull {
        /// The limit.
        limit: u64,
        /// Its flag.
        flag: &'static str,
    },
    /// Others have changed the snapshots of the tenant again and again.
    #[error("too many snapshots of the tenant were stored at the same time; this one was not")]
    SnapshotsContended,
    /// There is nothing to compare with.
    #[error("provider {provider} has no snapshot before {head}; name one as base")]
    BaseMissing {
        /// The provider.
        provider: String,
        /// The snapshot to compare.
        head: String,
    },
    /// A snapshot in the store cannot be read.
    #[error("the snapshot {snapshot} in the store cannot be read: {problem}")]
    SnapshotUnreadable {
        /// The snapshot.
        snapshot: String,
        /// What is wrong.
        problem: Unreadable,
    },
}

/// When to try again after others have changed the snapshots.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Maps an error of the stream of an upload.
impl From<tonic::Status> for Error {
    fn from(received: tonic::Status) -> Self {
        Error::Upload(received.into())
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Error::Upload(dataflow_uploads::Error::Document(error))
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        let foreign = match self {
            Error::Upload(error) => error.foreign_domain(),
            _ => None,
        };
        foreign.unwrap_or("dataflow.catalogue.v1")
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Upload(error) => error.kind(),
            Error::Store(error) => error.kind(),
            Error::FieldInvalid { .. } => Kind::Invalid,
            Error::SnapshotNotFound { .. } => Kind::NotFound,
            Error::ProviderMismatch { .. } | Error::SnapshotsFull { .. } | Error::BaseMissing { .. } => {
                Kind::Precondition
            }
            Error::RegistryUnavailable => Kind::Unavailable,
            Error::SnapshotsContended => Kind::Conflict,
            Error::SnapshotUnreadable { .. } => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Upload(error) => error.reason(),
            Error::Store(error) => error.reason(),
            Error::FieldInvalid { .. } => "FIELD_INVALID",
            Error::SnapshotNotFound { .. } => "SNAPSHOT_NOT_FOUND",
            Error::ProviderMismatch { .. } => "PROVIDER_MISMATCH",
            Error::RegistryUnavailable => "REGISTRY_UNAVAILABLE",
            Error::SnapshotsFull { .. } => "SNAPSHOTS_FULL",
            Error::SnapshotsContended => "SNAPSHOTS_CONTENDED",
            Error::BaseMissing { .. } => "BASE_MISSING",
            Error::SnapshotUnreadable { .. } => "SNAPSHOT_UNREADABLE",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::Upload(error) => error.metadata(),
            Error::ProviderMismatch { provider, found, .. } => HashMap::from([
                ("provider".to_owned(), provider.clone()),
                ("agencies".to_owned(), found.clone()),
            ]),
            _ => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::Upload(error) => error.violations(),
            Error::FieldInvalid { field, problem } => {
                vec![Violation { field: field.clone(), description: problem.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Upload(error) => error.retry_after(),
            Error::Store(error) => error.retry_after(),
            Error::RegistryUnavailable | Error::SnapshotsContended => Some(RETRY_AFTER),
            _ => None,
        }
    }
}
