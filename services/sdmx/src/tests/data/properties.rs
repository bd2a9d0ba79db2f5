//! Properties of every data message, and fuzz targets: whatever the bytes are, there is a result, and it does not depend
//! on how they arrive. As tests the targets run for about a second; `cargo bolero test NAME` runs them with an engine.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tests::properties::ChunkedReader;

/// The counts, or the reason and the message of the error.
fn outcome(document: impl Read) -> Result<DataCounts, String> {
    let limits = Limits { document_bytes: 1 << 16, event_bytes: 1 << 12, ..Limits::default() };
    count_data(document, &limits).map_err(|error| format!("{} {error}", error.reason()))
}

fn in_pieces(bytes: &[u8], sizes: &[usize]) -> Result<DataCounts, String> {
    outcome(ChunkedReader { rest: bytes, sizes, turn: 0 })
}

/// A document of any format, longer than what the input gathers before it decides what it is.
fn documents() -> impl Strategy<Value = String> {
    (prop::sample::select(formats::all()), 0..2_000_usize).prop_map(|((name, document), more)| {
        let more = "x".repeat(more);
        match name.split(' ').next() {
            Some("SDMX-JSON") => document.replacen('{', &format!("{{\"a\": \"{more}\", "), 1),
            Some("SDMX-CSV") => document.replace("A:D(1.0)", &format!("\"A:D(1.0): \"\"{more}\r\n\"")),
            _ => format!("<!-- {more} -->{document}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunk_sizes_do_not_matter(
        document in documents(),
        sizes in vec(1_usize..40, 1..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let bytes = document.as_bytes();
        let bytes = &bytes[..cut.map_or(bytes.len(), |cut| cut.index(bytes.len()))];
        prop_assert_eq!(outcome(bytes), in_pieces(bytes, &sizes));
        let wide = format!("\u{feff}{document}").encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        prop_assert_eq!(outcome(&wide[..]), in_pieces(&wide, &sizes));
    }

    #[test]
    fn damaged_documents_cause_no_panic(
        document in documents(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = document.into_bytes();
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        prop_assert_eq!(outcome(&bytes[..]), in_pieces(&bytes, &[7]));
    }

    #[test]
    fn arbitrary_rows_cause_no_panic(pieces in vec("(,|\"|\n|\r|a|A:F\\(1.0\\)|2001|NaN|: |;)", 0..60)) {
        let document = format!("DATAFLOW,K,TIME_PERIOD,OBS_VALUE\n{}", pieces.concat());
        prop_assert_eq!(outcome(document.as_bytes()), in_pieces(document.as_bytes(), &[1]));
    }
}

#[test]
fn a_truncated_document_is_never_accepted_in_xml_and_json() {
    let truncated = ["TRUNCATED_DOCUMENT", "EMPTY_DOCUMENT", "NOT_A_DATA_MESSAGE", "MALFORMED_JSON"];
    for (name, document) in formats::all() {
        // A row that ends early may be a whole one.
        let is_csv = name.starts_with("SDMX-CSV");
        for length in 0..document.len() {
            match count(&document.as_bytes()[..length]) {
                Ok(counts) => assert!(is_csv && counts.observations <= 5, "{name} {length}"),
                Err(error) => {
                    let reasons = truncated.iter().chain(["UNCLOSED_QUOTE", "MALFORMED_CSV"].iter());
                    let reasons = reasons.take(if is_csv { 6 } else { 4 });
                    assert!(
                        reasons.into_iter().any(|reason| *reason == error.reason()),
                        "{name} {length}: {error}"
                    );
                    assert!(error.position.offset <= length as u64);
                }
            }
        }
    }
}

fn check(document: &[u8]) {
    let whole = outcome(document);
    for size in [1, 7] {
        assert_eq!(whole, in_pieces(document, &[size]), "in pieces of {size}");
    }
}

#[test]
fn any_bytes_are_a_result() {
    bolero::check!().for_each(|bytes| {
        check(bytes);
        check(&[b"DATAFLOW,TIME_PERIOD,", bytes].concat());
        check(&[b"<CompactData><DataSet><", bytes].concat());
        check(&[b"{\"dataSets\":[{\"series\":{", bytes].concat());
    });
}

#[test]
fn a_damaged_message_of_any_format_is_a_result() {
    let samples = formats::all();
    bolero::check!().with_type::<(u8, Vec<(u16, u8)>)>().for_each(|(sample, edits)| {
        let mut bytes = samples[usize::from(*sample) % samples.len()].1.clone().into_bytes();
        for &(position, byte) in edits {
            let length = bytes.len();
            bytes[usize::from(position) % length] = byte;
        }
        check(&bytes);
    });
}
