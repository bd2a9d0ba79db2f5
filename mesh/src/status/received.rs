//! Translates the statuses that tonic itself returns for an invalid message or an unknown path. For these client errors
//! tonic returns INTERNAL, which ejects the host, or OUT_OF_RANGE, both without details.

use tonic::{Code, Status};

use super::{Describe, Kind};

/// Why tonic rejected a call, before the handler or while the handler read messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A message does not match the contract, or its gRPC framing is invalid.
    #[error("a message cannot be decoded: {0}")]
    Malformed(String),
    /// A message is larger than the service accepts.
    #[error("a message has more bytes than `--max-message-bytes`")]
    TooLarge,
    /// There is no such method.
    #[error("there is no such method")]
    UnknownMethod,
    /// The messages are compressed by something else than gzip.
    #[error("{0}; gzip is, and messages that are not compressed")]
    Compression(String),
}

impl Describe for Refused {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Refused::Malformed(_) => Kind::Invalid,
            Refused::TooLarge => Kind::TooLarge,
            Refused::UnknownMethod | Refused::Compression(_) => Kind::Unimplemented,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Refused::Malformed(_) => "MESSAGE_MALFORMED",
            Refused::TooLarge => "MESSAGE_TOO_LARGE",
            Refused::UnknownMethod => "METHOD_UNKNOWN",
            Refused::Compression(_) => "COMPRESSION_UNSUPPORTED",
        }
    }
}

/// Prefixes of the messages of tonic and prost for undecodable input. Nothing else distinguishes these statuses from a
/// server fault; a test per prefix fails when a new version changes the text.
const MALFORMED: [&str; 5] = [
    "failed to decode Protobuf message: ",
    "protocol error: received message with ",
    "Error decompressing: ",
    "Missing request message.",
    "Unexpected EOF decoding stream.",
];

/// Translates a status that tonic returned for a received message, for instance from `Streaming::message`; `None` for
/// any other status. Our own statuses have details, so that they are never taken for one of tonic.
pub fn of_received(status: &Status) -> Option<Refused> {
    if !status.details().is_empty() {
        return None;
    }
    let message = status.message();
    match status.code() {
        Code::Internal if MALFORMED.iter().any(|beginning| message.starts_with(beginning)) => {
            Some(Refused::Malformed(message.to_owned()))
        }
        Code::OutOfRange if message.starts_with("Error, decoded message length too large") => {
            Some(Refused::TooLarge)
        }
        Code::ResourceExhausted if message.starts_with("Error decompressing: size limit") => {
            Some(Refused::TooLarge)
        }
        Code::Unimplemented if message.is_empty() => Some(Refused::UnknownMethod),
        Code::Unimplemented if message.starts_with("Content is compressed with ") => {
            Some(Refused::Compression(message.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::to_status;

    #[test]
    fn errors_of_tonic_are_translated_and_others_are_not() {
        let check = |code: Code, message: &str, expected: Option<&str>| {
            let reason = of_received(&Status::new(code, message)).map(|refused| refused.reason());
            assert_eq!(reason, expected, "{code:?} {message}");
        };
        let malformed = Some("MESSAGE_MALFORMED");
        check(Code::Internal, "failed to decode Protobuf message: invalid varint", malformed);
        check(Code::Internal, "protocol error: received message with invalid compression flag: 7", malformed);
        check(Code::Internal, "Missing request message.", malformed);
        check(Code::Internal, "Unexpected EOF decoding stream.", malformed);
        check(Code::Internal, "h2 protocol error: http2 error", None);
        check(Code::Internal, "internal failure", None);
        let large = "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes";
        check(Code::OutOfRange, large, Some("MESSAGE_TOO_LARGE"));
        check(Code::OutOfRange, "page 7 of 3", None);
        check(Code::Unimplemented, "", Some("METHOD_UNKNOWN"));
        let compression = Some("COMPRESSION_UNSUPPORTED");
        check(Code::Unimplemented, "Content is compressed with `zstd` which isn't supported", compression);
        check(Code::Unimplemented, "not here", None);
        check(Code::Cancelled, "", None);
    }

    #[test]
    fn a_decode_error_of_prost_is_recognized() {
        let garbage: Result<prost_types::Duration, _> = prost::Message::decode(&b"\xff"[..]);
        let status = Status::internal(garbage.unwrap_err().to_string());
        assert!(matches!(of_received(&status), Some(Refused::Malformed(_))), "{status}");
    }

    #[test]
    fn our_own_status_is_not_taken_for_one_of_tonic() {
        assert_eq!(of_received(&to_status(&Refused::UnknownMethod)), None);
    }
}
