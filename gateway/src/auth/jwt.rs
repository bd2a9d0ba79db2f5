//! JSON Web Tokens (RFC 7519): who signed a token and what it says, checked against the keys of a JWK Set. It knows
//! neither HTTP nor files nor a clock, so that every rule can be tested with values: the caller fetches the key set,
//! takes the token from its request, and passes the time.
//!
//! [`key_set`] reads the keys, [`token`] verifies with them, and [`verified`] remembers what was verified. `object`
//! reads the JSON of both.

pub(crate) mod key_set;
pub(crate) mod token;
pub(crate) mod verified;

mod object;

#[cfg(test)]
mod tests;
