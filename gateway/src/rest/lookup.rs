//! The resource that a request is to change, read for conditions that its service cannot decide: several etags in
//! `If-Match`, and `If-None-Match` (RFC 9110, 13.1). The service compares the etag that was found once more, so that a
//! change that comes between the two calls is not lost.

use std::sync::Arc;

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request};
use tonic::Status;

use super::conditions::{Conditions, Verdict};
use super::etag::{self, PreconditionError};
use super::request::RoutedRequest;
use crate::call::service_in;
use crate::dialect::Lookup;
use crate::frame;
use crate::query::parameters;
use crate::schema::{Binding, Body, Precondition, Schema};

/// The conditions of a request that changes something, and the request that reads its resource.
#[derive(Debug)]
pub(super) struct ResourceLookup {
    conditions: Conditions,
    /// Whether the request makes a resource that does not exist.
    makes: bool,
    reader: Result<RoutedRequest, PreconditionError>,
}

// === impl ResourceLookup ===

impl ResourceLookup {
    /// The lookup that a request for `binding` needs, if it needs one.
    pub(super) fn of<B>(schema: &Schema, binding: &Binding, request: &Request<B>) -> Option<Self> {
        if binding.precondition == Precondition::Ignored {
            return None;
        }
        let conditions = Conditions::read(request.headers());
        let makes = binding.precondition == Precondition::OfAny;
        if !conditions.need_lookup(makes) {
            return None;
        }
        let reader = match binding.precondition {
            Precondition::Impossible => Err(PreconditionError::impossible(conditions.exclude())),
            _ => reader(schema, binding, request)
                .ok_or_else(|| PreconditionError::undecidable(conditions.exclude())),
        };
        Some(Self { conditions, makes, reader })
    }

    /// The call that reads the resource.
    pub(super) fn call(&self) -> Result<Lookup, Status> {
        let reader = self.reader.as_ref().map_err(PreconditionError::clone)?;
        let message = frame::frame(0, |out| reader.put_parameters(out))?;
        Ok(Lookup { path: reader.binding.path.clone(), message })
    }

    /// Decides the conditions. `headers` keep the etag of the resource, for the service to compare.
    pub(super) fn decide(&self, headers: &mut HeaderMap, found: Option<&[u8]>) -> Result<(), Status> {
        headers.remove(IF_NONE_MATCH);
        let Some((reader, found)) = self.reader.as_ref().ok().zip(found) else {
            return self.decide_absent(headers);
        };
        let etag = etag::of(&reader.binding, found);
        match self.conditions.verdict(etag.unwrap_or_default()) {
            Verdict::Send => {}
            Verdict::NotModified => return Err(PreconditionError::is_excluded().into()),
            Verdict::Failed => return Err(PreconditionError::is_another().into()),
        }
        match etag {
            Some(etag) => headers.insert(IF_MATCH, etag::header(etag)),
            None => headers.remove(IF_MATCH),
        };
        Ok(())
    }

    /// Decides for a resource that does not exist. Another caller may make it now, of which the service has to know
    /// what it must be.
    fn decide_absent(&self, headers: &mut HeaderMap) -> Result<(), Status> {
        if !self.conditions.require_one() {
            return Ok(());
        }
        let etag = self.conditions.required().map(|etag| HeaderValue::try_from(format!("\"{etag}\"")));
        match etag {
            Some(Ok(etag)) if !self.makes => _ = headers.insert(IF_MATCH, etag),
            None if !self.makes && self.conditions.require_any() => {}
            _ => return Err(PreconditionError::is_another().into()),
        }
        Ok(())
    }
}

/// The request for the same resource by GET, to the same service, with those parameters that it has.
fn reader<B>(schema: &Schema, binding: &Binding, request: &Request<B>) -> Option<RoutedRequest> {
    let found = schema.routes().find("GET", request.uri().path()).ok()?;
    let reader = Arc::clone(found.value);
    let is_one = !reader.server_streaming && reader.body == Body::Absent;
    if !is_one || service_in(reader.path.path()) != service_in(binding.path.path()) {
        return None;
    }
    let is_known = |name: &str| {
        let first = name.split('.').next().unwrap_or_default();
        reader.schema.field_named(reader.input, first).is_some()
    };
    let query: Vec<_> = request.uri().query().unwrap_or_default().split('&').collect();
    let query: Vec<_> =
        query.into_iter().filter(|one| parameters(one).any(|(name, _)| is_known(name))).collect();
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    let (variables, query) = (found.variables.into_iter().map(owned).collect(), query.join("&"));
    Some(RoutedRequest { binding: reader, variables, query })
}
