//! The tonic adapters, one a service of the contract.

pub mod audit;
pub mod providers;
pub mod rules;
pub mod settings;

mod mask;

use dataflow_mesh::propagation::{REQUEST_ID, SUBJECT};
use tonic::metadata::MetadataMap;

use crate::Error;
use crate::change::Origin;

/// Longest reason that a change may be given, in bytes.
const MAX_REASON: usize = 1024;

/// Entries in one answer where the caller does not say how many, and the most.
const DEFAULT_PAGE_SIZE: usize = 100;
const MAX_PAGE_SIZE: usize = 1000;

/// The refusal of a request without the message that it is about.
fn missing_field(field: &str) -> Error {
    Error::FieldInvalid { field: field.to_owned(), problem: "must be set".to_owned() }
}

/// Who makes a change, and why.
fn origin(metadata: &MetadataMap, reason: String) -> Result<Origin, Error> {
    if reason.len() > MAX_REASON {
        let problem = format!("must be at most {MAX_REASON} bytes, is {}", reason.len());
        return Err(Error::FieldInvalid { field: "reason".to_owned(), problem });
    }
    // Bytes that are no text are spelled out: a change must not look anonymous.
    let header = |name: &str| {
        let value = metadata.get(name).map(|value| value.as_encoded_bytes().escape_ascii().to_string());
        value.unwrap_or_default()
    };
    Ok(Origin { author: header(SUBJECT.as_str()), reason, request_id: header(REQUEST_ID.as_str()) })
}

/// How many entries an answer has.
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

/// Where a page begins: the number that the answer before gave, or `first`.
fn page_start(token: &str, first: u64) -> Result<u64, Error> {
    if token.is_empty() {
        return Ok(first);
    }
    token.parse().map_err(|_| invalid_page_token())
}

fn invalid_page_token() -> Error {
    let problem = "is not one that was given out".to_owned();
    Error::FieldInvalid { field: "page_token".to_owned(), problem }
}

/// Refuses a change of another version than the present one.
fn check_etag(etag: &str, present: &str) -> Result<(), Error> {
    if etag.is_empty() || etag == present {
        return Ok(());
    }
    Err(Error::EtagMismatch { found: present.to_owned() })
}
