//! Cache keys: syntax, namespaces and tenants.

use std::fmt;
use std::sync::Arc;

use dataflow_store::key::Space;

/// The store's space of entries.
pub const ENTRIES: Space = Space::volatile("cache");
/// The store's space of tags' generations.
pub const TAGS: Space = Space::volatile("tag");

/// Longest name of a key, the part after its namespace, in bytes.
pub const MAX_NAME: usize = 512;
/// Longest tag, in bytes.
pub const MAX_TAG: usize = 128;

/// The namespace of external callers.
pub const USER: &str = "user";
/// The additional namespaces of callers within the mesh.
const INTERNAL: [&str; 1] = [RESULTS];
const RESULTS: &str = "results";
/// All namespaces.
pub(crate) const NAMESPACES: [&str; 2] = [USER, RESULTS];

/// The caller of a request, who determines the accessible keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The tenant; empty without tenants.
    pub tenant: Arc<str>,
    /// Whether the caller is a service of the mesh, not an external client of the gateway.
    pub internal: bool,
}

/// A namespace of one tenant. Tenants share no entries and no tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The tenant, escaped as in the store's keys.
    tenant: String,
    name: &'static str,
}

/// A key, `NAMESPACE/NAME`, of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    namespace: Namespace,
    name: String,
}

/// Why a text is not a valid key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The namespace is missing, or not accessible to the caller.
    #[error("must be NAMESPACE/NAME, the namespace one of: {}", known.join(", "))]
    Namespace {
        /// The accessible namespaces.
        known: Vec<&'static str>,
    },
    /// The name is empty or too long.
    #[error("the name must be 1 to {max} bytes, is {length}")]
    Length {
        /// Its length in bytes.
        length: usize,
        /// The longest it may be.
        max: usize,
    },
    /// A prefix within an internal namespace. The store keys of its entries have no common prefix.
    #[error("must be the whole namespace, {namespace}/")]
    InternalPrefix {
        /// The namespace.
        namespace: &'static str,
    },
    /// The name contains another character.
    #[error("must contain only A-Z a-z 0-9 . _ - / : =, contains {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
}

// === impl Caller ===

impl Caller {
    /// The namespace of this name; the external one if empty.
    ///
    /// # Errors
    ///
    /// [`KeyError::Namespace`] if the namespace is not accessible to this caller, whether or not it exists for others.
    pub fn namespace(&self, name: &str) -> Result<Namespace, KeyError> {
        let name = if name.is_empty() { USER } else { name };
        match self.namespaces().find(|known| *known == name) {
            Some(name) => Ok(Namespace { tenant: escape(&self.tenant), name }),
            None => Err(KeyError::Namespace { known: self.namespaces().collect() }),
        }
    }

    /// The accessible namespaces.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &'static str> + use<> {
        let internal = self.internal;
        NAMESPACES.into_iter().filter(move |name| internal || !INTERNAL.contains(name))
    }

    /// Parses a key of this caller.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn key(&self, text: &str) -> Result<Key, KeyError> {
        let key = self.parse(text)?;
        if key.name.is_empty() { Err(KeyError::Length { length: 0, max: MAX_NAME }) } else { Ok(key) }
    }

    /// Parses a prefix of keys: a namespace, `/`, and, unless the namespace is internal, any or no characters of a
    /// name.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn prefix(&self, text: &str) -> Result<Key, KeyError> {
        let prefix = self.parse(text)?;
        if prefix.namespace.is_internal() && !prefix.name.is_empty() {
            return Err(KeyError::InternalPrefix { namespace: prefix.namespace.name });
        }
        Ok(prefix)
    }

    fn parse(&self, text: &str) -> Result<Key, KeyError> {
        // A prefix without a namespace is invalid; an empty namespace would mean the external one.
        let parts = text.split_once('/').filter(|(namespace, _)| !namespace.is_empty());
        let (namespace, name) = parts.unwrap_or(("/", text));
        let namespace = self.namespace(namespace)?;
        if name.len() > MAX_NAME {
            return Err(KeyError::Length { length: name.len(), max: MAX_NAME });
        }
        check_characters(name)?;
        Ok(Key { namespace, name: name.to_owned() })
    }
}

pub(crate) fn check_characters(name: &str) -> Result<(), KeyError> {
    let allowed = |found: &char| found.is_ascii_alphanumeric() || "._-/:=".contains(*found);
    name.chars().find(|found| !allowed(found)).map_or(Ok(()), |found| Err(KeyError::Character { found }))
}

/// Escapes a tenant's name: other characters become the hexadecimal codes of their bytes, so that different names stay
/// different.
fn escape(tenant: &str) -> String {
    tenant.bytes().fold(String::with_capacity(tenant.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b".-".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("_{byte:02x}"));
        }
        escaped
    })
}

