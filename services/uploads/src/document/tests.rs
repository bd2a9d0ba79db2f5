//! Documents in parts, their ends, and their fingerprints.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::*;

fn part(text: &'static str) -> Part {
    match text {
        "|" => Part::NextDocument,
        text => Part::Bytes(Bytes::from_static(text.as_bytes())),
    }
}

async fn seat() -> Seat {
    Seat::take(&Arc::new(Semaphore::new(1))).await
}

fn parts(texts: &[&'static str]) -> Vec<Part> {
    texts.iter().copied().map(part).collect()
}

#[tokio::test]
async fn parts_arrive_in_order_up_to_the_end_of_each_document() {
    let (sender, reader) = channel(Canceled::default(), seat().await);
    let read = tokio::task::spawn_blocking(move || {
        let (mut reader, mut texts) = (FingerprintReader::new(reader), Vec::new());
        loop {
            let mut text = [0; 3];
            // The rest of a document that is not read to its end is skipped.
            let count = reader.read(&mut text).unwrap();
            texts.push(String::from_utf8(text[..count].to_vec()).unwrap());
            if !reader.next_document().unwrap() {
                return (texts, reader.fingerprint());
            }
        }
    });
    let sent = parts(&["abc", "", "d", "|", "|", "ef"]);
    for part in sent.clone() {
        sender.send(part).await.unwrap();
    }
    sender.finish().await.unwrap();
    let (texts, found) = read.await.unwrap();
    assert_eq!((texts, found), (["abc", "", "ef"].map(str::to_owned).to_vec(), fingerprint(&sent)));
}

#[tokio::test]
async fn an_interrupted_document_is_an_error() {
    let (sender, mut reader) = channel(Canceled::default(), seat().await);
    sender.send(part("ab")).await.unwrap();
    drop(sender);
    let read = tokio::task::spawn_blocking(move || {
        (reader.read_to_end(&mut Vec::new()).unwrap_err(), reader.next_document().unwrap_err())
    });
    let (within, next) = read.await.unwrap();
    assert_eq!([within.kind(), next.kind()], [io::ErrorKind::UnexpectedEof; 2]);
}

#[tokio::test]
async fn sending_to_a_closed_reader_fails() {
    let (sender, reader) = channel(Canceled::default(), seat().await);
    drop(reader);
    assert_eq!(sender.send(part("a")).await, Err(ReaderClosed));
}

#[test]
fn a_fingerprint_depends_on_the_documents_and_not_on_the_chunks() {
    let of = |texts: &[&'static str]| fingerprint(&parts(texts));
    assert_eq!(of(&["ab", "", "c"]), of(&["abc"]));
    assert_ne!(of(&["ab"]), of(&["abc"]));
    let several = [&["ab", "|", "c"][..], &["abc", "|"], &["|", "abc"], &["a", "|", "bc"], &["abc"]];
    for (index, one) in several.iter().enumerate() {
        several[..index].iter().for_each(|other| assert_ne!(of(one), of(other), "{one:?} {other:?}"));
    }
    let [first, second] = ["ab", "c"].map(Sha256::digest);
    let expected: Fingerprint = Sha256::digest([first, second].concat()).into();
    assert_eq!(of(&["a", "b", "|", "c"]), expected);
}

#[tokio::test]
async fn a_fingerprint_does_not_depend_on_what_has_arrived() {
    let whole = parts(&["ab", "|", "c"]);
    for arrived in 0..=whole.len() {
        let (before, rest) = whole.split_at(arrived);
        let rest = stream::iter(rest.to_vec()).map(Ok::<_, ()>);
        assert_eq!(fingerprint_of(before.to_vec(), rest).await, Ok(fingerprint(&whole)));
    }
    assert_eq!(fingerprint_of(Vec::new(), stream::iter([Err(7)])).await, Err(7));
}
