//! The links of an artefact: its URN, and where the definition of a stub is.

use std::io::Read;

use super::Artefact;
use crate::error::ParseError;
use crate::json::Json;
use crate::reader::json::member::Member;
use crate::reader::json::text::{self, Text};

/// One link.
#[derive(Debug, Default)]
pub(super) struct Link {
    relation: String,
    href: String,
    urn: String,
}

impl Artefact<'_> {
    /// Reads the links. That of relation `self` has the URN, and where there is no external one the location too.
    pub(super) fn links<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        let mut own_href = None;
        self.list(Member::Links, json, |artefact, json| {
            let Link { relation, href, urn } = &mut artefact.buffers.link;
            [&mut *relation, &mut *href, &mut *urn].into_iter().for_each(String::clear);
            while json.member()? {
                let field = match json.text() {
                    "rel" => &mut *relation,
                    "href" => &mut *href,
                    "urn" => &mut *urn,
                    _ => {
                        json.skip()?;
                        continue;
                    }
                };
                if text::one(json)? == Text::One {
                    json.text().trim().clone_into(field);
                }
            }
            let href = Some(&*href).filter(|href| !href.is_empty());
            match relation.as_str() {
                "self" => {
                    own_href = href.cloned();
                    if !urn.is_empty() {
                        let urn = std::mem::take(urn);
                        artefact.set_urn(&urn);
                    }
                }
                "external" | "structure" => {
                    let url = &mut artefact.external.structure_url;
                    *url = url.take().or_else(|| href.cloned());
                }
                _ => {}
            }
            Ok(())
        })?;
        let url = &mut self.external.structure_url;
        *url = url.take().or(own_href);
        Ok(())
    }
}
