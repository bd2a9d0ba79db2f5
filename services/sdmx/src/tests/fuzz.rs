//! Fuzz targets: whatever the bytes are, the reader ends with a result, and the result does not depend on how they
//! arrive. As tests they run for about a second; `cargo bolero test NAME` runs them with a fuzzing engine.

use std::io::{self, Read};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// A document with most constructs of the format.
fn sample() -> Vec<u8> {
    let flow = "<s:Dataflow id=\"F\" agencyID=\"A\" version=\"1.0\" isFinal=\"true\" urn=\"urn:sdmx:org.sdmx.infomodel.\
                datastructure.Dataflow=A:F(1.0)\"><c:Annotations><c:Annotation id=\"n\"><c:AnnotationTitle>t\
                </c:AnnotationTitle><c:AnnotationText xml:lang=\"it\">&#232; &lt;x&gt;</c:AnnotationText></c:Annotation>\
                </c:Annotations><!-- c --><c:Name xml:lang=\"en\"><![CDATA[a & b]]></c:Name><c:Description>d\
                </c:Description><s:Structure><Ref id=\"D\" agencyID=\"A\" version=\"1.0\"/></s:Structure></s:Dataflow>";
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", message(&flow.repeat(2))).into_bytes()
}

/// The same in JSON.
fn sample_in_json() -> Vec<u8> {
    let urn = "urn:sdmx:org.sdmx.infomodel";
    let flow = format!(
        "{{\"id\": \"F\", \"agencyID\": \"A\", \"version\": 1.0, \"isFinal\": true, \"name\": \"n\", \"names\": {{\"it\": \
         \"\\u00e8 \\ud83d\\ude00 \\\"x\\\"\"}}, \"links\": [{{\"rel\": \"self\", \"urn\": \"{urn}.datastructure.Dataflow=A:F(1.0)\"}}], \
         \"annotations\": [{{\"id\": \"n\", \"texts\": {{\"en\": \"t\"}}}}], \"structure\": null, \"x\": [-1.5e3, false]}}"
    );
    let scheme = "{\"id\": \"S\", \"agencyID\": \"A\", \"categories\": [{\"id\": \"X\", \"categories\": [{\"id\": \"Y\"}]}]}";
    let link = format!(
        "{{\"source\": \"{urn}.datastructure.Dataflow=A:F(1.0)\", \"target\": \"{urn}.categoryscheme.Category=A:S(1.0).X\"}}"
    );
    format!(
        "{{\"meta\": {{\"contentLanguages\": [\"en\"]}}, \"data\": {{\"dataflows\": [{flow}, {flow}], \
         \"categorySchemes\": [{scheme}], \"categorisations\": [{link}]}}, \"errors\": []}}"
    )
    .into_bytes()
}

/// The sample with some of its bytes replaced.
pub(super) fn mutated(mut bytes: Vec<u8>, edits: &[(u16, u8)]) -> Vec<u8> {
    for &(position, byte) in edits {
        let length = bytes.len();
        bytes[usize::from(position) % length] = byte;
    }
    bytes
}

/// Reads a few bytes at a time.
pub(super) struct Pieces<'a>(pub(super) &'a [u8], pub(super) usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(into.len());
        self.0.read(&mut into[..most])
    }
}

/// Small enough that mutations reach them.
fn limits() -> Limits {
    Limits { document_bytes: 1 << 16, event_bytes: 1 << 12, ..Limits::default() }
}

/// The result, with the themes.
fn outcome(document: impl Read) -> String {
    let mut reader =
        StructureReader::new(document, limits()).with_annotations().with_themes(Themes::default());
    let mut shown = String::new();
    loop {
        match reader.next_dataflow() {
            Ok(Some(flow)) => shown.push_str(&format!("{flow:?}\n")),
            Ok(None) => break,
            Err(error) => {
                shown.push_str(&format!("{error:?}\n"));
                break;
            }
        }
    }
    let (mut diagnostics, themes) = reader.into_parts();
    let resolved = themes.resolve(&limits(), &mut diagnostics);
    format!("{shown}{resolved:?}\n{diagnostics:?}")
}

fn check(document: &[u8]) {
    let whole = outcome(document);
    for size in [1, 7] {
        assert_eq!(whole, outcome(Pieces(document, size)), "in pieces of {size}");
    }
}

#[test]
fn any_bytes_are_a_result() {
    bolero::check!().for_each(check);
}

#[test]
fn a_damaged_document_is_a_result() {
    let sample = sample();
    bolero::check!().with_type::<Vec<(u16, u8)>>().for_each(|edits| check(&mutated(sample.clone(), edits)));
}

#[test]
fn a_damaged_json_document_is_a_result() {
    let sample = sample_in_json();
    assert_eq!(read_within(&sample[..], limits()).0.len(), 2);
    bolero::check!().with_type::<Vec<(u16, u8)>>().for_each(|edits| check(&mutated(sample.clone(), edits)));
}

#[test]
fn any_bytes_in_a_json_object_are_a_result() {
    bolero::check!().for_each(|bytes| {
        check(&[b"{\"data\":{\"dataflows\":[{", bytes].concat());
        check(&[b"{\"data\":{\"categorySchemes\":[{", bytes].concat());
    });
}

#[test]
fn damaged_gzip_is_a_result() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    io::Write::write_all(&mut gzip, &sample()).unwrap();
    let compressed = gzip.finish().unwrap();
    bolero::check!().with_type::<Vec<(u16, u8)>>().for_each(|edits| {
        let damaged = mutated(compressed.clone(), edits);
        let whole = read_within(&damaged[..], limits());
        let pieces = read_within(Pieces(&damaged, 1), limits());
        // How much of a corrupt stream is decompressed before the damage is noticed, depends on the pieces.
        assert_eq!(whole.2.is_ok(), pieces.2.is_ok());
        if whole.2.is_ok() {
            assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }
    });
}
