//! The right to compute what belongs under a key, held by one at a time and for a limited time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::entries::{NotARevision, Revision};
use crate::error::Error;
use crate::key::Key;

/// What the holder of a lease shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(Revision);

/// The right to compute what belongs under a key.
#[async_trait]
pub trait Leases {
    /// Takes the lease of a key for this long in exchange for a token that nobody had before; whether it is ours. It is not
    /// while somebody else holds it, or where there are too many. It ends by itself, with any change of the key, or by
    /// [`release`](Leases::release), also when this call failed: it may have been taken all the same.
    async fn acquire(&self, key: &Key, token: Token, hold: Duration) -> Result<bool, Error>;

    /// Gives a lease back without a result, and tells everybody who listens to changes of the key; whether it was held.
    async fn release(&self, key: &Key, token: Token) -> Result<bool, Error>;
}

// === impl Token ===

impl Token {
    /// A new one.
    pub fn random() -> Self {
        Self(Revision::random())
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Token {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        text.parse().map(Self)
    }
}
