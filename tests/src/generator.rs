//! Generated catalogues: realistic SDMX 2.1 structure messages of any size, and hostile documents.
//!
//! Everything is a `Read` that generates its bytes lazily, so that a test with a gigabyte does not allocate one. The
//! same parameters give the same bytes on every machine. Names are composed from the word lists below; no provider
//! published them.

use std::fmt::Write;
use std::io::{self, Read};

use fastrand::Rng;

pub use short_texts::ShortTexts;

mod short_texts;

/// The parameters of a generated catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalogue {
    /// Number of dataflows.
    pub flows: u32,
    /// Size of the document in bytes. Exceeded by less than one dataflow, and reached only if it allows about 1.2 kB
    /// for each.
    pub bytes: u64,
    /// A different seed gives a different catalogue of the same size.
    pub seed: u64,
}

impl Catalogue {
    /// The size of Eurostat's catalogue: 8,000 dataflows in 26 MB.
    pub const LARGE: Self = Self { flows: 8_000, bytes: 26_000_000, seed: 1 };

    /// The document.
    #[must_use]
    pub fn reader(self) -> impl Read + Send + use<> {
        let mut written = 0;
        let flows = (0..self.flows).map(move |index| self.flow(index));
        let parts = [HEADER.to_owned()].into_iter().map(|head| (0, head));
        let parts = parts.chain(flows).chain([(0, FOOTER.to_owned())]);
        Chunks::new(parts.map(move |(due, mut part)| {
            fill(&mut part, due, written);
            written += part.len() as u64;
            part
        }))
    }

    /// One dataflow without padding, and the offset in the document at which it must end.
    fn flow(self, index: u32) -> (u64, String) {
        let mut rng = Rng::with_seed(self.seed.rotate_left(32) ^ u64::from(index));
        let due = self.bytes * u64::from(index + 1) / u64::from(self.flows);
        (due, dataflow(index, &mut rng).unwrap_or_default())
    }
}

const HEADER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- generated -->\n<mes:Structure \
xmlns:mes=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message\" \
xmlns:str=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure\" \
xmlns:com=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common\">\n  <mes:Header>\n    <mes:ID>GEN1</mes:ID>\n    \
<mes:Test>false</mes:Test>\n    <mes:Prepared>2026-11-01T08:00:00Z</mes:Prepared>\n    <mes:Sender id=\"GEN\"/>\n  \
</mes:Header>\n  <mes:Structures>\n    <str:Dataflows>\n";

const FOOTER: &str = "    </str:Dataflows>\n  </mes:Structures>\n</mes:Structure>\n";

/// The end of the annotations of every dataflow; padding is inserted before it.
const END_OF_ANNOTATIONS: &str = "        </com:Annotations>\n";

/// A stem for ids, then Italian and English subjects.
type Topic = (&'static str, &'static [(&'static str, &'static str)]);

const TOPICS: [Topic; 7] = [
    (
        "demo",
        &[
            ("Popolazione residente", "Resident population"),
            ("Nati vivi", "Live births"),
            ("Saldo migratorio", "Net migration"),
            ("Famiglie anagrafiche", "Registered households"),
        ],
    ),
    (
        "nama",
        &[
            ("Prodotto interno lordo", "Gross domestic product"),
            ("Prezzi al consumo", "Consumer prices"),
            ("Fatturato dell'industria", "Turnover in industry"),
            ("Esportazioni di beni & servizi", "Exports of goods & services"),
        ],
    ),
    (
        "lfs",
        &[
            ("Occupati", "Employed persons"),
            ("Tasso di disoccupazione", "Unemployment rate"),
            ("Retribuzioni contrattuali", "Contractual wages"),
        ],
    ),
    (
        "env",
        &[
            ("Superficie dei comuni", "Area of municipalities"),
            ("Rifiuti urbani", "Municipal waste"),
            ("Consumi di energia elettrica", "Electricity consumption"),
        ],
    ),
    (
        "educ",
        &[
            ("Studenti iscritti all'università", "Students enrolled at university"),
            ("Laureati", "Graduates"),
            ("Scuole dell'infanzia", "Pre-primary schools"),
        ],
    ),
    (
        "hlth",
        &[
            ("Posti letto negli ospedali", "Hospital beds"),
            ("Cause di morte", "Causes of death"),
            ("Persone con disabilità", "People with disabilities"),
        ],
    ),
    (
        "cult",
        &[
            ("Visitatori dei musei", "Museum visitors"),
            ("Delitti denunciati", "Reported crimes"),
            ("Fiducia nelle istituzioni", "Trust in institutions"),
        ],
    ),
];

