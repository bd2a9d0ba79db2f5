//! What a caller may do: the scopes that are granted to callers, and the one that each method requires, by the method
//! option `dataflow.mesh.v1.scope`. One table, made from the descriptor set, decides for every protocol.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dataflow_proto::mesh::v1 as pb;

use crate::descriptor_set::FileSet;
use crate::descriptors::options::{self, MethodOptions};

/// What is granted to a caller, or required by a method. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read, or compute from what the request contains.
    Read,
    /// Change what belongs to the caller's tenant.
    Write,
    /// Change or show what concerns all callers of its tenant, or of the mesh if it has none.
    Admin,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Callers with this scope.
    Scope(Scope),
    /// Callers that may write for their tenant; of those that belong to none, administrators.
    TenantWrite,
    /// Administrators that belong to no tenant.
    OfMesh,
    /// Services of the mesh only.
    Internal,
}

/// The access of every method of a descriptor set. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessTable(Arc<HashMap<String, Access>>);

/// A word is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: read, write, admin")]
pub struct NotAScope;

// === impl Scope ===

impl Scope {
    /// The scope on the wire; none if a caller cannot have it, or a later contract has added it.
    pub fn from_wire(number: i32) -> Option<Self> {
        match pb::Scope::try_from(number) {
            Ok(pb::Scope::Read) => Some(Scope::Read),
            Ok(pb::Scope::Write) => Some(Scope::Write),
            Ok(pb::Scope::Admin) => Some(Scope::Admin),
            Ok(
                pb::Scope::Unspecified | pb::Scope::Internal | pb::Scope::MeshAdmin | pb::Scope::TenantWrite,
            )
            | Err(_) => None,
        }
    }

    /// All scopes that a caller with this one has, as the header and tokens name them.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "read write",
            Scope::Admin => "read write admin",
        }
    }

    /// The widest of these words, with or without the prefix `dataflow:`. Others are of other systems.
    pub fn widest<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let ours = words.into_iter().map(|word| word.strip_prefix("dataflow:").unwrap_or(word));
        ours.filter_map(|word| word.parse().ok()).max()
    }
}

impl From<Scope> for pb::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Admin => Self::Admin,
        }
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(word: &str) -> Result<Self, NotAScope> {
        match word {
            "read" => Ok(Scope::Read),
            "write" => Ok(Scope::Write),
            "admin" => Ok(Scope::Admin),
            _ => Err(NotAScope),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        })
    }
}

// === impl AccessTable ===

impl AccessTable {
    /// The access of every method of a descriptor set.
    ///
    /// # Panics
    ///
    /// If it is not one; a server has read it before.
    pub fn of(descriptor_set: &[u8]) -> Self {
        let options = options::of(&FileSet::read(descriptor_set)).into_iter();
        Self(Arc::new(options.map(|(path, options)| (path, access(options))).collect()))
    }

    /// The access of the method at a path; none if there is no such method.
    pub fn get(&self, path: &str) -> Option<Access> {
        self.0.get(path).copied()
    }
}

fn access(options: MethodOptions) -> Access {
    if let Some(scope) = Scope::from_wire(options.scope) {
        return Access::Scope(scope);
    }
    match pb::Scope::try_from(options.scope) {
        Ok(pb::Scope::MeshAdmin) => Access::OfMesh,
        Ok(pb::Scope::TenantWrite) => Access::TenantWrite,
        Ok(pb::Scope::Unspecified) if options.has_side_effects => Access::Scope(Scope::Write),
        Ok(pb::Scope::Unspecified) => Access::Scope(Scope::Read),
        // What a later contract has added is not granted.
        _ => Access::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_states_no_scope_needs_one_by_its_effects() {
        let options =
            |scope: i32, has_side_effects| MethodOptions { is_bulk: false, scope, has_side_effects };
        let check = |options: MethodOptions, expected: Access| {
            assert_eq!(access(options), expected, "{options:?}");
        };
        check(options(0, false), Access::Scope(Scope::Read));
        check(options(0, true), Access::Scope(Scope::Write));
        for has_side_effects in [false, true] {
            check(options(1, has_side_effects), Access::Scope(Scope::Read));
            check(options(2, has_side_effects), Access::Scope(Scope::Write));
            check(options(3, has_side_effects), Access::Scope(Scope::Admin));
            check(options(4, has_side_effects), Access::Internal);
            check(options(5, has_side_effects), Access::OfMesh);
            check(options(6, has_side_effects), Access::TenantWrite);
            check(options(7, has_side_effects), Access::Internal);
        }
        let health = AccessTable::of(tonic_health::pb::FILE_DESCRIPTOR_SET);
        assert_eq!(health.get("/grpc.health.v1.Health/Check"), Some(Access::Scope(Scope::Write)));
        assert_eq!(health.get("/grpc.health.v1.Health/check"), None);
    }

    #[test]
    fn the_widest_of_our_scopes_counts() {
        let check = |words: &str, expected: Option<Scope>| {
            assert_eq!(Scope::widest(words.split(' ')), expected, "{words}");
        };
        check("", None);
        check("openid profile", None);
        check("read", Some(Scope::Read));
        check("dataflow:admin openid", Some(Scope::Admin));
        check("write read dataflow:read", Some(Scope::Write));
        check("READ dataflow:Write other:admin dataflow:", None);
    }
}
