//! Bodies that arrive in pieces, slowly or not at all.

use std::convert::Infallible;

use futures_util::{Stream, StreamExt, stream};
use http_body_util::BodyExt;

use super::super::shares::{Claimant, Shares};
use super::*;
use crate::memory::Memory;

const SECOND: Duration = Duration::from_secs(1);
const PACE: Pace = Pace { idle: Duration::from_secs(10), rate: 100 };

fn memory() -> RequestMemory {
    RequestMemory::new(u64::MAX, u64::MAX, Memory::unlimited())
}

fn arriving(pieces: impl Stream<Item = Vec<u8>> + Send + 'static, pace: Pace) -> ArrivingBody {
    let admission = Admission::new(Shares::default(), 1, Claimant::default());
    ArrivingBody::new(Body::from_stream(pieces.map(Ok::<_, Infallible>)), pace, admission, memory())
}

/// Pieces of this length, each a time after the one before.
fn trickle(length: usize, every: Duration, count: usize) -> impl Stream<Item = Vec<u8>> {
    stream::iter(0..count).then(move |_| async move {
        tokio::time::sleep(every).await;
        vec![0; length]
    })
}

#[tokio::test(start_paused = true)]
async fn a_complete_or_large_body_has_arrived_and_loses_nothing() {
    let mut whole = arriving(stream::iter([vec![1; 3]]), PACE);
    assert!(!whole.has_arrived(), "the end is not known yet");
    assert_eq!(whole.collect().await.unwrap().to_bytes(), [1, 1, 1][..]);
    let admission = Admission::new(Shares::default(), 1, Claimant::default());
    let mut exact = ArrivingBody::new(Body::from(vec![1; 3]), PACE, admission, memory());
    assert!(exact.has_arrived());
    assert_eq!(exact.collect().await.unwrap().to_bytes(), [1, 1, 1][..]);
    let enough = usize::try_from(ENOUGH).unwrap();
    let mut large = arriving(stream::iter([vec![], vec![0; enough]]).chain(trickle(1, SECOND, 2)), PACE);
    assert!(large.has_arrived());
    assert_eq!(large.collect().await.unwrap().to_bytes().len(), enough + 2);
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_taken_when_the_body_has_arrived() {
    let enough = usize::try_from(ENOUGH).unwrap();
    let shares = Shares::default();
    let take = || shares.try_acquire(1, Claimant::default());
    // The number of pieces that are handed on without a permit.
    for (pieces, before) in [(vec![enough - 1, 1, 1], 1), (vec![enough], 0), (vec![1, 1], 2)] {
        let pieces: Vec<_> = pieces.into_iter().map(|length| vec![0; length]).collect();
        let admission = || Admission::new(shares.clone(), 1, Claimant::default());
        let whole: usize = pieces.iter().map(Vec::len).sum();
        let body_of = |admission: &Admission| {
            let pieces = stream::iter(pieces.clone()).map(Ok::<_, Infallible>);
            ArrivingBody::new(Body::from_stream(pieces), PACE, admission.clone(), memory())
        };
        let refused = admission();
        let mut body = body_of(&refused);
        for _ in 0..before {
            body.frame().await.unwrap().unwrap();
        }
        assert!(take().is_some(), "not yet taken");
        let taken = take();
        assert!(body.frame().await.unwrap().is_err() && body.frame().await.is_none());
        assert!(matches!(refused.failure(), Some(Error::Overloaded)));
        drop(taken);
        let admitted = admission();
        assert_eq!(body_of(&admitted).collect().await.unwrap().to_bytes().len(), whole);
        assert!(take().is_none(), "taken, and kept by the call");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_pauses_or_is_slow_is_cut() {
    let check = async |length, every, pace, expected: Result<usize, Duration>| {
        let begun = Instant::now();
        let body = arriving(trickle(length, every, 30), pace);
        let collected = body.collect().await;
        let found = collected.map(|body| body.to_bytes().len()).map_err(|_| begun.elapsed());
        assert_eq!(found, expected, "{length} {every:?} {pace:?}");
    };
    check(1000, 10 * SECOND - Duration::from_millis(2), PACE, Ok(30_000)).await;
    check(1000, 11 * SECOND, PACE, Err(10 * SECOND)).await;
    // 50 bytes a second, of which 100 are required after 10 s.
    check(50, SECOND, PACE, Err(19 * SECOND)).await;
    check(50, SECOND, Pace { rate: 0, ..PACE }, Ok(1500)).await;
    check(100, SECOND, PACE, Ok(3000)).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_server_does_not_count() {
    let mut body = arriving(trickle(60, SECOND, 12), Pace { rate: 60, ..PACE });
    for _ in 0..12 {
        tokio::time::sleep(60 * SECOND).await;
        body.frame().await.unwrap().unwrap();
    }
    assert!(body.frame().await.is_none());
}