const CUTS: [(&str, &str); 6] = [
    ("per sesso ed età", "by sex and age"),
    ("per regione", "by region"),
    ("per attività economica (Ateco 2007)", "by economic activity (NACE Rev. 2)"),
    ("per titolo di studio", "by educational attainment"),
    ("dati mensili", "monthly data"),
    ("dati provinciali <2019", "provincial data <2019"),
];

const NOTES: [(&str, &str); 4] = [
    (
        "I dati sono rilevati presso le famiglie e riportati all'universo.",
        "Data are collected from households and grossed up.",
    ),
    (
        "Le serie sono destagionalizzate con il metodo corrente.",
        "Series are seasonally adjusted by the current method.",
    ),
    ("Gli ultimi due periodi sono provvisori.", "The last two periods are provisional."),
    ("Le definizioni seguono il regolamento in vigore.", "Definitions follow the regulation in force."),
];

fn dataflow(index: u32, rng: &mut Rng) -> Result<String, std::fmt::Error> {
    let (stem, subjects) = TOPICS[rng.usize(..TOPICS.len())];
    let (subject_it, subject_en) = subjects[rng.usize(..subjects.len())];
    let (cut_it, cut_en) = CUTS[rng.usize(..CUTS.len())];
    let (first, second) = (NOTES[rng.usize(..NOTES.len())], NOTES[rng.usize(..NOTES.len())]);
    let id = format!("{stem}_{index:05}");
    let version = format!("{}.{}", rng.u8(1..4), rng.u8(0..3));
    let (month, day, hour) = (rng.u8(1..=12), rng.u8(1..=28), rng.u8(0..24));
    let mut out = String::with_capacity(4 << 10);
    writeln!(
        out,
        "      <str:Dataflow urn=\"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=GEN:{id}({version})\" \
         isExternalReference=\"false\" agencyID=\"GEN\" id=\"{id}\" version=\"{version}\" isFinal=\"{}\">\n        \
         <com:Annotations>",
        rng.bool()
    )?;
    annotation(&mut out, "DISSEMINATION_OBJECT_TYPE", "DATASET")?;
    annotation(&mut out, "OBS_COUNT", &rng.u32(100..9_000_000).to_string())?;
    annotation(&mut out, "UPDATE_DATA", &format!("2026-{month:02}-{day:02}T{hour:02}:00:00+0200"))?;
    match rng.u8(..20) {
        0 => annotation(&mut out, "NonProductionDataflow", "true")?,
        1 => annotation(&mut out, "DATAFLOW_HIDDEN", "true")?,
        2 => annotation(&mut out, "LAST_UPDATE", &format!("{day:02}/{month:02}/2026 {hour:02}:00:00"))?,
        _ => {}
    }
    out.push_str(END_OF_ANNOTATIONS);
    let subjects =
        [("it", subject_it, cut_it, first.0, second.0), ("en", subject_en, cut_en, first.1, second.1)];
    for (language, subject, cut, ..) in subjects {
        writeln!(
            out,
            "        <com:Name xml:lang=\"{language}\">{}</com:Name>",
            escaped(&format!("{subject} {cut}"))
        )?;
    }
    for (language, subject, _, first, second) in subjects {
        let text = escaped(&format!("{subject}. {first} {second}"));
        writeln!(out, "        <com:Description xml:lang=\"{language}\">{text}</com:Description>")?;
    }
    write!(
        out,
        "        <str:Structure>\n          <Ref id=\"DSD_{}\" version=\"1.0\" agencyID=\"GEN\" \
         package=\"datastructure\" class=\"DataStructure\"/>\n        </str:Structure>\n      </str:Dataflow>\n",
        stem.to_uppercase()
    )?;
    Ok(out)
}

fn annotation(out: &mut String, kind: &str, title: &str) -> std::fmt::Result {
    writeln!(
        out,
        "          <com:Annotation>\n            <com:AnnotationTitle>{title}</com:AnnotationTitle>\n            \
         <com:AnnotationType>{kind}</com:AnnotationType>\n          </com:Annotation>"
    )
}

