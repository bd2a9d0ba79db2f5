//! The life cycle of one service: warm up, become ready, serve, drain. It uses no globals, handles no signals and never
//! exits the process, so that tests call it with port 0 and a oneshot channel.
//!
//! tonic's own `Server` is not used, because it puts further layers around ours on every connection. Instead, one
//! accept loop over hyper-util serves HTTP/1.1 and h2c on every port.

pub(crate) mod acceptor;
mod backpressure;
mod connection;
mod control;
mod gate;
mod lingering;
mod reflection;
mod request_body;
mod requests;

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::body::Body;
use dataflow_proto::mesh::v1::mesh_service_server::MeshServiceServer;
use dataflow_settings::Live;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use tokio::net::TcpListener;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;

use crate::access_log::AccessLog;
use crate::args::{LimitArgs, ServerArgs};
use crate::capability::{Capability, Named};
use crate::context::Context;
use crate::descriptors::Methods;
use crate::drain::Stop;
use crate::inbound::{self, RequestMemory, Shares, Stack};
use crate::mesh_service;
use crate::metrics::ServerMetrics;
use crate::process_status::{ProcessStatus, Quota};
use crate::tasks::Task;
use crate::tls::ServerTls;

use acceptor::Acceptor;
use connection::ConnectionHandler;
use control::{AddHealth, set_health};
use gate::Gate;
pub use gate::{AtLimit, is_grpc};

/// Time beyond the drain timeout for connections to close by themselves, which each does at the drain timeout.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The server of one service on one port: its own gRPC services, those that it forwards, health and reflection.
pub struct Server {
    args: ServerArgs,
    context: Context,
    descriptors: Cow<'static, [u8]>,
    api: RoutesBuilder,
    /// The names of its own gRPC services.
    names: Vec<&'static str>,
    /// The names of the services that it forwards.
    forwarded: Vec<String>,
    /// Forwards calls.
    forward: Option<Stack>,
    health: AddHealth,
    warm_ups: Vec<BoxFuture<'static, ()>>,
    tasks: Vec<Task>,
    outermost: Box<dyn FnOnce(Stack) -> Stack + Send>,
    tls: Option<ServerTls>,
    log: AccessLog,
}

// === impl Server ===

impl Server {
    /// A server without methods. `descriptors` is the descriptor set that reflection serves.
    pub fn new(args: &ServerArgs, context: Context, descriptors: impl Into<Cow<'static, [u8]>>) -> Self {
        Self {
            args: args.clone(),
            log: AccessLog::new(&args.access_log, &context),
            context,
            descriptors: descriptors.into(),
            api: Routes::builder(),
            names: Vec::new(),
            forwarded: Vec::new(),
            forward: None,
            health: control::health(|own| own),
            warm_ups: Vec::new(),
            tasks: Vec::new(),
            outermost: Box::new(|stack| stack),
            tls: None,
        }
    }

    /// Writes its records to this access log, which others share.
    #[must_use]
    pub fn logging(self, log: AccessLog) -> Self {
        Self { log, ..self }
    }

    /// Serves connections over TLS.
    #[must_use]
    pub fn over_tls(self, tls: Option<ServerTls>) -> Self {
        Self { tls, ..self }
    }

    /// Forwards every call to `forward` for which there is no own service. `names` are the services that the descriptor
    /// set describes and reflection lists; calls to other services are forwarded too, and counted as unknown.
    #[must_use]
    pub fn forwarding<S>(mut self, names: Vec<String>, forward: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.forwarded = names;
        self.forward = Some(Stack::new(forward));
        self
    }

    /// Serves the health service that `wrap` makes of the process's own.
    #[must_use]
    pub fn with_health<H: Health>(mut self, wrap: impl FnOnce(HealthService) -> H + Send + 'static) -> Self {
        self.health = control::health(wrap);
        self
    }

    /// Wraps the whole stack, as the outermost layer.
    #[must_use]
    pub fn wrapped(mut self, wrap: impl FnOnce(Stack) -> Stack + Send + 'static) -> Self {
        self.outermost = Box::new(wrap);
        self
    }

    /// Adds the services, warm-ups and tasks of a capability.
    #[must_use]
    pub fn with(mut self, capability: Capability) -> Self {
        let Capability { services, warm_ups, tasks } = capability;
        for Named { name, add } in services {
            add(&mut self.api);
            self.names.push(name);
        }
        self.warm_ups.extend(warm_ups);
        self.tasks.extend(tasks);
        self
    }

