//! Request bodies: buffered ones, with limits of size and of the total memory of all buffered bodies, and streamed
//! ones. The stack of the mesh limits the time. Separate from the dialects, because all of them use the same limits.

mod coded;
mod decoding;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use dataflow_mesh::memory_shares::{MemoryPermit, MemoryShares};
use dataflow_mesh::process_status::Quota;
use dataflow_mesh::status::{Describe, Kind, to_status};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use tonic::Status;

pub(crate) use coded::Coding;

/// The memory budget of buffered bodies.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The most bytes of one.
    pub(crate) bytes: usize,
    /// The memory of all of them together, which tenants share.
    memory: MemoryShares,
}

/// The most bytes that a value of a JSON body takes beyond its text: its tag and its length on the wire, and the
/// position of its key.
const VALUE: usize = 24;

/// Up to so many values of a body are not counted exactly.
const FEW: usize = 1000;

/// A body as a whole, with the permit for the memory that it takes.
#[derive(Debug, Default)]
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    permit: Option<MemoryPermit>,
}

/// A body that is passed on as it arrives.
#[derive(Debug)]
pub(crate) struct StreamedBody {
    body: Body,
    breakage: Breakage,
}

/// The status of a streamed body, if it failed; its upstream sees only a reset.
pub(crate) type Breakage = Arc<OnceLock<Status>>;

/// Why a body is rejected or incomplete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is of a media type that is not understood.
    #[error("the body is {found}; expected application/json")]
    UnsupportedMediaType {
        /// The value of the header.
        found: String,
    },
    /// It is in a coding that is not understood.
    #[error("the body is encoded as {coding}; supported are gzip and br")]
    UnsupportedCoding {
        /// The value of the header.
        coding: String,
    },
    /// It has parts, and the route takes JSON.
    #[error("the body is multipart/form-data; expected application/json. {}", parts_go_to(routes))]
    Multipart {
        /// The routes that take parts.
        routes: Vec<String>,
    },
    /// It is too large to be buffered.
    #[error("the body has more than the {limit} bytes of --max-body-bytes")]
    TooLarge {
        /// The most bytes.
        limit: usize,
    },
    /// Its values would take more memory than there is for all bodies.
    #[error("the body has more than {limit} values, which is all that fits into --max-held-bytes")]
    TooManyValues {
        /// The most values.
        limit: usize,
    },
    /// All buffered bodies together would be too large.
    #[error("the memory budget of buffered bodies is used up (--max-held-bytes)")]
    NoMemory,
    /// It is not in the coding that its head states.
    #[error("the body cannot be decoded: {0}")]
    Undecodable(String),
    /// It becomes much larger than it was sent.
    #[error("the body has more than {ratio} times the bytes that it was sent as")]
    TooDense {
        /// The most times.
        ratio: usize,
    },
    /// It was truncated.
    #[error("the body is incomplete: {0}")]
    Broken(String),
    /// A body is present where none is allowed.
    #[error("this route takes no body")]
    Unexpected,
}

// === impl Limits ===

impl Limits {
    /// Bodies of at most `bytes` each, and `total` of all together.
    pub(crate) fn new(bytes: usize, total: u64) -> Self {
        Self { bytes, memory: MemoryShares::new(total) }
    }

    /// The memory of all bodies together, as a quota of this role.
    pub(crate) fn quota(&self, role: &'static str) -> Quota {
        self.memory.quota(role)
    }

    /// The same for the bodies of a tenant.
    pub(crate) fn of(&self, tenant: &Arc<str>) -> Self {
        Self { memory: self.memory.of(tenant), ..self.clone() }
    }
}

// === impl BufferedBody ===

impl BufferedBody {
    /// Reads a body as a whole. There must be memory for it beside all others.
    pub(crate) async fn read(mut body: Body, limits: &Limits) -> Result<Self, BodyError> {
        let (mut whole, mut permit) = (BytesMut::new(), None::<MemoryPermit>);
        loop {
            let frame = match body.frame().await {
                Some(frame) => frame.map_err(|error| BodyError::Broken(error.to_string()))?,
                None => return Ok(Self { bytes: whole.freeze(), permit }),
            };
            let data = frame.into_data().unwrap_or_default();
            let length = whole.len() + data.len();
            if length > limits.bytes {
                return Err(BodyError::TooLarge { limit: limits.bytes });
            }
            grow(&mut permit, length, limits)?;
            whole.extend_from_slice(&data);
        }
    }

    /// Adds to the permit what a JSON body takes as a message.
    pub(crate) fn count_values(&mut self, limits: &Limits) -> Result<(), BodyError> {
        let length = values(&self.bytes).saturating_mul(VALUE).saturating_add(self.bytes.len());
        let total = usize::try_from(limits.memory.total()).unwrap_or(usize::MAX);
        if length.saturating_add(self.bytes.len()) > total {
            return Err(BodyError::TooManyValues { limit: total / VALUE });
        }
        add(&mut self.permit, length, limits)
    }

