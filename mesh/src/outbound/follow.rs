//! Follows a stream that a peer sends without end.

use std::future::Future;

use tonic::{Status, Streaming};

use crate::backoff::Backoff;

/// What is done with the messages of an endless stream.
pub trait Follower: Send {
    /// A message.
    type Message: Send + 'static;

    /// Opens the stream, for the first time or again.
    fn open(&mut self) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;

    /// Takes one message.
    fn take(&mut self, message: Self::Message) -> impl Future<Output = ()> + Send;

    /// The stream has ended, by the peer or with this error. It will be opened again.
    fn ended(&mut self, error: Option<&Status>);
}

/// Follows a stream forever: when it ends, it is opened again after a while, a longer one if it had no message.
pub async fn follow(mut follower: impl Follower) {
    let mut backoff = Backoff::default();
    loop {
        let error = pass(&mut follower, &mut backoff).await.err();
        follower.ended(error.as_ref());
        backoff.wait().await;
    }
}

/// Passes the messages of one stream on, until it ends.
async fn pass(follower: &mut impl Follower, backoff: &mut Backoff) -> Result<(), Status> {
    let mut messages = follower.open().await?;
    while let Some(message) = messages.message().await? {
        backoff.reset();
        follower.take(message).await;
    }
    Ok(())
}
