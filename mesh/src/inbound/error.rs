//! The errors that the stack itself returns. Those of deadlines are in [`crate::deadline`], because outgoing calls have
//! them too.

use std::time::Duration;

use crate::status::{Describe, Kind};

/// Why the stack rejected a call or ended its response.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Error {
    /// The limit of concurrent calls is reached.
    #[error("the service is at its limit of concurrent calls; the call was not started")]
    Overloaded,
    /// All messages in progress together would take too much memory.
    #[error("the memory for request messages is used up (--max-held-bytes); the call was not started")]
    NoMemory,
    /// The process is close to its limit of memory.
    #[error("the process is close to its limit of memory; the call was not started")]
    MemoryExhausted,
    /// The message would take too much memory once it is decoded.
    #[error("the elements of the message would take more than {limit} bytes of memory beside their content")]
    TooManyElements {
        /// The most bytes.
        limit: u64,
    },
    /// A message that the client compressed is not gzip.
    #[error("a message is marked as compressed, and is not gzip")]
    GzipInvalid,
    /// A message is much larger than it was sent.
    #[error("a compressed message has more than {ratio} times the bytes that it was sent as")]
    TooDense {
        /// The most times.
        ratio: u64,
    },
    /// A message is too large once it is decompressed.
    #[error("a compressed message has more than the {limit} bytes of --max-message-bytes")]
    MessageTooLarge {
        /// The most bytes.
        limit: u64,
    },
    /// The headers are too large.
    #[error("the headers have more than the {limit} bytes of --max-header-bytes")]
    HeadersTooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// The client sends the body of its request too slowly.
    #[error(
        "the body of the request arrived too slowly: the next bytes must come within the {idle:?} of \
         --body-idle-timeout, and after that at {rate} bytes a second (--min-body-rate)"
    )]
    BodyStalled {
        /// The longest wait.
        idle: Duration,
        /// The fewest bytes a second.
        rate: u64,
    },
    /// A streaming response has lasted as long as it may.
    #[error("the stream has reached the age of {age:?} (--max-stream-age); begin it again")]
    StreamAge {
        /// The age.
        age: Duration,
    },
    /// The service drains, and the response would not end by itself.
    #[error("the service is draining")]
    Draining,
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Overloaded | Error::NoMemory | Error::MemoryExhausted | Error::StreamAge { .. } => {
                Kind::Overloaded
            }
            Error::TooManyElements { .. } | Error::TooDense { .. } | Error::MessageTooLarge { .. } => {
                Kind::TooLarge
            }
            Error::GzipInvalid => Kind::Invalid,
            Error::HeadersTooLarge { .. } => Kind::HeadersTooLarge,
            Error::BodyStalled { .. } => Kind::Cancelled,
            Error::Draining => Kind::Unavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Overloaded => "CONCURRENCY_LIMIT",
            Error::NoMemory => "MESSAGE_MEMORY",
            Error::MemoryExhausted => "MEMORY_LIMIT",
            Error::TooManyElements { .. } => "TOO_MANY_ELEMENTS",
            Error::GzipInvalid => "MESSAGE_MALFORMED",
            Error::TooDense { .. } => "MESSAGE_TOO_DENSE",
            Error::MessageTooLarge { .. } => "MESSAGE_TOO_LARGE",
            Error::HeadersTooLarge { .. } => "HEADERS_TOO_LARGE",
            Error::BodyStalled { .. } => "BODY_STALLED",
            Error::StreamAge { .. } => "STREAM_AGE",
            Error::Draining => "DRAINING",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::TooManyElements { .. }
            | Error::GzipInvalid
            | Error::TooDense { .. }
            | Error::MessageTooLarge { .. }
            | Error::HeadersTooLarge { .. }
            | Error::BodyStalled { .. } => None,
            Error::Overloaded
            | Error::NoMemory
            | Error::MemoryExhausted
            | Error::StreamAge { .. }
            | Error::Draining => Some(Duration::from_secs(1)),
        }
    }
}
