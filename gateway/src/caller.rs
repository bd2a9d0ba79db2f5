//! The caller of a call, once it is known, with what follows from its names: the headers that state it to services, and
//! the identities of its rate limits. Made once for each token or key, and shared by all of its calls.

mod identity;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use dataflow_mesh::identity::{Names, Principal};

pub(crate) use identity::{Identity, Kind};

/// A caller that was admitted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    principal: Principal,
    names: Names,
    /// In the order of [`Kind::ALL`]; not made before a limit applies.
    identities: OnceLock<[Option<Identity>; 2]>,
}

// === impl Caller ===

impl Caller {
    /// The names as headers state them.
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// The identity of a rate limit; none if the caller has no name of this kind.
    pub(crate) fn identity(&self, kind: Kind) -> Option<Identity> {
        let of = |kind| Identity::of(kind, &self.0.principal);
        self.0.identities.get_or_init(|| Kind::ALL.map(of))[kind as usize]
    }
}

impl From<Principal> for Caller {
    fn from(principal: Principal) -> Self {
        let names = Names::of(&principal);
        Self(Arc::new(Known { principal, names, identities: OnceLock::new() }))
    }
}

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0.principal
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        // All else follows from it.
        self.0.principal == other.0.principal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_the_identities_of_its_names() {
        let principal =
            Principal { tenant: "acme".to_owned(), subject: "ada".to_owned(), ..Principal::default() };
        let caller = Caller::from(principal.clone());
        for kind in Kind::ALL {
            for _ in 0..2 {
                let identity = caller.identity(kind).unwrap();
                assert_eq!(Some(identity), Identity::of(kind, &principal));
                assert_eq!(identity.kind, kind);
            }
            assert_eq!(Caller::default().identity(kind), None);
        }
    }
}
