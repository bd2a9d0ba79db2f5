//! Fuzz target: bodies, in pieces of any size.

use super::tests::{LIMITS, split};

#[test]
fn any_body_is_parts_or_an_error() {
    // Texts that random bytes would not make.
    const WORDS: [&[u8]; 8] = [
        b"---b y",
        b"\r\n---b y\r\n",
        b"\r\n---b y--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=\"",
        b"\"\r\n\r\n",
        b"Content-Type: ",
    ];
    let pieces = |input: &[(u8, Vec<u8>)]| -> Vec<Vec<u8>> {
        let text = |(word, bytes): &(u8, Vec<u8>)| match WORDS.get(usize::from(*word)) {
            Some(word) => word.to_vec(),
            None => bytes.clone(),
        };
        input.iter().map(text).collect()
    };
    bolero::check!().with_type::<Vec<(u8, Vec<u8>)>>().for_each(|input| {
        let pieces = pieces(input);
        let whole = pieces.concat();
        let arrived: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let parts = split(&arrived);
        assert_eq!(split(&[&whole]), parts, "however it arrives");
        if let Ok(parts) = parts {
            assert!((1..=LIMITS.parts).contains(&parts.len()));
            let data: usize = parts.iter().map(|(_, data)| data.len()).sum();
            assert!(data < whole.len(), "no byte is read twice");
        }
    });
}
