//! JWK Sets (RFC 7517, 5): the keys that verify tokens. Separate from tokens, because a set is read rarely and by the
//! operator's choice, while tokens come with every call and from outside.

mod key;

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;

use super::object::Object;
pub(crate) use key::{Algorithm, Key};

/// The most bytes of a set.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The most keys of a set, those that are skipped included.
pub(crate) const MAX_KEYS: usize = 1000;

/// The most bytes of a `kid`.
pub(crate) const MAX_KID: usize = 256;

/// The most characters that an error shows of what a URL serves.
const MAX_START: usize = 40;

/// Where a set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file, which may have secrets.
    File,
    /// A URL, whose content is public.
    Url,
}

/// The usable keys of a set: at least one, each `kid` at most once.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    skipped: usize,
}

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetError {
    /// It has too many bytes.
    #[error("the key set has {length} bytes, more than the {MAX_BYTES} allowed")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// There is nothing but white space.
    #[error("the key set is empty")]
    Empty,
    /// It is not text.
    #[error("the key set is not UTF-8 text")]
    NotUtf8,
    /// It is text of another format, or JSON with an error.
    #[error(
        "the key set is not JSON: it starts with {start:?}, and the error is in line {line}, column {column}"
    )]
    NotJson {
        /// The first characters; one if it is a file, which may have a secret.
        start: String,
        /// The line, from 1.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It is JSON, but no JWK Set.
    #[error(
        "this JSON is not a JWK Set, an object with one array of objects, \"keys\": see line {line}, column {column}"
    )]
    NotKeySet {
        /// The line, from 1.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It has too many keys.
    #[error("the key set has {keys} keys, more than the {MAX_KEYS} allowed")]
    TooManyKeys {
        /// How many there are.
        keys: usize,
    },
    /// None of its keys can verify a token.
    #[error(
        "the key set has no usable key; {skipped} of other types, curves, algorithms or uses were skipped"
    )]
    NoUsableKey {
        /// How many keys there are.
        skipped: usize,
    },
    /// Two usable keys have the same `kid`, so that it does not name one of them.
    #[error("two keys of the key set have the kid {kid:?}")]
    KidRepeated {
        /// The `kid`.
        kid: String,
    },
}

/// A JWK Set. Members other than `keys` are ignored (RFC 7517, 5).
#[derive(serde::Deserialize)]
struct Document {
    keys: Jwks,
}

/// The first keys, and the number of all.
struct Jwks {
    first: Vec<Object>,
    count: usize,
}

struct JwksVisitor;

// === impl KeySet ===

impl KeySet {
    /// Reads a set. Keys that this program does not understand are skipped, as RFC 7517 (5) recommends, so that a
    /// provider can add others.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] if it is not a JWK Set, exceeds a limit, is ambiguous, or has no usable key.
    pub(crate) fn parse(json: &[u8], origin: Origin) -> Result<Self, KeySetError> {
        if json.len() > MAX_BYTES {
            return Err(KeySetError::TooLong { length: json.len() });
        }
        let text = str::from_utf8(json).map_err(|_| KeySetError::NotUtf8)?;
        if text.trim().is_empty() {
            return Err(KeySetError::Empty);
        }
        let document: Document =
            serde_json::from_str(text).map_err(|error| KeySetError::new(&error, text, origin))?;
        let Jwks { first, count } = document.keys;
        if count > MAX_KEYS {
            return Err(KeySetError::TooManyKeys { keys: count });
        }
        let keys: Vec<_> = first.iter().filter_map(|jwk| Key::read(jwk, origin)).collect();
        let skipped = count - keys.len();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey { skipped });
        }
        let mut kids = HashSet::new();
        match keys.iter().filter_map(Key::kid).find(|kid| !kids.insert(*kid)) {
            Some(kid) => Err(KeySetError::KidRepeated { kid: kid.to_owned() }),
            None => Ok(Self { keys, skipped }),
        }
    }

    /// How many keys of the set are not used.
    pub(crate) fn skipped(&self) -> usize {
        self.skipped
    }

    /// The usable keys, in the order of the set.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key with a `kid`, in which case matters.
    pub(crate) fn with_kid(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid() == Some(kid))
    }
}

// === impl KeySetError ===

impl KeySetError {
    /// Never what serde_json says, which may show a secret.
    fn new(error: &serde_json::Error, text: &str, origin: Origin) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.classify() == Category::Data {
            return KeySetError::NotKeySet { line, column };
        }
        let shown = match origin {
            Origin::File => 1,
            Origin::Url => MAX_START,
        };
        KeySetError::NotJson { start: text.trim_start().chars().take(shown).collect(), line, column }
    }
}

// === impl Jwks ===

impl<'de> Deserialize<'de> for Jwks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(JwksVisitor)
    }
}

// === impl JwksVisitor ===

impl<'de> Visitor<'de> for JwksVisitor {
    type Value = Jwks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Jwks, A::Error> {
        let mut first = Vec::new();
        while first.len() < MAX_KEYS {
            let Some(jwk) = array.next_element()? else { break };
            first.push(jwk);
        }
        let mut count = first.len();
        while array.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Jwks { first, count })
    }
}

#[cfg(test)]
mod tests;
