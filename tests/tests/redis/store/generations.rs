//! Generations: unique, the same at every store, and renewed atomically.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::backend::{Stores, VOLATILE};

pub(crate) async fn a_generation_stays_until_it_is_renewed(Stores { ours, theirs, .. }: Stores) {
    let tags: Vec<_> = (0..100).map(|index| VOLATILE.key(format!("tag/{index}"))).collect();
    let first = ours.generations(&tags).await.unwrap();
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), tags.len(), "all are distinct");
    assert_eq!(theirs.generations(&tags).await.unwrap(), first);
    assert_eq!(theirs.generations(&[tags[7].clone(), tags[3].clone()]).await.unwrap(), [first[7], first[3]]);

    let mut seen: HashSet<_> = first.iter().copied().collect();
    for _ in 0..20 {
        let new = theirs.renew(&tags[5]).await.unwrap();
        assert!(seen.insert(new), "{new} again");
        assert_eq!(ours.generations(&tags[5..6]).await.unwrap(), [new]);
    }
    let mut now = ours.generations(&tags).await.unwrap();
    now[5] = first[5];
    assert_eq!(now, first, "the others are unchanged");

    // A generation that was never read can be renewed too.
    let unknown = VOLATILE.key("tag/unknown");
    let new = ours.renew(&unknown).await.unwrap();
    assert_eq!(theirs.generations(&[unknown]).await.unwrap(), [new]);
    assert_eq!(ours.generations(&[]).await.unwrap(), []);
}

pub(crate) async fn concurrent_readers_get_the_same_generation(Stores { ours, theirs, .. }: Stores) {
    for index in 0..20 {
        let tag = [VOLATILE.key(format!("tag/{index}"))];
        let ask = |asker: usize| if asker.is_multiple_of(2) { &ours } else { &theirs }.generations(&tag);
        let answers = join_all((0..8).map(ask)).await;
        let answers: HashSet<_> = answers.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}
