//! Reads the documents of a catalogue as they arrive, and packs them.

use std::collections::HashMap;
use std::io::Read;

use dataflow_sdmx::{Fault, Limits, ParseError, Position, Severity, StructureReader, Structures, Themes};
use dataflow_uploads::budget::Budget;
use dataflow_uploads::document::Documents;

use crate::Error;
use crate::stored::packing::{PackedCatalogue, Packer};

/// A catalogue that was read.
#[derive(Debug)]
pub struct ReadCatalogue {
    /// Its content.
    pub packed: PackedCatalogue,
    /// The agencies of its dataflows, with their numbers of dataflows.
    pub agencies: HashMap<String, u32>,
    /// What could not be read.
    pub warnings: u32,
}

/// Memory of a dataflow that waits to be packed, beside its texts.
const DATAFLOW_OVERHEAD: usize = 160;

/// Reads a catalogue and further documents to their ends. Memory is bounded by the budget, and by the limits of themes
/// and structures.
///
/// # Errors
///
/// If a whole document cannot be parsed, or the budget is used up.
pub fn read(
    documents: &mut impl Documents,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<ReadCatalogue, Error> {
    let (mut packer, mut agencies) = (Packer::default(), HashMap::new());
    let (themes, structures) = (Themes::within(budget.room()), Structures::within(budget.room()));
    let reader = reader(&mut *documents, limits, themes, structures);
    let mut reader = reader.with_annotations();
    while let Some(dataflow) = budget.next_dataflow(&mut reader)? {
        budget.check()?;
        match agencies.get_mut(&dataflow.agency_id) {
            Some(count) => *count += 1,
            None => _ = agencies.insert(dataflow.agency_id.clone(), 1),
        }
        budget.add(packer.add(&dataflow) + DATAFLOW_OVERHEAD)?;
    }
    let mut structures = reader.take_structures();
    let (mut diagnostics, mut themes) = reader.into_parts();
    for number in 1.. {
        let next = documents.next_document();
        let position = Position::start_of(number);
        if !next.map_err(|error| ParseError { fault: Fault::Read(error), position })? {
            break;
        }
        let reader = self::reader(&mut *documents, limits, themes, structures);
        let mut reader = reader.following(number, diagnostics);
        while budget.next_dataflow(&mut reader)?.is_some() {
            budget.check()?;
        }
        structures = reader.take_structures();
        (diagnostics, themes) = reader.into_parts();
    }
    budget.check()?;
    let resolved = themes.resolve(limits, &mut diagnostics);
    let packed = packer.finish(&resolved, &structures);
    budget.add(usize::try_from(packed.stored_bytes()).unwrap_or(usize::MAX))?;
    let warnings = u32::try_from(diagnostics.count(Severity::Warning)).unwrap_or(u32::MAX);
    Ok(ReadCatalogue { packed, agencies, warnings })
}

fn reader<R: Read>(
    document: R,
    limits: &Limits,
    themes: Themes,
    structures: Structures,
) -> StructureReader<R> {
    let reader = StructureReader::new(document, limits.clone()).without_legacy();
    reader.with_themes(themes).with_structures(structures)
}