// === impl Namespace ===

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its tenant, escaped.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether only callers within the mesh can access it.
    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL.contains(&self.name)
    }

    /// Parses a tag of this namespace.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::Character`].
    pub fn tag(&self, name: &str) -> Result<Tag, KeyError> {
        if !(1..=MAX_TAG).contains(&name.len()) {
            return Err(KeyError::Length { length: name.len(), max: MAX_TAG });
        }
        check_characters(name)?;
        Ok(Tag {
            name: name.to_owned(),
            store_key: TAGS.key(format!("{}:{}/{name}", self.tenant, self.name)),
        })
    }
}

/// A tag of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name within the namespace.
    pub name: String,
    /// The store key of its generation.
    pub store_key: dataflow_store::key::Key,
}

// === impl Key ===

impl Key {
    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its name within the namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The store key of an entry of this namespace that is stored under `name`.
    pub(crate) fn store_key(&self, name: &str) -> dataflow_store::key::Key {
        let Namespace { tenant, name: namespace } = &self.namespace;
        ENTRIES.key(format!("{tenant}:{namespace}/{name}"))
    }
}

/// As its tenant writes it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace.name, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(tenant: &str) -> Caller {
        Caller { tenant: tenant.into(), internal: false }
    }

    #[test]
    fn keys_have_a_namespace_and_a_name_of_allowed_characters() {
        let check = |text: &str, expected: Result<(), KeyError>| {
            assert_eq!(external("acme").key(text).map(drop), expected, "{text:?}");
        };
        let unknown = || Err(KeyError::Namespace { known: vec![USER] });
        check("user/a", Ok(()));
        check("user/A-Z/0.9_x:y=z", Ok(()));
        check(&format!("user/{}", "x".repeat(MAX_NAME)), Ok(()));
        check(
            &format!("user/{}", "x".repeat(MAX_NAME + 1)),
            Err(KeyError::Length { length: MAX_NAME + 1, max: MAX_NAME }),
        );
        check("user/", Err(KeyError::Length { length: 0, max: MAX_NAME }));
        check("", unknown());
        check("user", unknown());
        check("/a", unknown());
        check("User/a", unknown());
        check("other/a", unknown());
        check("results/a", unknown());
        check("user/a b", Err(KeyError::Character { found: ' ' }));
        check("user/à", Err(KeyError::Character { found: 'à' }));
        check("user/a\0", Err(KeyError::Character { found: '\0' }));
        let internal = Caller { internal: true, ..external("") };
        assert_eq!(internal.key("results/a").unwrap().to_string(), "results/a");
        assert_eq!(internal.key("rules/a"), Err(KeyError::Namespace { known: vec![USER, "results"] }));
    }

    #[test]
    fn a_prefix_is_a_key_whose_name_may_be_empty() {
        let stored = |caller: Caller, prefix: &str| {
            let prefix = caller.prefix(prefix)?;
            Ok(prefix.store_key(prefix.name()).name)
        };
        assert_eq!(stored(external("acme"), "user/").as_deref(), Ok("acme:user/"));
        assert_eq!(stored(external("acme"), "user/a").as_deref(), Ok("acme:user/a"));
        assert!(external("acme").prefix("").is_err() && external("acme").prefix("user").is_err());
        let internal = || Caller { internal: true, ..external("acme") };
        assert_eq!(stored(internal(), "results/").as_deref(), Ok("acme:results/"));
        assert_eq!(stored(internal(), "results/v"), Err(KeyError::InternalPrefix { namespace: "results" }));
    }

    #[test]
    fn keys_of_tenants_do_not_collide() {
        let check = |tenant: &str, expected: &str| {
            let key = external(tenant).key("user/a").unwrap();
            assert_eq!(key.store_key(key.name()).name, expected, "{tenant:?}");
        };
        check("", ":user/a");
        check("acme", "acme:user/a");
        // None of these may collide with a key of another tenant.
        check("acme:user/a", "acme_3auser_2fa:user/a");
        check("a_b", "a_5fb:user/a");
        check("a b", "a_20b:user/a");
    }

    #[test]
    fn tags_have_the_character_set_of_keys() {
        let namespace = external("acme").namespace("").unwrap();
        assert_eq!(namespace.tag("istat").unwrap().store_key.name, "acme:user/istat");
        assert!(namespace.tag(&"x".repeat(MAX_TAG)).is_ok());
        assert_eq!(
            namespace.tag(&"x".repeat(MAX_TAG + 1)),
            Err(KeyError::Length { length: MAX_TAG + 1, max: MAX_TAG })
        );
        assert_eq!(namespace.tag(""), Err(KeyError::Length { length: 0, max: MAX_TAG }));
        assert_eq!(namespace.tag("a\n"), Err(KeyError::Character { found: '\n' }));
    }
}