/// Pads a dataflow with annotations until the document has the required size. They are layouts and links of tables,
/// which make up most of real catalogues.
fn fill(part: &mut String, due: u64, written: u64) {
    let Some(at) = part.find(END_OF_ANNOTATIONS) else { return };
    let mut filling = String::new();
    for round in 0.. {
        let missing = due.saturating_sub(written + (part.len() + filling.len()) as u64);
        let (kind, title) = match round % 4 {
            _ if missing < 60 => break,
            _ if missing < 400 => ("DATAFLOW_NOTES", "x".repeat(missing.saturating_sub(170) as usize)),
            0 => ("LAYOUT_ROW", "REF_AREA,SEX,AGE".to_owned()),
            1 => ("DEFAULT", "FREQ=A,SEX=T,LASTNPERIODS=5".to_owned()),
            2 => (
                "METADATA_URL",
                format!("https://example.org/metadata/{written}/{round}?lang=en&amp;view=full"),
            ),
            _ => {
                ("DATAFLOW_NOTES", "Cells marked with a dash are not applicable to the territory. ".repeat(3))
            }
        };
        annotation(&mut filling, kind, title.trim()).expect("writing to a String does not fail");
    }
    part.insert_str(at, &filling);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

// === hostile documents ===

/// A catalogue in which one name has this many bytes.
#[must_use]
pub fn long_text(bytes: u64) -> impl Read + Send {
    const TEXT: &str = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do ";
    let count = bytes.div_ceil(TEXT.len() as u64);
    let middle = (0..count).map(|_| TEXT.to_owned());
    wrapped("<str:Dataflow id=\"a\"><com:Name>", middle, "</com:Name></str:Dataflow>")
}

/// A catalogue in which one dataflow has this many attributes.
#[must_use]
pub fn many_attributes(count: u32) -> impl Read + Send {
    let middle = (0..count).map(|index| format!(" a{index}=\"1\""));
    wrapped("<str:Dataflow id=\"a\"", middle, "/>")
}

/// A catalogue in which elements are nested this deep in one dataflow.
#[must_use]
pub fn deep_nesting(levels: u32) -> impl Read + Send {
    let open = (0..levels).map(|_| "<str:x>".to_owned());
    let close = (0..levels).map(|_| "</str:x>".to_owned());
    wrapped("<str:Dataflow id=\"a\">", open.chain(close), "</str:Dataflow>")
}

/// A document of a kilobyte whose entities expand to three billion characters.
#[must_use]
pub fn entity_bomb() -> impl Read + Send {
    let mut document = String::from("<!DOCTYPE bomb [\n<!ENTITY l0 \"lol\">\n");
    for level in 1..10 {
        let references = format!("&l{};", level - 1).repeat(10);
        document.push_str(&format!("<!ENTITY l{level} \"{references}\">\n"));
    }
    document.push_str("]>\n<Structure><Dataflow id=\"a\"><Name>&l9;</Name></Dataflow></Structure>");
    Chunks::new([document].into_iter())
}

/// A document with an external entity.
#[must_use]
pub fn external_entity() -> impl Read + Send {
    let document = "<!DOCTYPE d [<!ENTITY file SYSTEM \"file:///etc/hostname\">]>\n\
                    <Structure><Dataflow id=\"a\"><Name>&file;</Name></Dataflow></Structure>";
    Chunks::new([document.to_owned()].into_iter())
}

fn wrapped(open: &str, middle: impl Iterator<Item = String> + Send, close: &str) -> impl Read + Send {
    let (open, close) = (format!("{HEADER}{open}"), format!("{close}{FOOTER}"));
    Chunks::new([open].into_iter().chain(middle).chain([close]))
}

/// Chunks of text as one stream of bytes.
#[derive(Debug)]
struct Chunks<I> {
    rest: I,
    chunk: String,
    read: usize,
}

impl<I: Iterator<Item = String>> Chunks<I> {
    fn new(chunks: I) -> Self {
        Self { rest: chunks, chunk: String::new(), read: 0 }
    }
}

impl<I: Iterator<Item = String>> Read for Chunks<I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.read == self.chunk.len() {
                let Some(chunk) = self.rest.next() else { break };
                (self.chunk, self.read) = (chunk, 0);
            }
            let count = (self.chunk.len() - self.read).min(into.len() - filled);
            into[filled..filled + count]
                .copy_from_slice(&self.chunk.as_bytes()[self.read..self.read + count]);
            self.read += count;
            filled += count;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(catalogue: Catalogue) -> String {
        let mut document = String::new();
        catalogue.reader().read_to_string(&mut document).unwrap();
        document
    }

    #[test]
    fn a_catalogue_has_the_requested_size_and_number_of_dataflows() {
        let document = generated(Catalogue { flows: 100, bytes: 300_000, seed: 7 });
        assert_eq!(document.matches("<str:Dataflow ").count(), 100);
        assert!((299_000..304_000).contains(&document.len()), "{} bytes", document.len());
    }

    #[test]
    fn the_seed_determines_the_bytes() {
        let catalogue = Catalogue { flows: 10, bytes: 20_000, seed: 7 };
        assert_eq!(generated(catalogue), generated(catalogue));
        assert_ne!(generated(catalogue), generated(Catalogue { seed: 8, ..catalogue }));
    }
}
