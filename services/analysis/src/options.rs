//! The parameters of a catalogue analysis other than the document.

use dataflow_mesh::inbound::Claimant;

use crate::Error;
use dataflow_uploads::document::Fingerprint;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The rule set's name; empty for the default one.
    pub ruleset: String,
    /// The provider's name; empty to take it from the document.
    pub provider: String,
    /// The fingerprint that the caller announced for the document, if any.
    pub digest: Option<Fingerprint>,
    /// Whose upload it is, with the tenant.
    pub claimant: Claimant,
}

// === impl Options ===

impl Options {
    /// Checks that the document has the digest that the caller announced.
    pub(crate) fn verify(&self, found: Fingerprint) -> Result<(), Error> {
        match self.digest {
            Some(digest) if digest != found => Err(dataflow_uploads::Error::DigestMismatch { found }.into()),
            _ => Ok(()),
        }
    }
}
