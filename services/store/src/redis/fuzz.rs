//! Fuzz targets: whatever Redis, or something else at its address, replies.

use bytes::Bytes;

use super::address::Node;
use super::failure::Failure;
use super::scripts::ScriptResult;
use super::topology::ranges;
use crate::key::Space;
use crate::record;

#[test]
fn any_reply_is_a_result_or_a_failure() {
    let node = Node::parse_announced("127.0.0.1:6379").unwrap();
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(reply) = redis::parse_redis_value(bytes) else { return };
        let _ = ranges(reply.clone(), &node);
        let _ = ScriptResult::of(reply.clone());
        if let Err(error) = reply.extract_error() {
            let failure = Failure::of(error);
            let (ends, is_outage) = (failure.ends_connection(), failure.is_outage());
            // What the breaker counts is not kept as a good connection.
            assert!(ends || !is_outage, "{failure:?}");
            let _ = failure.into_write_error();
        }
    });
}

#[test]
fn any_value_is_a_record_or_unreadable() {
    let key = Space::durable("test").key("a");
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok((revision, value)) = record::decode(&key, Bytes::copy_from_slice(bytes)) {
            let again = record::decode(&key, record::encode(revision, value.clone()).into()).unwrap();
            assert_eq!(again, (revision, value));
        }
    });
}
