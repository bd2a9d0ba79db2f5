//! A body that is held as a whole, within three bounds: its own size, the time between its pieces, and the room for all
//! such bodies together.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// What bodies that are held as a whole may be.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The most bytes of one.
    pub(crate) bytes: usize,
    /// The longest time from one piece to the next.
    pub(crate) idle: Duration,
    /// Room for all of them together, in units of [`ROOM`].
    pub(crate) room: Arc<Semaphore>,
}

/// Bytes of a unit of room: fewer would make permits of millions, more would round small bodies up to much.
pub(crate) const ROOM: usize = 1024;

/// A body as a whole, with the room that it takes.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// Reads a body as a whole. There must be room for it beside all others.
pub(crate) async fn collect(mut body: Body, limits: &Limits) -> Result<Held, Error> {
    let (mut whole, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
    loop {
        let frame = tokio::time::timeout(limits.idle, body.frame()).await;
        let frame = match frame.map_err(|_| Error::BodyStalled { idle: limits.idle })? {
            Some(frame) => frame.map_err(|error| Error::BodyBroken(error.to_string()))?,
            None => return Ok(Held { bytes: whole.freeze(), room }),
        };
        let data = frame.into_data().unwrap_or_default();
        let length = whole.len() + data.len();
        if length > limits.bytes {
            return Err(Error::BodyTooLarge { limit: limits.bytes });
        }
        let has = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Ok(lacks @ 1..) = u32::try_from(length.div_ceil(ROOM) - has) {
            let more = Arc::clone(&limits.room).try_acquire_many_owned(lacks).map_err(|_| Error::NoRoom)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
        whole.extend_from_slice(&data);
    }
}

// === impl Held ===

impl Held {
    /// The frame that was made of it as a body, which keeps the room until it is sent.
    pub(crate) fn sent_as(self, frame: Bytes) -> Body {
        let room = self.room;
        Body::from_stream(stream::once(async move {
            drop(room);
            Ok::<_, Infallible>(frame)
        }))
    }
}
