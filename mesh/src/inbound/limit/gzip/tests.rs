//! Messages in gzip, in pieces of any size, and what is refused.

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::memory::Memory;

fn decompressor(total: u64, max_message: u64) -> Decompressor {
    let memory = RequestMemory::new(total, max_message, Memory::unlimited());
    let mut headers = HeaderMap::from_iter([(ENCODING, HeaderValue::from_static("gzip"))]);
    let decompressor = Decompressor::of(&mut headers, &memory).unwrap();
    assert!(headers.is_empty());
    decompressor
}

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

/// All that is complete after these bytes.
fn read(decompressor: &mut Decompressor, data: &[u8]) -> Result<Vec<u8>, Error> {
    decompressor.push(Bytes::copy_from_slice(data));
    let mut all = Vec::new();
    while let Some(data) = decompressor.next()? {
        all.extend_from_slice(&data);
    }
    Ok(all)
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

#[test]
fn only_gzip_is_decompressed() {
    let memory = RequestMemory::new(0, 0, Memory::unlimited());
    for encoding in ["identity", "br", "GZIP", "gzip, gzip", ""] {
        let mut headers = HeaderMap::from_iter([(ENCODING, HeaderValue::from_static(encoding))]);
        assert!(Decompressor::of(&mut headers, &memory).is_none(), "{encoding}");
        assert_eq!(headers.len(), 1, "tonic answers for it");
    }
    assert!(Decompressor::of(&mut HeaderMap::new(), &memory).is_none());
}

#[test]
fn what_is_no_message_or_too_large_is_an_error() {
    let check = |sent: &[u8], expected: &str| {
        let error = read(&mut decompressor(1 << 20, 100_000), sent).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?} {expected}");
    };
    check(&framed(1, b"no gzip"), "GzipInvalid");
    check(&framed(1, b""), "GzipInvalid");
    check(&framed(1, &gzip(b"whole")[..20]), "GzipInvalid");
    check(&framed(1, &[gzip(b"whole"), vec![7; 4]].concat()), "GzipInvalid");
    check(&framed(1, &gzip(&vec![0; 90_000])), "TooDense");
    let dense_as_text = |length: usize| {
        let mut random = 1u32;
        let bytes = (0..length).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        });
        bytes.collect::<Vec<_>>()
    };
    check(&framed(1, &gzip(&dense_as_text(100_001))), "MessageTooLarge");
    let mut small = decompressor(1 << 20, 100_000);
    assert_eq!(read(&mut small, &framed(1, &gzip(&vec![0; 64 * 1024]))).unwrap().len(), PREFIX + 64 * 1024);
    assert_eq!(read(&mut small, &framed(1, &gzip(&dense_as_text(100_000)))).unwrap().len(), PREFIX + 100_000);
    // Each of them is small: all together they are not.
    let many = framed(1, &gzip(&vec![0; 60 * 1024])).repeat(20);
    let error = read(&mut decompressor(1 << 30, 1 << 30), &many).unwrap_err();
    assert!(matches!(error, Error::TooDense { .. }), "{error:?}");
    let mut budget = decompressor(64 * 1024, 1 << 20);
    let error = read(&mut budget, &framed(1, &gzip(&dense_as_text(70_000)))).unwrap_err();
    assert!(matches!(error, Error::TooManyElements { .. }), "{error:?}");
}

proptest! {
    #[test]
    fn messages_are_those_that_were_sent_however_they_arrive(
        messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..5),
        pieces in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        for (is_compressed, message) in &messages {
            let coded = if *is_compressed { framed(1, &gzip(message)) } else { framed(0, message) };
            sent.extend(coded);
            expected.extend(framed(0, message));
        }
        let mut decompressor = decompressor(1 << 20, 1 << 20);
        let (mut rest, mut found, mut pieces) = (&sent[..], Vec::new(), pieces.iter().cycle());
        prop_assert!(decompressor.is_between_messages());
        while !rest.is_empty() {
            let piece = split(&mut rest, *pieces.next().unwrap());
            found.extend(read(&mut decompressor, piece).unwrap());
            prop_assert!(expected.starts_with(&found));
        }
        prop_assert!(decompressor.is_between_messages());
        prop_assert_eq!(found, expected);
    }
}
