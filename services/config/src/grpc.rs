//! The tonic adapters, one per service of the contract.

pub mod audit;
pub mod flags;
pub mod keys;
mod log_pages;
pub mod providers;
pub mod rules;
pub mod settings;
pub mod themes;

mod mask;
mod reads;
mod refusals;
mod sets;

use std::pin::Pin;
use std::time::SystemTime;

use dataflow_mesh::identity::Identity;
use dataflow_mesh::propagation::REQUEST_ID;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::Error;
use crate::audited_read::AuditedRead;
use crate::change::Origin;
use crate::journal::{Attempt, Journal};
use crate::state::State;

/// Longest reason of a change, in bytes.
const MAX_REASON: usize = 1024;

/// The default page size, and the maximum.
const DEFAULT_PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: usize = 1000;

/// Most entries of an index in one message of a watch, so that it stays far below the limit of a message.
const CHANGED_PER_MESSAGE: usize = 1000;

/// The error of a request without a required message.
fn missing_field(field: &str) -> Error {
    Error::FieldInvalid { field: field.to_owned(), problem: "must be set".to_owned() }
}

/// Checks the id of a new resource. It is a segment of the path of the resource, and clients resolve `.` and `..` there
/// (RFC 3986, 5.2.4), so that such a resource could not be read.
fn check_new_id(field: &str, id: &str) -> Result<(), Error> {
    match id {
        "." | ".." => {
            let problem = format!("must not be {id:?}, which no path can name");
            Err(Error::FieldInvalid { field: field.to_owned(), problem })
        }
        _ => Ok(()),
    }
}

/// A response that ends when the service drains.
type Watch<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What `news` finds in each state of the journal, until the service drains: an endless response would delay that.
fn watch<T, N>(
    journal: &Journal,
    draining: &CancellationToken,
    mut news: impl FnMut(&State) -> N + Send + 'static,
) -> Watch<T>
where
    T: Send + 'static,
    N: IntoIterator<Item = T, IntoIter: Send> + 'static,
{
    WatchStream::new(journal.watch())
        .flat_map(move |state| stream::iter(news(&state)))
        .map(Ok)
        .take_until(draining.clone().cancelled_owned())
        .boxed()
}

/// The caller of a change or of an audited read.
struct Caller {
    subject: String,
    /// Empty if it belongs to no tenant.
    tenant: String,
    /// The address from which its connection came to the gateway; empty if unknown.
    peer: String,
    request_id: String,
}

/// The caller and the message of a request.
fn caller<T>(request: Request<T>) -> (Caller, T) {
    let (metadata, extensions, request) = request.into_parts();
    let request_id = metadata.get(REQUEST_ID.as_str()).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let Identity { subject, tenant, peer, .. } = Identity::of(&extensions);
    let [subject, tenant, peer] = [subject, tenant, peer].map(|name| name.to_string());
    (Caller { subject, tenant, peer, request_id: request_id.to_owned() }, request)
}

/// The tenant of the caller; empty if it belongs to none.
fn tenant<T>(request: &Request<T>) -> String {
    Identity::of(request.extensions()).tenant.to_string()
}

// === impl Caller ===

impl Caller {
    /// A read of the caller that is audited.
    fn read(self, action: &str, resource: &str) -> AuditedRead {
        let Self { subject, tenant, peer, request_id } = self;
        let (time, action, resource) = (SystemTime::now(), action.to_owned(), resource.to_owned());
        AuditedRead { time, subject, tenant, peer, request_id, action, resource, left_out: 0 }
    }

    /// The author and the reason of a change.
    fn origin(self, reason: String) -> Result<Origin, Error> {
        if reason.len() > MAX_REASON {
            let problem = format!("must be at most {MAX_REASON} bytes, is {}", reason.len());
            return Err(Error::FieldInvalid { field: "reason".to_owned(), problem });
        }
        Ok(Origin { author: self.subject, reason, peer: self.peer, request_id: self.request_id })
    }

    /// The same, of a change that may have to be validated only.
    fn attempt(self, reason: String, validate_only: bool) -> Result<Attempt, Error> {
        let origin = self.origin(reason)?;
        Ok(if validate_only { Attempt::Validate(origin) } else { Attempt::Store(origin) })
    }
}

/// Validates a page size.
fn page_size(requested: i32) -> Result<usize, Error> {
    match usize::try_from(requested) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) if size <= MAX_PAGE_SIZE => Ok(size),
        _ => {
            let problem = format!("must be from 0 to {MAX_PAGE_SIZE}, is {requested}");
            Err(Error::FieldInvalid { field: "page_size".to_owned(), problem })
        }
    }
}

/// The start of a page: the number in the page token, or `first`.
fn page_start(token: &str, first: u64) -> Result<u64, Error> {
    if token.is_empty() {
        return Ok(first);
    }
    token.parse().map_err(|_| invalid_page_token())
}

fn invalid_page_token() -> Error {
    let problem = "was not issued by this service".to_owned();
    Error::FieldInvalid { field: "page_token".to_owned(), problem }
}

/// Rejects a change if the etag is not the current one (optimistic concurrency).
fn check_etag(etag: &str, current: &str) -> Result<(), Error> {
    if etag.is_empty() || etag == current {
        return Ok(());
    }
    Err(Error::EtagMismatch { found: current.to_owned() })
}