    /// Reads a body that must be empty.
    pub(crate) async fn read_empty(body: Body, limits: &Limits) -> Result<Self, BodyError> {
        let empty = Limits { bytes: 0, ..limits.clone() };
        Self::read(body, &empty).await.map_err(|error| match error {
            BodyError::TooLarge { .. } => BodyError::Unexpected,
            other => other,
        })
    }

    /// The frame that was made of it as a body, which keeps the permit until it is sent.
    pub(crate) fn sent_as(self, frame: Bytes) -> Body {
        let permit = self.permit;
        Body::from_stream(stream::once(async move {
            drop(permit);
            Ok::<_, Infallible>(frame)
        }))
    }
}

// === impl StreamedBody ===

impl StreamedBody {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, breakage: Breakage::default() }
    }

    /// A handle to the status of its failure.
    pub(crate) fn breakage(&self) -> Breakage {
        Arc::clone(&self.breakage)
    }

    /// The pieces, as they arrive.
    pub(crate) fn pieces(self) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static {
        let Self { body, breakage } = self;
        let broken = |error: axum::Error| Status::from(BodyError::Broken(error.to_string()));
        let pieces = body.into_data_stream().map(move |piece| piece.map_err(broken));
        pieces.inspect_err(move |status| _ = breakage.set(status.clone()))
    }
}

/// Whether a `Content-Type` announces parts that are the fields of a form.
pub(crate) fn is_form_data(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case("multipart/form-data")
}

/// What a client can do with its parts.
fn parts_go_to(routes: &[String]) -> String {
    match routes {
        [] => "No route takes parts".to_owned(),
        routes => format!("Parts go to {}", routes.join(", ")),
    }
}

/// Has a permit cover this many bytes.
fn grow(permit: &mut Option<MemoryPermit>, length: usize, limits: &Limits) -> Result<(), BodyError> {
    let has = permit.as_ref().map_or(0, |permit| usize::try_from(permit.bytes()).unwrap_or(usize::MAX));
    match length.saturating_sub(has) {
        0 => Ok(()),
        lacks => add(permit, lacks, limits),
    }
}

/// Adds bytes to a permit.
fn add(permit: &mut Option<MemoryPermit>, bytes: usize, limits: &Limits) -> Result<(), BodyError> {
    if limits.memory.add(permit, bytes as u64) { Ok(()) } else { Err(BodyError::NoMemory) }
}

/// The number of values in a JSON text, by the characters before them. Those within texts count only where there are so
/// few that they need not be told apart, which costs more than all else that is done with the body.
fn values(json: &[u8]) -> usize {
    // In chunks whose count fits a byte, so that the compiler compares many bytes at once.
    let most_of = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(begins_value(*byte))).sum::<u8>();
    let most = json.chunks(u8::MAX.into()).map(|chunk| usize::from(most_of(chunk))).sum();
    if most <= FEW { most } else { exact_values(json) }
}

/// Without a branch.
fn begins_value(byte: u8) -> bool {
    (byte == b'{') | (byte == b'[') | (byte == b',')
}

fn exact_values(json: &[u8]) -> usize {
    let (mut values, mut in_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, byte) if begins_value(*byte) => values += 1,
            _ => {}
        }
    }
    values
}

// === impl BodyError ===

impl Describe for BodyError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            BodyError::UnsupportedMediaType { .. }
            | BodyError::UnsupportedCoding { .. }
            | BodyError::Multipart { .. } => Kind::UnsupportedMediaType,
            BodyError::TooLarge { .. } | BodyError::TooManyValues { .. } | BodyError::TooDense { .. } => {
                Kind::TooLarge
            }
            BodyError::Undecodable(_) => Kind::Invalid,
            BodyError::NoMemory => Kind::Overloaded,
            BodyError::Broken(_) => Kind::Cancelled,
            BodyError::Unexpected => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            BodyError::UnsupportedMediaType { .. }
            | BodyError::UnsupportedCoding { .. }
            | BodyError::Multipart { .. } => "UNSUPPORTED_MEDIA_TYPE",
            BodyError::TooLarge { .. } => "BODY_TOO_LARGE",
            BodyError::TooManyValues { .. } => "TOO_MANY_VALUES",
            BodyError::TooDense { .. } => "BODY_TOO_DENSE",
            BodyError::Undecodable(_) => "BODY_UNDECODABLE",
            BodyError::NoMemory => "NO_ROOM",
            BodyError::Broken(_) => "BODY_BROKEN",
            BodyError::Unexpected => "BODY_UNEXPECTED",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, BodyError::NoMemory).then_some(Duration::from_secs(1))
    }
}

impl From<BodyError> for Status {
    fn from(error: BodyError) -> Self {
        to_status(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_json_are_counted_outside_of_texts() {
        let check = |json: &str, expected: usize, at_most: usize| {
            assert_eq!(exact_values(json.as_bytes()), expected, "{json}");
            assert_eq!(values(json.as_bytes()), at_most, "{json}");
        };
        check("", 0, 0);
        check("7", 0, 0);
        check(r#"{"a": [1, 2, {}], "b": "x"}"#, 6, 6);
        check(r#"{"a": "1, 2, \"[{,", "b": ",\\"}"#, 2, 8);
        let many = format!("[\"{}\"]", ",".repeat(FEW));
        check(&many, 1, 1);
    }
}
