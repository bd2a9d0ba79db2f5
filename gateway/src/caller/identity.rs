//! Whom a rate limit is for, without its name: state, metrics and the store have digests only.

use std::fmt::Write;

use dataflow_mesh::identity::Principal;
use ring::digest::{Context, SHA256};

/// The kinds of identities that have rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The subject of a token, or an API key, within its tenant.
    Subject,
    /// The tenant of a caller.
    Tenant,
}

/// A tenant or a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    digest: [u8; 32],
}

// === impl Kind ===

impl Kind {
    /// All, in the order of their declaration.
    pub(crate) const ALL: [Self; 2] = [Kind::Subject, Kind::Tenant];

    /// As headers, errors and the store name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tenant => "tenant",
            Kind::Subject => "subject",
        }
    }
}

// === impl Identity ===

impl Identity {
    /// The identity of a caller; none if it has no name of this kind.
    pub(super) fn of(kind: Kind, caller: &Principal) -> Option<Self> {
        let subject = match kind {
            Kind::Tenant if caller.tenant.is_empty() => return None,
            Kind::Tenant => "",
            Kind::Subject if caller.subject.is_empty() => return None,
            Kind::Subject => &caller.subject,
        };
        let mut context = Context::new(&SHA256);
        // A tenant has no control characters, so that other names give other texts.
        for part in [&caller.tenant, "\n", subject] {
            context.update(part.as_bytes());
        }
        let digest = context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        Some(Self { kind, digest })
    }

    /// The key of its state in the store.
    pub(crate) fn key(&self) -> String {
        let mut key = format!("{}:", self.kind.name());
        for byte in self.digest {
            write!(key, "{byte:02x}").expect("writing to a string does not fail");
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ_by_kind_tenant_and_subject() {
        let of = |kind, tenant: &str, subject: &str| {
            let (tenant, subject) = (tenant.to_owned(), subject.to_owned());
            Identity::of(kind, &Principal { tenant, subject, ..Principal::default() })
        };
        use Kind::{Subject, Tenant};
        assert_eq!(of(Tenant, "", "ada"), None);
        assert_eq!(of(Subject, "acme", ""), None);
        assert_eq!(of(Tenant, "acme", "ada"), of(Tenant, "acme", "bob"));
        let different = [
            of(Tenant, "acme", "ada"),
            of(Subject, "acme", "ada"),
            of(Subject, "", "ada"),
            of(Subject, "acm", "eada"),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(different[index + 1..].iter().all(|other| other != one), "{index}");
        }
        let key = different[0].unwrap().key();
        assert!(key.starts_with("tenant:") && key.len() == 71, "{key}");
    }
}
