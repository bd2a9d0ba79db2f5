//! Rejects calls at their connection while there is no permit for them: before anything of a call is parsed, created or
//! logged, since under overload the rejections are what uses the processor.

use std::time::Duration;

use axum::body::Body;
use dataflow_settings::Live;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::Code;

use crate::access_log::{Access, AccessLog, Caller, Outcome, Traffic, peer_in};
use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::identity::{CallerId, Identity, TENANT};
use crate::inbound::{Claimant, Shares, overloaded};
use crate::metrics::ServerMetrics;

/// The gate of one service.
#[derive(Debug)]
pub(super) struct Gate {
    calls: Shares,
    limits: Live<LimitArgs>,
    methods: Methods,
    metrics: ServerMetrics,
    log: AccessLog,
    /// Whether it is the public port, whose callers must not say who they are.
    is_public: bool,
    /// The code and the head of a rejection.
    code: Code,
    rejection: HeaderMap,
}

/// There was no permit when the request arrived: an extension of requests that are no gRPC calls yet.
#[derive(Debug, Clone, Copy)]
pub struct AtLimit;

/// Whether a request is a gRPC call, by its content type: gRPC-Web is not.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(
        calls: Shares,
        limits: Live<LimitArgs>,
        methods: Methods,
        metrics: ServerMetrics,
        log: AccessLog,
        is_public: bool,
    ) -> Self {
        let (code, rejection) = (overloaded().code(), overloaded().into_http::<()>().into_parts().0.headers);
        Self { calls, limits, methods, metrics, log, is_public, code, rejection }
    }

    /// The response to a call for which there is no permit.
    pub(super) fn reject<B>(&self, request: &mut Request<B>, connection: CallerId) -> Option<Response<Body>> {
        let limit = self.limits.load().max_concurrent_requests;
        let method = self.methods.get(request.uri().path());
        let is_bulk = method.is_some_and(|method| method.is_bulk);
        if self.calls.has_room(limit, &Claimant { is_bulk, ..self.claimant(request, connection) }) {
            return None;
        }
        if !is_grpc(request.headers()) {
            // Its dialect writes the rejection.
            request.extensions_mut().insert(AtLimit);
            return None;
        }
        // Streams have permits of their own, and so have health and reflection.
        let method = method.filter(|method| !method.streams)?;
        // What a client of the public port states of itself is not known to be true.
        let tenant = request.headers().get(&TENANT).filter(|_| !self.is_public);
        self.metrics.rejected(method, tenant.map_or(&b""[..], HeaderValue::as_bytes));
        let extensions = request.extensions();
        self.log.record(&Access {
            method,
            route: None,
            outcome: Outcome::Code(self.code),
            took: Duration::ZERO,
            is_stream: false,
            sent: 0,
            traffic: &Traffic::of(extensions),
            peer: peer_in(extensions),
            caller: &Caller::default(),
        });
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.rejection.clone();
        Some(response)
    }

    fn claimant<B>(&self, request: &Request<B>, CallerId(connection): CallerId) -> Claimant {
        if self.is_public {
            return Claimant { connection, ..Claimant::default() };
        }
        // A head that cannot be read is rejected later.
        let Identity { tenant, caller, is_peer, .. } = Identity::read(request.headers()).unwrap_or_default();
        let connection = caller.map_or(connection, |CallerId(id)| id);
        Claimant { connection, tenant, is_peer, is_bulk: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ServerArgs;
    use crate::metrics::Metrics;

    #[test]
    fn only_unary_calls_without_a_permit_are_rejected() {
        let args = ServerArgs::parsed(&[]);
        let limits = LimitArgs { max_concurrent_requests: 1, ..args.limits };
        let methods = Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET);
        let (calls, metrics) = (Shares::default(), Metrics::default());
        let gate = Gate::new(
            calls.clone(),
            Live::fixed(limits),
            methods.clone(),
            metrics.server("test", &methods, true),
            AccessLog::counting(&args.access_log, "test", &metrics),
            true,
        );
        let rejected = |path: &str, content_type: &str| {
            let request = Request::get(path).header(CONTENT_TYPE, content_type);
            let mut request = request.body(()).unwrap();
            let rejected = gate.reject(&mut request, CallerId(1));
            (rejected.is_some(), request.extensions().get::<AtLimit>().is_some())
        };
        let (check, watch) = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch");
        assert_eq!(rejected(check, "application/grpc"), (false, false));
        let permit = calls.try_acquire(1, Claimant::default());
        assert_eq!(rejected(check, "application/grpc+proto"), (true, false));
        assert_eq!(rejected(watch, "application/grpc"), (false, false));
        assert_eq!(rejected("/v1/x", "application/json"), (false, true));
        assert!(metrics.encode().contains("grpc_code=\"ResourceExhausted\"} 1\n"));
        assert!(metrics.encode().contains("rpc_refusals_total{role=\"test\",reason=\"overload\"} 1\n"));
        drop(permit);
        assert_eq!(rejected(check, "application/grpc"), (false, false));
    }
}
