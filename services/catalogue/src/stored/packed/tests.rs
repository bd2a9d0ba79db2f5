//! Contents are read as they were packed, whatever they have, and damage is noticed.

use dataflow_sdmx::{
    Annotation, Dataflow, ExternalReference, Facts, Flag, Localized, Position, Resolved, StructureReference,
    Structures,
};
use proptest::prelude::*;

use super::*;
use crate::stored::packing::{CHUNK_BYTES, PackedCatalogue, Packer};

fn pack(dataflows: &[Dataflow]) -> PackedCatalogue {
    let mut packer = Packer::default();
    dataflows.iter().for_each(|dataflow| _ = packer.add(dataflow));
    packer.finish(&Resolved::default(), &Structures::default())
}

fn unpack(packed: &PackedCatalogue) -> Result<Packed, Unreadable> {
    Packed::read(decompress(&packed.chunks, packed.content_bytes)?)
}

fn named(id: &str, name: String) -> Dataflow {
    Dataflow {
        id: id.to_owned(),
        agency_id: "A".to_owned(),
        version: "1.0".to_owned(),
        names: vec![("en".to_owned(), name)],
        descriptions: Vec::new(),
        structure: None,
        is_final: None,
        external: None,
        facts: Facts::default(),
        annotations: Vec::new(),
        legacy: None,
        position: Position::START,
    }
}

#[test]
fn a_large_content_is_cut_into_chunks_and_damage_is_noticed() {
    // Digits of hashes, which cannot be compressed to less than half.
    let name = |number: u32| {
        let digests = (0..40_u32).map(|part| hash(&[number.to_le_bytes(), part.to_le_bytes()].concat()));
        digests.flatten().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let dataflows: Vec<_> = (0..700).map(|number| named(&format!("D{number}"), name(number))).collect();
    let packed = pack(&dataflows);
    let sizes: Vec<_> = packed.chunks.iter().map(Bytes::len).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(
        full.len() > 2 && full.iter().all(|size| *size == CHUNK_BYTES) && *last < CHUNK_BYTES,
        "{sizes:?}"
    );
    assert_eq!(packed.stored_bytes(), sizes.iter().map(|size| *size as u64).sum::<u64>());
    let content = decompress(&packed.chunks, packed.content_bytes).unwrap();
    assert_eq!(hash(&content), packed.hash);
    assert_eq!(Packed::read(content.clone()).unwrap().len(), 700);

    let damaged = |change: &dyn Fn(&mut PackedCatalogue)| {
        let mut packed = packed.clone();
        change(&mut packed);
        let content = decompress(&packed.chunks, packed.content_bytes);
        assert!(content.as_ref().map(|content| hash(content)) != Ok(packed.hash));
        content.is_err()
    };
    assert!(damaged(&|packed| drop(packed.chunks.pop())));
    assert!(damaged(&|packed| packed.chunks.swap(0, 1)));
    assert!(damaged(&|packed| packed.content_bytes += 1));
    assert!(damaged(&|packed| packed.content_bytes -= 1), "not more than it should be");
    let cut = Packed::read(content[..content.len() - 1].to_vec());
    assert!(matches!(cut, Err(Unreadable::Malformed(_))), "{cut:?}");
}

fn text() -> impl Strategy<Value = String> {
    "[a-zà ]{0,12}"
}

/// Texts in the order of their languages, each once.
fn texts() -> impl Strategy<Value = Vec<Localized>> {
    prop::collection::btree_map("[a-z]{0,2}", text(), 0..4).prop_map(|texts| texts.into_iter().collect())
}

fn annotation() -> impl Strategy<Value = Annotation> {
    let parts = (text(), text(), text(), text(), texts(), text());
    parts.prop_map(|(id, kind, title, url, texts, value)| Annotation { id, kind, title, url, texts, value })
}

fn dataflow() -> impl Strategy<Value = Dataflow> {
    let structure = prop::option::of((text(), "[A-Z]{1,5}", text()));
    let structure = structure.prop_map(|parts| {
        parts.map(|(agency_id, id, version)| StructureReference { agency_id, id, version })
    });
    let url = || prop::option::of("http://[a-z]{1,9}");
    let external = prop::option::of((url(), url())).prop_map(|parts| {
        parts.map(|(structure_url, service_url)| ExternalReference { structure_url, service_url })
    });
    let flags = prop::sample::subsequence(Flag::ALL.to_vec(), 0..=4);
    let identity = ("[A-Z]{1,3}", "[A-Z_]{1,9}", "[0-9.]{0,5}");
    let own = (texts(), texts(), prop::option::of(any::<bool>()), prop::collection::vec(annotation(), 0..4));
    (identity, own, structure, external, flags).prop_map(
        |(
            (agency_id, id, version),
            (names, descriptions, is_final, annotations),
            structure,
            external,
            flags,
        )| {
            let facts = Facts { flags, ..Facts::default() };
            let base = named(&id, String::new());
            Dataflow {
                agency_id,
                version,
                names,
                descriptions,
                is_final,
                annotations,
                structure,
                external,
                facts,
                ..base
            }
        },
    )
}

proptest! {
    #[test]
    fn dataflows_are_read_as_they_were_packed(dataflows in prop::collection::vec(dataflow(), 0..6)) {
        let packed = unpack(&pack(&dataflows)).unwrap();
        prop_assert_eq!(packed.len(), dataflows.len());
        let mut found: Vec<_> =
            (0..packed.len()).map(|index| packed.dataflow(index).unwrap().dataflow).collect();
        // Annotations are in another order.
        let sorted = |mut dataflow: Dataflow| {
            dataflow.annotations.sort_by_key(|annotation| format!("{annotation:?}"));
            dataflow
        };
        let key = |dataflow: &Dataflow| format!("{dataflow:?}");
        found = found.into_iter().map(sorted).collect();
        found.sort_by_key(key);
        let mut expected: Vec<_> = dataflows.into_iter().map(sorted).collect();
        expected.sort_by_key(key);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_a_content_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packed) = Packed::read(bytes) {
            for index in 0..packed.len() {
                let _ = packed.dataflow(index);
            }
        }
    }
}
