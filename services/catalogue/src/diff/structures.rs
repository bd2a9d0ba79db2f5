//! Data structures whose content differs under the same version.

use std::collections::HashMap;

use dataflow_sdmx::{Dimension, Reference, StructureReference};

use super::change::Field;
use crate::content::Structure;
use crate::stored::packed::Packed;

/// What changed in each data structure whose content differs.
#[derive(Debug)]
pub(super) struct Changed<'a>(HashMap<&'a Reference, Vec<Field>>);

/// Compares the data structures that both contents have.
pub(super) fn changed<'a>(base: &Packed, head: &'a Packed) -> Changed<'a> {
    let fields = |after: &'a Structure| {
        let before = base.structure(&after.identity)?;
        let fields = compare((before, base), (after, head));
        (!fields.is_empty()).then_some((&after.identity, fields))
    };
    Changed(head.structures().filter_map(fields).collect())
}

fn compare((before, base): (&Structure, &Packed), (after, head): (&Structure, &Packed)) -> Vec<Field> {
    let mut fields = Vec::new();
    let ids = |structure: &Structure| {
        structure.dimensions.iter().map(|dimension| dimension.id.as_str()).collect::<Vec<_>>().join(".")
    };
    let (was, is) = (ids(before), ids(after));
    if was != is {
        fields.push(Field::new("dimensions", &was, &is));
    }
    for dimension in &after.dimensions {
        let Some(old) = before.dimensions.iter().find(|old| old.id == dimension.id) else { continue };
        let codelist = |dimension: &Dimension| match dimension.codelist.id.as_str() {
            "" => String::new(),
            _ => dimension.codelist.to_string(),
        };
        let (was, is) = (codelist(old), codelist(dimension));
        if was != is {
            fields.push(Field::new(format!("dimension.{}.codelist", dimension.id), &was, &is));
        } else if let (Some(was), Some(is)) = (base.codes(&old.codelist), head.codes(&dimension.codelist))
            && was != is
        {
            let name = format!("dimension.{}.codes", dimension.id);
            fields.push(Field::new(name, &was.to_string(), &is.to_string()));
        }
    }
    fields
}

// === impl Changed ===

impl Changed<'_> {
    /// Whether none differs.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What changed in the data structure that a dataflow names.
    pub(super) fn of(&self, structure: &StructureReference) -> Option<&[Field]> {
        let StructureReference { agency_id, id, version } = structure.clone();
        self.0.get(&Reference { agency_id, id, version }).map(Vec::as_slice)
    }
}
