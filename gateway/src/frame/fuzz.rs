//! Fuzz target: responses of upstreams, in pieces of any size.

use futures_util::{FutureExt, stream};

use super::*;

/// The messages of a response that arrives in pieces, and whether it ended properly.
fn messages(pieces: Vec<Vec<u8>>) -> (Vec<Bytes>, bool) {
    let pieces = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let mut frames = Frames::new(Body::from_stream(stream::iter(pieces)));
    let mut read = Vec::new();
    let reading = async {
        while let Some(length) = frames.next_length().await? {
            read.push(frames.take(length).await?);
        }
        frames.finish().await
    };
    // Everything is there: it never waits.
    let ended = reading.now_or_never().expect("nothing is pending");
    (read, ended.is_ok())
}

#[test]
fn any_response_is_messages_or_an_error() {
    bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|pieces| {
        let whole = pieces.concat();
        let (read, ended) = messages(pieces.clone());
        let (same, same_end) = messages(vec![whole.clone()]);
        assert_eq!((&read, ended), (&same, same_end), "however it arrives");
        let size: usize = read.iter().map(|message| message.len() + 5).sum();
        assert!(size <= whole.len(), "no byte is read twice");
    });
}
