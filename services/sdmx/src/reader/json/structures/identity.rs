//! The identity of a structure: its members, or else its URN.

use std::io::Read;

use super::parts::{Had, Parts};
use crate::error::ParseError;
use crate::reader::reference;
use crate::reference::Reference;

/// What a structure states of its identity.
#[derive(Debug, Default)]
pub(super) struct Identity {
    stated: Reference,
    urn: String,
}

// === impl Identity ===

impl Identity {
    /// Reads the value of a member: `id`, `agencyID`, `version`, `urn` or `links`.
    pub(super) fn read<R: Read>(&mut self, member: &str, parts: &mut Parts<'_, R>) -> Result<(), ParseError> {
        match member {
            "id" => self.stated.id = parts.kept(member)?,
            "agencyID" => self.stated.agency_id = parts.kept(member)?,
            "version" => self.stated.version = parts.kept(member)?,
            "urn" => self.urn = parts.kept(member)?,
            _ => parts.objects(member, |parts| self.link(parts))?,
        }
        Ok(())
    }

    /// Reads a link. That of relation `self` has the URN.
    fn link<R: Read>(&mut self, parts: &mut Parts<'_, R>) -> Result<(), ParseError> {
        let (mut had, mut relation, mut urn) = (Had::default(), String::new(), String::new());
        while let Some(member) = parts.member(&["rel", "urn"], &mut had)? {
            let field = if member == "rel" { &mut relation } else { &mut urn };
            *field = parts.kept(member)?;
        }
        if relation == "self" && self.urn.is_empty() {
            self.urn = urn;
        }
        Ok(())
    }

    /// The identity; `default_version` if no version is stated.
    pub(super) fn finish(self, default_version: &str) -> Reference {
        let Self { stated: mut identity, urn } = self;
        if identity.id.is_empty() {
            reference::complete(&mut identity, &urn);
        }
        if identity.version.is_empty() {
            identity.version.push_str(default_version);
        }
        identity
    }
}
