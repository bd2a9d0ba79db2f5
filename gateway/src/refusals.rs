//! Refused writes of authenticated callers, for the log of the config service: what the gateway itself refuses, and
//! what a service behind it does, over every protocol. The frontend names each call here before it passes it on, and
//! has its response observed; nothing of a request or of a response is kept but who called what, and how it was refused.

pub(crate) mod args;

mod observed;
mod queue;
mod reporter;

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use dataflow_mesh::access::{Access, AccessTable, Scope};
use dataflow_mesh::context::Context;
use dataflow_mesh::identity::PeerAddress;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::propagation;
use dataflow_mesh::sampling::CallerSampler;
use dataflow_mesh::status::{Describe, failure_in};
use dataflow_mesh::tasks::Task;
use dataflow_proto::config::v1 as pb;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::auth::{Auth, KEY_SUBJECT};
use crate::caller::Caller;
pub use args::RefusalArgs;
use observed::ObservedBody;
use queue::{Outcome, Queue};
use reporter::Reporter;

/// The longest text of a record in bytes, and the longest reason: more is in no error that follows the specification.
const MAX_TEXT: usize = 1024;
const MAX_REASON: usize = 63;

/// Records refused writes. By default none: callers are not authenticated, or there is no config service.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    access: AccessTable,
    sampler: CallerSampler,
    queue: Arc<Queue>,
}

/// A call that may turn out to be a refused write.
#[derive(Debug)]
pub(crate) struct Attempt {
    recorder: Arc<Recorder>,
    caller: Caller,
    peer: Option<PeerAddress>,
    request_id: HeaderValue,
    method: String,
}

// === impl Refusals ===

impl Refusals {
    /// Records the refusals of the callers that `auth` admits, and reports them to `config`.
    pub(crate) fn new(config: Option<&Upstream>, auth: &Auth, args: &RefusalArgs, context: &Context) -> Self {
        let queue = Arc::new(Queue::new(&context.metrics));
        let Some((config, uses)) = config.zip(auth.key_uses()) else { return Self::default() };
        let reporter = Reporter::new(config, Arc::clone(&queue), uses, context);
        context.tasks.spawn(Task::restarting("reports", move || reporter.clone().run()));
        let (access, sampler) = (auth.access().clone(), CallerSampler::new(args.per_minute));
        Self(Some(Arc::new(Recorder { access, sampler, queue })))
    }

    /// A call of this caller to a method, by default that of the request; none if its refusal is not recorded.
    pub(crate) fn attempt(
        &self,
        caller: &Caller,
        method: Option<&str>,
        request: &mut Request<Body>,
    ) -> Option<Attempt> {
        let recorder = self.0.as_ref().filter(|_| !caller.subject.is_empty())?;
        let path = method.unwrap_or(request.uri().path());
        // What only reads is refused to many, for nothing that matters later.
        match recorder.access.get(path) {
            Some(Access::Scope(Scope::Write | Scope::Admin) | Access::TenantWrite | Access::OfMesh) => {}
            Some(Access::Scope(Scope::Read) | Access::Internal) | None => return None,
        }
        let method = path.trim_start_matches('/').to_owned();
        Some(Attempt {
            recorder: Arc::clone(recorder),
            caller: caller.clone(),
            peer: request.extensions().get().copied(),
            request_id: propagation::request_id(request.headers_mut()),
            method,
        })
    }
}

// === impl Attempt ===

impl Attempt {
    /// The response to the call, of which a failure is recorded when it is known.
    pub(crate) fn observe(self, response: Response<Body>) -> Response<Body> {
        match failure_in(response.headers()) {
            Some(status) => self.failed(&status),
            None if response.body().is_end_stream() => {}
            None => {
                return response.map(|inner| Body::new(ObservedBody { inner, attempt: Some(self) }));
            }
        }
        response
    }

    /// The gateway itself refuses the call.
    pub(crate) fn refused(self, error: &dyn Describe) {
        self.record(error.kind().code(), error.reason());
    }

    /// The call has failed.
    fn failed(self, status: &Status) {
        let info = status.get_details_error_info();
        let reason = info.as_ref().map(|info| info.reason.as_str()).unwrap_or_default();
        let is_reason = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_valid = reason.len() <= MAX_REASON && reason.bytes().all(is_reason);
        self.record(status.code(), if is_valid { reason } else { "" });
    }

    fn record(self, code: Code, reason: &str) {
        let Some(code) = refusal(code) else { return };
        let Self { recorder, caller, peer, request_id, method } = self;
        let Some(left_out) = recorder.sampler.take(&caller.tenant, &caller.subject) else {
            return recorder.queue.count(Outcome::LeftOut, 1);
        };
        recorder.queue.push(pb::Refusal {
            time: Some(SystemTime::now().into()),
            subject: truncated(caller.subject_of_identity()),
            key_id: truncated(caller.subject.strip_prefix(KEY_SUBJECT).unwrap_or_default().to_owned()),
            tenant: truncated(caller.tenant.clone()),
            peer: peer.map(|PeerAddress(address)| address.to_string()).unwrap_or_default(),
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            method: truncated(method),
            code: code.to_owned(),
            reason: reason.to_owned(),
            left_out: i64::try_from(left_out).unwrap_or(i64::MAX),
        });
    }
}

/// The response to a call, observed if its refusal is recorded.
pub(crate) fn observed(attempt: Option<Attempt>, response: Response<Body>) -> Response<Body> {
    match attempt {
        Some(attempt) => attempt.observe(response),
        None => response,
    }
}

/// The name of a code that means that the caller may not do what it wants, or that what it wants is not valid; none for
/// a fault of the mesh, an overload, and what does not exist.
fn refusal(code: Code) -> Option<&'static str> {
    match code {
        Code::PermissionDenied => Some("PERMISSION_DENIED"),
        Code::Aborted => Some("ABORTED"),
        Code::InvalidArgument => Some("INVALID_ARGUMENT"),
        Code::FailedPrecondition => Some("FAILED_PRECONDITION"),
        Code::AlreadyExists => Some("ALREADY_EXISTS"),
        _ => None,
    }
}

/// The text, cut where the config service would reject the whole report.
fn truncated(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

#[cfg(test)]
mod tests;
