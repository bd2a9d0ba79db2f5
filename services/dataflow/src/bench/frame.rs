//! The frame of a gRPC message, for benchmarks that call without a generated client.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// A message without compression.
pub(super) fn framed(request: &impl Message) -> Bytes {
    let message = request.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message);
    framed.freeze()
}
