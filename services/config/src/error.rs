//! Errors of the config service.

use std::collections::HashMap;
use std::time::Duration;

use dataflow_mesh::status::{Describe, Kind, Violation};
use dataflow_rules::RuleError;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such rule set.
    #[error("there is no rule set {name:?}")]
    RulesetNotFound {
        /// The requested name.
        name: String,
    },
    /// There is no such rule in the set.
    #[error("there is no rule {rule:?} in the set {ruleset:?}")]
    RuleNotFound {
        /// The set.
        ruleset: String,
        /// The requested rule.
        rule: String,
    },
    /// The rule already exists.
    #[error("the rule {rule:?} already exists in the set {ruleset:?}")]
    RuleExists {
        /// The set.
        ruleset: String,
        /// The rule.
        rule: String,
    },
    /// There is no such theme in the mapping.
    #[error("there is no theme {theme:?}")]
    ThemeNotFound {
        /// The requested identifier.
        theme: String,
    },
    /// The theme already exists.
    #[error("the theme {theme:?} already exists")]
    ThemeExists {
        /// The identifier.
        theme: String,
    },
    /// The mapping of themes has no such revision.
    #[error("the mapping of themes has no revision {revision}")]
    ThemesRevisionNotFound {
        /// The requested revision.
        revision: i64,
    },
    /// The set has no such revision.
    #[error("the set {ruleset:?} has no revision {revision}")]
    RevisionNotFound {
        /// The set.
        ruleset: String,
        /// The requested revision.
        revision: i64,
    },
    /// There is no such provider.
    #[error("there is no provider {provider:?}")]
    ProviderNotFound {
        /// The requested identifier.
        provider: String,
    },
    /// The provider already exists.
    #[error("the provider {provider:?} already exists")]
    ProviderExists {
        /// The identifier.
        provider: String,
    },
    /// A provider is invalid.
    #[error("{field}: {problem}")]
    ProviderInvalid {
        /// The field's path, for instance `provider.base_url`.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
    /// There is no such key, or it belongs to another tenant than the caller.
    #[error("there is no key {key:?}")]
    KeyNotFound {
        /// The requested identifier.
        key: String,
    },
    /// A key is invalid.
    #[error("{field}: {problem}")]
    KeyInvalid {
        /// The field's path, for instance `display_name`.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
    /// There is no room for another key.
    #[error("{owner} has {limit} keys already, expired ones included: delete those that are not used")]
    TooManyKeys {
        /// The mesh, or the tenant.
        owner: &'static str,
        /// How many it may have.
        limit: usize,
    },
    /// A caller that belongs to a tenant wants a key of another one.
    #[error("the caller does not belong to the tenant {tenant:?}")]
    TenantMismatch {
        /// The requested tenant.
        tenant: String,
    },
    /// The caller belongs to no tenant, and so has no changes of its own.
    #[error("the caller belongs to no tenant: there is nothing of its own to drop")]
    TenantMissing,
    /// A tenant has changed too much for itself.
    #[error("the tenant has more than {limit} {what}: restore what it need not change")]
    TenantTooLarge {
        /// What it has too much of.
        what: &'static str,
        /// How much of it may be.
        limit: usize,
    },
    /// A tenant has written too much within a short time.
    #[error("the tenant has written too much lately; nothing was changed")]
    TenantTooFast {
        /// The time until this change can be made.
        retry_after: Duration,
    },
    /// All tenants together have changed too much for themselves.
    #[error(
        "all tenants together have changed too much for themselves, at most {} tenants and {} MiB of rules may be: \
         ask the administrators of the mesh",
        crate::state::MAX_TENANTS, crate::state::MAX_TENANTS_BYTES >> 20
    )]
    TooManyTenants,
    /// This release has no such flag.
    #[error("there is no flag {flag:?} in this release")]
    FlagNotFound {
        /// The requested identifier.
        flag: String,
    },
    /// A flag is invalid.
    #[error("{field}: {problem}")]
    FlagInvalid {
        /// The field's path, for instance `percentage`.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
    /// A field of the request is invalid.
    #[error("{field}: {problem}")]
    FieldInvalid {
        /// The field's path.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
    /// Another caller changed the resource first.
    #[error("the etag does not match: the current etag is {found:?}")]
    EtagMismatch {
        /// The current etag.
        found: String,
    },
    /// Every attempt to append conflicted with a concurrent change.
    #[error("too many concurrent changes; nothing was changed")]
    TooManyChanges,
    /// A later release has written changes that this release cannot read, after which it must not append.
    #[error("a later release has written to the store: this release can no longer change what it wrote")]
    ReleaseOutdated,
    /// The store has another journal than the one whose state this process serves, for instance an empty one.
    #[error(
        "the store has lost the journal: the last known rules and providers are served, and changes are rejected. \
         Restore the store; or export the rules, restart every replica of the config service, and import them"
    )]
    JournalLost,
    /// The beginning of the journal is missing, and no record has the state at that position.
    #[error("the journal begins at position {first}, and has no state for what came before")]
    SnapshotMissing {
        /// The position of the first record.
        first: u64,
    },
    /// See [`dataflow_store::Error`].
    #[error(transparent)]
    Store(#[from] dataflow_store::Error),
    /// A theme is invalid, or the mapping of all of them.
    #[error("{field}: {problem}")]
    ThemeInvalid {
        /// The field's path, for instance `themes[3].path[0]`.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
    /// A rule set is invalid.
    #[error("{field}: {problem}")]
    RulesetInvalid {
        /// The field's path, for instance `rules[3].keywords`.
        field: String,
        /// The problem, and what is allowed.
        problem: String,
    },
}

impl From<RuleError> for Error {
    fn from(error: RuleError) -> Self {
        let RuleError { field, problem } = error;
        Error::RulesetInvalid { field, problem }
    }
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.config.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::RulesetNotFound { .. }
            | Error::RuleNotFound { .. }
            | Error::RevisionNotFound { .. }
            | Error::ThemeNotFound { .. }
            | Error::ThemesRevisionNotFound { .. }
            | Error::ProviderNotFound { .. }
            | Error::KeyNotFound { .. }
            | Error::FlagNotFound { .. } => Kind::NotFound,
            Error::RuleExists { .. } | Error::ThemeExists { .. } | Error::ProviderExists { .. } => {
                Kind::AlreadyExists
            }
            Error::RulesetInvalid { .. }
            | Error::ThemeInvalid { .. }
            | Error::ProviderInvalid { .. }
            | Error::KeyInvalid { .. }
            | Error::FlagInvalid { .. }
            | Error::FieldInvalid { .. } => Kind::Invalid,
            Error::TenantMismatch { .. } => Kind::Denied,
            Error::EtagMismatch { .. } => Kind::Conflict,
            Error::TooManyChanges | Error::TenantTooFast { .. } => Kind::Overloaded,
            Error::TooManyKeys { .. }
            | Error::TenantMissing
            | Error::TenantTooLarge { .. }
            | Error::TooManyTenants
            | Error::ReleaseOutdated
            | Error::JournalLost => Kind::Precondition,
            Error::SnapshotMissing { .. } => Kind::Internal,
            Error::Store(error) => error.kind(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::RulesetNotFound { .. } => "RULESET_NOT_FOUND",
            Error::RuleNotFound { .. } => "RULE_NOT_FOUND",
            Error::RuleExists { .. } => "RULE_EXISTS",
            Error::RevisionNotFound { .. } | Error::ThemesRevisionNotFound { .. } => "REVISION_NOT_FOUND",
            Error::ThemeNotFound { .. } => "THEME_NOT_FOUND",
            Error::ThemeExists { .. } => "THEME_EXISTS",
            Error::ThemeInvalid { .. } => "THEME_INVALID",
            Error::ProviderNotFound { .. } => "PROVIDER_NOT_FOUND",
            Error::ProviderExists { .. } => "PROVIDER_EXISTS",
            Error::ProviderInvalid { .. } => "PROVIDER_INVALID",
            Error::KeyNotFound { .. } => "KEY_NOT_FOUND",
            Error::KeyInvalid { .. } => "KEY_INVALID",
            Error::TooManyKeys { .. } => "TOO_MANY_KEYS",
            Error::TenantMismatch { .. } => "TENANT_MISMATCH",
            Error::TenantMissing => "TENANT_MISSING",
            Error::TenantTooLarge { .. } => "TENANT_TOO_LARGE",
            Error::TenantTooFast { .. } => "TENANT_TOO_FAST",
            Error::TooManyTenants => "TOO_MANY_TENANTS",
            Error::FlagNotFound { .. } => "FLAG_NOT_FOUND",
            Error::FlagInvalid { .. } => "FLAG_INVALID",
            Error::FieldInvalid { .. } => "FIELD_INVALID",
            Error::RulesetInvalid { .. } => "RULESET_INVALID",
            Error::EtagMismatch { .. } => "ETAG_MISMATCH",
            Error::TooManyChanges => "TOO_MANY_CHANGES",
            Error::ReleaseOutdated => "RELEASE_OUTDATED",
            Error::JournalLost => "JOURNAL_LOST",
            Error::SnapshotMissing { .. } => "JOURNAL_SNAPSHOT_MISSING",
            Error::Store(error) => error.reason(),
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let facts: &[(&str, String)] = match self {
            Error::RulesetNotFound { name } => &[("ruleset", name.clone())],
            Error::RuleNotFound { ruleset, rule } | Error::RuleExists { ruleset, rule } => {
                &[("ruleset", ruleset.clone()), ("rule", rule.clone())]
            }
            Error::RevisionNotFound { ruleset, revision } => {
                &[("ruleset", ruleset.clone()), ("revision", revision.to_string())]
            }
            Error::ThemeNotFound { theme } | Error::ThemeExists { theme } => &[("theme", theme.clone())],
            Error::ThemesRevisionNotFound { revision } => &[("revision", revision.to_string())],
            Error::ProviderNotFound { provider } | Error::ProviderExists { provider } => {
                &[("provider", provider.clone())]
            }
            Error::KeyNotFound { key } => &[("key", key.clone())],
            Error::FlagNotFound { flag } => &[("flag", flag.clone())],
            Error::TenantMismatch { tenant } => &[("tenant", tenant.clone())],
            Error::EtagMismatch { found } => &[("etag", found.clone())],
            _ => &[],
        };
        facts.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::RulesetInvalid { field, problem }
            | Error::ThemeInvalid { field, problem }
            | Error::ProviderInvalid { field, problem }
            | Error::KeyInvalid { field, problem }
            | Error::FlagInvalid { field, problem }
            | Error::FieldInvalid { field, problem } => {
                vec![Violation { field: field.clone(), description: problem.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::TooManyChanges => Some(Duration::from_millis(100)),
            Error::TenantTooFast { retry_after } => Some(*retry_after),
            Error::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}
