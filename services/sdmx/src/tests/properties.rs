//! Properties of every document: chunking does not matter, a truncated document is never accepted, the encoding changes
//! nothing, and arbitrary bytes cause no panic.

use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Returns chunks of the given sizes, in turn.
pub(super) struct ChunkedReader<'a> {
    pub(super) rest: &'a [u8],
    pub(super) sizes: &'a [usize],
    pub(super) turn: usize,
}

impl Read for ChunkedReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()];
        self.turn += 1;
        let count = size.min(into.len()).min(self.rest.len());
        let (now, rest) = self.rest.split_at(count);
        into[..count].copy_from_slice(now);
        self.rest = rest;
        Ok(count)
    }
}

/// The complete result with errors as text, so that two runs can be compared.
pub(super) fn outcome(document: impl Read) -> (Vec<Dataflow>, Diagnostics, Result<(), String>) {
    let (flows, diagnostics, end) = read(document);
    (flows, diagnostics, end.map_err(|error| format!("{} {error}", error.reason())))
}

/// Documents with the characters that texts may contain, up to U+00FF so that Latin-1 can encode them.
fn documents() -> impl Strategy<Value = String> {
    let text = "[ a-z<&>'\"\r\n\tàéÿ\u{a0}]{0,30}".prop_map(|text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('é', "&#233;");
        if text.contains("&amp;") { text } else { format!("{text}<!-- & --><![CDATA[<&]]>") }
    });
    let flow = ("[a-zA-Z0-9_@]{0,8}", vec(("(it|en|)", text), 0..4)).prop_map(|(id, names)| {
        let names = names
            .iter()
            .map(|(language, text)| format!("\r\n<c:Name xml:lang='{language}'>{text}</c:Name>"))
            .collect::<String>();
        format!("\n<s:Dataflow id='{id}'>{names}<s:Structure><Ref id='D'/></s:Structure></s:Dataflow>")
    });
    vec(flow, 0..5).prop_map(|flows| message(&flows.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunk_sizes_do_not_matter(
        document in documents(),
        sizes in vec(1_usize..40, 1..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let bytes = document.as_bytes();
        let bytes = &bytes[..cut.map_or(bytes.len(), |cut| cut.index(bytes.len()))];
        prop_assert_eq!(outcome(bytes), outcome(ChunkedReader { rest: bytes, sizes: &sizes, turn: 0 }));
        let wide = document.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        prop_assert_eq!(outcome(&wide[..]), outcome(ChunkedReader { rest: &wide, sizes: &sizes, turn: 0 }));
    }

    #[test]
    fn the_encoding_changes_only_positions(document in documents(), mark in any::<bool>()) {
        let strip = |bytes: &[u8]| {
            let (mut flows, _, end) = outcome(bytes);
            for flow in &mut flows {
                // The position is that of a start tag, on the stated line.
                let (before, after) = bytes.split_at(flow.position.offset as usize);
                assert!(after.iter().take(3).any(|byte| *byte == b'<'));
                let lines = before.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert_eq!(flow.position.line, 1 + lines);
                flow.position = Position::START;
            }
            (flows, end)
        };
        let expected = strip(document.as_bytes());
        prop_assert!(expected.1.is_ok(), "{:?}", expected.1);
        let marked = if mark { format!("\u{feff}{document}") } else { document.clone() };
        prop_assert_eq!(&strip(marked.as_bytes()), &expected);
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide = marked.encode_utf16().flat_map(unit).collect::<Vec<_>>();
            prop_assert_eq!(&strip(&wide), &expected);
        }
        let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{document}");
        let latin = latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(&strip(&latin), &expected);
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in vec(any::<u8>(), 0..2000)) {
        let (_, _, end) = read(&bytes[..]);
        prop_assert!(end.is_err_and(|error| error.position.offset <= bytes.len() as u64));
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
        let (_, diagnostics, end) = read_within(&bytes[..], Limits { diagnostics: 2, ..Limits::default() });
        prop_assert!(diagnostics.kept().len() <= 2);
        prop_assert!(end.is_ok() || end.is_err_and(|error| error.position.offset <= bytes.len() as u64));
    }

    #[test]
    fn arbitrary_markup_causes_no_panic(
        pieces in vec("(<|>|/|!|--|\\[|CDATA|\\]|&|;|#|\\?|xml|'|\"|=| |a|:|<a>|</a>|<!DOCTYPE)", 0..40),
    ) {
        let _ = read(pieces.concat().as_bytes());
        let _ = read(message(&pieces.concat()).as_bytes());
    }
}

#[test]
fn a_truncated_document_is_never_accepted() {
    let name = "<c:Name xml:lang='it'>Età &amp; <![CDATA[sesso]]><!-- c --></c:Name>";
    let document = format!(
        "<?xml version='1.0'?>\n<!-- c -->{}",
        message(&format!("<s:Dataflow id='a'>{name}</s:Dataflow>"))
    );
    let wide = document.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for whole in [document.as_bytes(), &wide] {
        for length in 0..whole.len() {
            let (_, _, end) = read(&whole[..length]);
            let error = end.expect_err("a truncated document");
            let reasons = ["TRUNCATED_DOCUMENT", "EMPTY_DOCUMENT", "INVALID_ENCODING", "NOT_XML"];
            assert!(reasons.contains(&error.reason()), "{length}: {error}");
            assert!(error.position.offset <= length as u64);
        }
        assert!(read(whole).2.is_ok());
    }
}

#[test]
fn chunking_does_not_change_the_result() {
    // Long enough for events of every kind to cross chunk boundaries.
    let flow = format!("<s:Dataflow id='a'><c:Name>{}</c:Name></s:Dataflow>\n", "lorem ipsum ".repeat(300));
    let document = message(&flow.repeat(60));
    let whole = outcome(document.as_bytes());
    assert!(whole.2.is_ok() && whole.0.len() == 60);
    for size in [1, 7, 4096, 65_535, 65_537] {
        // Not `assert_eq`, which would print both.
        assert!(
            outcome(ChunkedReader { rest: document.as_bytes(), sizes: &[size], turn: 0 }) == whole,
            "{size}"
        );
    }
}
