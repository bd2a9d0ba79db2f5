//! Leases of keys.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::key::Key;
use crate::revision::{NotARevision, Revision};

/// Proves that its owner holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(Revision);

/// Leases of keys.
#[async_trait]
pub trait Leases {
    /// Acquires the lease of a key for the duration `hold`, with a new token from [`Token::random`]; returns whether
    /// the lease is held with this token. It is not while another caller holds it, or if there are too many leases. The
    /// lease ends when it expires, with any change of the key, or by [`release`](Leases::release). Release it also if
    /// this call failed: it may have been acquired nevertheless.
    async fn acquire(&self, key: &Key, token: Token, hold: Duration) -> Result<bool, Error>;

    /// Releases a lease without writing a value, and publishes that as a change of the key; returns whether the lease
    /// was held.
    async fn release(&self, key: &Key, token: Token) -> Result<bool, Error>;
}

// === impl Token ===

impl Token {
    /// A new random token.
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
