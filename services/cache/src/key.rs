//! What a key may be.

use std::fmt;
use std::str::FromStr;

/// Longest part of a key after its namespace, in bytes.
pub const MAX_NAME: usize = 512;
/// Longest namespace, in bytes.
pub const MAX_NAMESPACE: usize = 32;

/// A key, `NAMESPACE/NAME`. The namespace decides who may use it, so that it is part of the type's promise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no namespace of 1 to [`MAX_NAMESPACE`] characters of `a-z`, or nothing after it.
    #[error("must be NAMESPACE/NAME, the namespace of 1 to {MAX_NAMESPACE} characters of a-z")]
    Shape,
    /// The name is empty or too long.
    #[error("the name after the namespace must be 1 to {MAX_NAME} bytes, is {length}")]
    Length {
        /// Its length in bytes.
        length: usize,
    },
    /// The name holds another character.
    #[error("must hold only A-Z a-z 0-9 . _ - / : =, holds {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
}

// === impl Key ===

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (namespace, name) = text.split_once('/').ok_or(KeyError::Shape)?;
        let right = (1..=MAX_NAMESPACE).contains(&namespace.len())
            && namespace.bytes().all(|byte| byte.is_ascii_lowercase());
        if !right {
            return Err(KeyError::Shape);
        }
        if !(1..=MAX_NAME).contains(&name.len()) {
            return Err(KeyError::Length { length: name.len() });
        }
        let allowed = |found: &char| found.is_ascii_alphanumeric() || "._-/:=".contains(*found);
        match name.chars().find(|found| !allowed(found)) {
            Some(found) => Err(KeyError::Character { found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_namespace_and_a_bounded_plain_name() {
        let check = |text: &str, expected: Result<(), KeyError>| {
            assert_eq!(text.parse::<Key>().map(drop), expected, "{text:?}");
        };
        check("user/a", Ok(()));
        check("user/A-Z/0.9_x:y=z", Ok(()));
        check(&format!("user/{}", "x".repeat(MAX_NAME)), Ok(()));
        check(&format!("user/{}", "x".repeat(MAX_NAME + 1)), Err(KeyError::Length { length: MAX_NAME + 1 }));
        check("user/", Err(KeyError::Length { length: 0 }));
        check(&format!("{}/a", "n".repeat(MAX_NAMESPACE)), Ok(()));
        check(&format!("{}/a", "n".repeat(MAX_NAMESPACE + 1)), Err(KeyError::Shape));
        check("", Err(KeyError::Shape));
        check("user", Err(KeyError::Shape));
        check("/a", Err(KeyError::Shape));
        check("User/a", Err(KeyError::Shape));
        check("user/a b", Err(KeyError::Character { found: ' ' }));
        check("user/à", Err(KeyError::Character { found: 'à' }));
        check("user/a\0", Err(KeyError::Character { found: '\0' }));
    }
}
