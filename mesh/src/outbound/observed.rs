//! Observes the calls that a service makes to one peer: metrics by method and code, and whether the peer responds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::BoxError;

use crate::dependencies::Dependency;
use crate::metrics::{ClientCall, ClientMetrics};
use crate::status::{code_in, failure_in};

/// The observer of the calls to one peer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallObserver {
    metrics: ClientMetrics,
    dependency: Dependency,
}

/// One call that is observed until its response has ended.
#[derive(Debug)]
pub(super) struct ObservedCall {
    call: ClientCall,
    dependency: Dependency,
}

// === impl CallObserver ===

impl CallObserver {
    pub(crate) fn new(metrics: ClientMetrics, dependency: Dependency) -> Self {
        Self { metrics, dependency }
    }

    pub(super) fn start(&self, path: &str) -> ObservedCall {
        ObservedCall { call: self.metrics.started(path), dependency: self.dependency.clone() }
    }
}

// === impl ObservedCall ===

impl ObservedCall {
    /// Observes the response, or the error in its place.
    pub(super) fn responded(
        mut self,
        outcome: Result<Response<Body>, BoxError>,
    ) -> Result<Response<Body>, BoxError> {
        match outcome {
            Ok(response) => match code_in(response.headers()) {
                // The response has no body.
                Some(code) => {
                    self.end(code, failure_in(response.headers()));
                    Ok(response)
                }
                None => {
                    self.dependency.succeeded();
                    Ok(response.map(|inner| Body::new(ObservedBody { inner, call: Some(self) })))
                }
            },
            Err(error) => {
                // A status stands for our own deadline.
                match error.downcast_ref::<Status>() {
                    Some(status) => self.end(status.code(), Some(status.clone())),
                    None => {
                        self.call.end(Code::Unavailable);
                        self.dependency.failed(&Sources(&*error));
                    }
                }
                Err(error)
            }
        }
    }

    /// Of a peer that responds, only UNAVAILABLE says that it cannot.
    fn end(&mut self, code: Code, failure: Option<Status>) {
        self.call.end(code);
        match (code, failure) {
            (Code::Unavailable, Some(failure)) => self.dependency.failed(&failure.message()),
            (Code::DeadlineExceeded, _) => {}
            _ => self.dependency.succeeded(),
        }
    }
}

/// An error with those that caused it.
struct Sources<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

/// A response body that is observed for its trailers. A call whose body is dropped before them was canceled.
struct ObservedBody {
    inner: Body,
    call: Option<ObservedCall>,
}

// === impl ObservedBody ===

impl ObservedBody {
    fn ended(&mut self, trailers: Option<&HeaderMap>) {
        let Some(mut call) = self.call.take() else { return };
        match trailers.and_then(|trailers| Some((code_in(trailers)?, failure_in(trailers)))) {
            Some((code, failure)) => call.end(code, failure),
            None => call.call.end(Code::Unknown),
        }
    }
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.ended(Some(trailers));
                }
            }
            Some(Err(status)) => {
                if let Some(mut call) = self.call.take() {
                    call.end(status.code(), Some(status.clone()));
                }
            }
            None => self.ended(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