    /// Serves until `shutdown` resolves and every call in flight has ended. Connections are accepted immediately; the
    /// health status becomes SERVING when the warm-ups are done.
    ///
    /// # Errors
    ///
    /// When the listener has no address, that is, was never bound.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        // A server that forwards calls has its own MeshService, which includes the services behind it.
        let this = if self.forward.is_some() {
            self
        } else {
            let Context { breakers, status, .. } = &self.context;
            let own = mesh_service::Service::new(breakers.clone(), status.clone());
            self.with(Capability::new().service(MeshServiceServer::new(own)))
        };
        let limits = this.context.live(this.args.limits.clone());
        let Self {
            args,
            context,
            descriptors,
            api,
            names,
            forwarded,
            forward,
            health,
            outermost,
            tls,
            log,
            warm_ups,
            tasks,
        } = this;
        let Context {
            role,
            metrics,
            readiness,
            draining,
            breakers: _,
            tasks: supervisor,
            settings: _,
            memory,
            dependencies: _,
            status,
            load,
            open_files,
            latch,
        } = context;
        tasks.into_iter().for_each(|task| supervisor.spawn(task));
        if let Some(tls) = tls.clone() {
            tls.show(role, &metrics);
            supervisor.spawn(Task::restarting("tls", move || tls.clone().follow()));
        }
        let address = listener.local_addr()?;
        let reporter = HealthReporter::new();
        set_health(&reporter, &names, ServingStatus::NotServing).await;
        let services: Vec<&str> = names.iter().copied().chain(forwarded.iter().map(String::as_str)).collect();
        let forwards = forward.is_some();
        let own = api.routes().into_axum_router();
        let api = match forward {
            // Bypasses the router, whose cost every call would pay.
            Some(forward) if names.is_empty() => forward,
            Some(forward) => Stack::new(own.fallback_service(forward)),
            None => Stack::new(own),
        };
        let methods = Methods::of(&services, &descriptors);
        let control = control::router(descriptors, &services, &reporter, health);
        let calls = Shares::of(load);
        let server_metrics = metrics.server(role, &methods, forwards);
        let streams = Shares::default();
        let messages =
            RequestMemory::new(args.max_held(memory.limit()), args.max_message_bytes.as_u64(), memory);
        show_calls(&status, role, &server_metrics, [&calls, &streams], &limits);
        // Messages that are forwarded are not held here.
        if !forwards {
            let shown = messages.clone();
            status.add_quotas(move || vec![shown.quota(role)]);
        }
        let gate = Gate::new(
            calls.clone(),
            limits.clone(),
            methods.clone(),
            server_metrics.clone(),
            log.clone(),
            forwards,
        );
        let settings = inbound::StackSettings {
            baggage: &args.baggage,
            limits: &limits,
            max_headers: args.max_headers(),
            messages,
            calls,
            streams,
            log,
            metrics: server_metrics,
        };
        let stack = inbound::stack(settings, methods, api, forwards, control, draining.clone());

        let handler = ConnectionHandler {
            stack: outermost(stack),
            tls,
            is_public: forwards,
            gate: Arc::new(gate),
            // Connections of several processes are told apart.
            next: Arc::new(AtomicU64::new(fastrand::u64(..))),
            args: args.clone(),
            limits: limits.clone(),
            stop: Stop::default(),
        };
        let mut acceptor = Acceptor::new(role, limits, open_files, handler);
        tracing::info!(role, %address, "service: listening");

        let mut latch = Some(latch);
        let mut warm_up = pin!(join_all(warm_ups));
        let leaving = acceptor.handler.stop.leaving.clone();
        let mut delay = pin!(async {
            shutdown.await;
            tracing::info!(role, "service: draining");
            readiness.drain();
            set_health(&reporter, &names, ServingStatus::NotServing).await;
            leaving.cancel();
            tokio::time::sleep(args.drain_delay_on(address)).await;
        });
        loop {
            tokio::select! {
                () = &mut delay => break,
                _ = &mut warm_up, if latch.is_some() => {
                    set_health(&reporter, &names, ServingStatus::Serving).await;
                    latch = None;
                    tracing::info!(role, "service: serving");
                }
                (stream, peer) = acceptor::next(Some(&listener)) => acceptor.accept(stream, peer),
            }
        }
        draining.cancel();
        acceptor.drain(listener, args.drain_timeout + CLOSE_GRACE).await;
        tracing::info!(role, "service: stopped");
        Ok(())
    }
}

/// Shows the calls of a role and the permits of calls and streams in the status.
fn show_calls(
    status: &ProcessStatus,
    role: &'static str,
    metrics: &ServerMetrics,
    [calls, streams]: [&Shares; 2],
    limits: &Live<LimitArgs>,
) {
    let totals = metrics.totals();
    let (of_calls, calls, streams, limits) = (totals.clone(), calls.clone(), streams.clone(), limits.clone());
    status.add_calls(move || of_calls.of(role));
    status.add_quotas(move || {
        let limit = limits.load().max_concurrent_requests;
        let quota = |name, permits: &Shares, refused| {
            let (used, limit) = (permits.total().into(), permits.in_force(limit).into());
            Quota { role, name, used, limit, refused }
        };
        vec![quota("calls", &calls, totals.of(role).rejected), quota("streams", &streams, streams.refused())]
    });
}
