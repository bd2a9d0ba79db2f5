//! A catalogue of many short texts: one name and one sentence a dataflow, in one language, and nothing else. It costs most
//! for each byte, since nearly all of it is kept and searched.

use std::fmt::Write;
use std::io::Read;

use fastrand::Rng;

use super::{CUTS, Chunks, FOOTER, HEADER, NOTES, TOPICS};

/// Its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortTexts {
    /// Number of dataflows.
    pub flows: u32,
    /// A different seed gives a different catalogue of the same size.
    pub seed: u64,
}

impl ShortTexts {
    /// About 1 MB.
    pub const DEFAULT: Self = Self { flows: 1_500, seed: 1 };

    /// The document.
    #[must_use]
    pub fn reader(self) -> impl Read + Send + use<> {
        let flows = (0..self.flows).map(move |index| {
            let mut rng = Rng::with_seed(self.seed.rotate_left(32) ^ u64::from(index));
            dataflow(index, &mut rng).unwrap_or_default()
        });
        Chunks::new([HEADER.to_owned()].into_iter().chain(flows).chain([FOOTER.to_owned()]))
    }
}

fn dataflow(index: u32, rng: &mut Rng) -> Result<String, std::fmt::Error> {
    let (stem, subjects) = TOPICS[rng.usize(..TOPICS.len())];
    let (_, subject) = subjects[rng.usize(..subjects.len())];
    let (_, cut) = CUTS[rng.usize(..CUTS.len())];
    let (_, note) = NOTES[rng.usize(..NOTES.len())];
    let (id, year) = (format!("{}_{index:04}", stem.to_uppercase()), rng.u32(1990..2026));
    let name = super::escaped(&format!("{subject} {cut}, {year}"));
    let mut out = String::with_capacity(1 << 10);
    write!(
        out,
        "      <str:Dataflow id=\"{id}\" urn=\"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=GEN:{id}(1.0.0)\" \
         agencyID=\"GEN\" version=\"1.0.0\" isFinal=\"true\">\n        \
         <com:Name xml:lang=\"en\">{name}</com:Name>\n        \
         <com:Description xml:lang=\"en\">{note}</com:Description>\n        \
         <str:Structure>\n          <Ref id=\"{id}\" version=\"1.0.0\" agencyID=\"GEN\" package=\"datastructure\" \
         class=\"DataStructure\"/>\n        </str:Structure>\n      </str:Dataflow>\n"
    )?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataflow_is_read_with_its_texts() {
        let mut reader = dataflow_sdmx::StructureReader::new(
            ShortTexts { flows: 50, ..ShortTexts::DEFAULT }.reader(),
            dataflow_sdmx::Limits::default(),
        );
        let mut read = 0;
        while let Some(flow) = reader.next_dataflow().unwrap() {
            assert_eq!((flow.names.len(), flow.descriptions.len()), (1, 1), "{}", flow.id);
            read += 1;
        }
        assert_eq!((read, reader.diagnostics().total()), (50, 0));
    }
}
