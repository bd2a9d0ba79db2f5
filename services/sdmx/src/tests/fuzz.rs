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

fn check(document: &[u8]) {
    let whole = read_within(document, limits());
    for size in [1, 7] {
        let pieces = read_within(Pieces(document, size), limits());
        assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "in pieces of {size}");
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
