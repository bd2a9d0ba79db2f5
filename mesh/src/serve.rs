//! The life of one service: warm up, become ready, serve, drain. No globals, no signals, no exit: tests call it with
//! port 0 and a oneshot.
//!
//! tonic's own `Server` is not used: it puts further layers around ours on every connection. One hyper-util loop serves
//! HTTP/1.1 and h2c on every port instead.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;

use crate::args::ServerArgs;
use crate::descriptors::{self, Method};
use crate::inbound::{self, Stack};
use crate::metrics::{Metrics, ServerMetrics};
use crate::readiness::{Latch, Readiness};

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a service is handed by its process.
#[derive(Debug)]
pub struct Context {
    /// What the service is in the mesh, for instance `analysis`: the constant label of its metrics.
    pub role: &'static str,
    /// The process' metrics.
    pub metrics: Metrics,
    /// The process' readiness.
    pub readiness: Readiness,
    /// Cancelled when the service stops accepting: endless answers must end then.
    pub draining: CancellationToken,
    /// Held from the start until the service serves, so that a process is not ready while one of its services has not
    /// even begun.
    latch: Latch,
}

impl Context {
    /// The context of one service in a process.
    pub fn new(role: &'static str, metrics: Metrics, readiness: Readiness) -> Self {
        Self { role, metrics, latch: readiness.latch(), readiness, draining: CancellationToken::new() }
    }
}

/// One service on one port: its own gRPC services, health and reflection.
pub struct Server {
    args: ServerArgs,
    context: Context,
    api: RoutesBuilder,
    names: Vec<&'static str>,
    methods: Arc<HashMap<String, Method>>,
    descriptors: &'static [u8],
}

// === impl Server ===

impl Server {
    /// A service without methods. `descriptors` is the descriptor set that reflection serves.
    pub fn new(args: &ServerArgs, context: Context, descriptors: &'static [u8]) -> Self {
        Self {
            args: args.clone(),
            context,
            api: Routes::builder(),
            names: Vec::new(),
            methods: Arc::new(descriptors::methods(descriptors)),
            descriptors,
        }
    }

    /// Adds a gRPC service.
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.api.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Serves until `shutdown` resolves and every call in flight has ended. Connections are accepted at once; the
    /// service says SERVING when `warm_up` is done.
    ///
    /// # Errors
    ///
    /// When the listener has no address, that is, was never bound.
    pub async fn serve(
        self,
        listener: TcpListener,
        warm_up: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Self { args, context, api, names, methods, descriptors } = self;
        let Context { role, metrics, readiness, draining, latch } = context;
        let address = listener.local_addr()?;
        let (health, health_service) = tonic_health::server::health_reporter();
        announce(&health, &names, ServingStatus::NotServing).await;

        let mut control = Routes::builder();
        control.add_service(health_service);
        control
            .add_service(reflection(descriptors).build_v1().expect("our own descriptor set is well-formed"));
        control.add_service(
            reflection(descriptors).build_v1alpha().expect("our own descriptor set is well-formed"),
        );

        let metrics = ServerMetrics::register(&metrics, role);
        let api = api.routes().into_axum_router();
        let stack = inbound::stack(&args, methods, metrics, api, control.routes().into_axum_router());

        let connections = Connections { stack, args: args.clone(), stop: CancellationToken::new() };
        let tasks = TaskTracker::new();
        tracing::info!(role, %address, "listening");

        let mut latch = Some(latch);
        let mut warm_up = pin!(warm_up);
        let mut leave = pin!(async {
            shutdown.await;
            tracing::info!(role, "draining");
            readiness.drain();
            announce(&health, &names, ServingStatus::NotServing).await;
            tokio::time::sleep(args.drain_delay_on(address)).await;
        });
        loop {
            tokio::select! {
                () = &mut leave => break,
                () = &mut warm_up, if latch.is_some() => {
                    announce(&health, &names, ServingStatus::Serving).await;
                    latch = None;
                    tracing::info!(role, "serving");
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => drop(tasks.spawn(connections.clone().run(stream, peer))),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }

        drop(listener);
        draining.cancel();
        connections.stop.cancel();
        tasks.close();
        if tokio::time::timeout(args.drain_timeout, tasks.wait()).await.is_err() {
            tracing::warn!(role, connections = tasks.len(), "cut off what did not end in time");
        }
        tracing::info!(role, "stopped");
        Ok(())
    }
}

fn reflection(descriptors: &'static [u8]) -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(descriptors)
}

/// Says the same of the process (the empty name) and of each of its services.
async fn announce(health: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    for name in [""].iter().chain(names) {
        health.set_service_status(*name, status).await;
    }
}

/// What every connection of a service needs.
#[derive(Clone)]
struct Connections {
    stack: Stack,
    args: ServerArgs,
    /// Cancelled when connections are to finish what they have and close.
    stop: CancellationToken,
}

// === impl Connections ===

impl Connections {
    /// Serves one connection until it closes, is of age, or the service stops.
    async fn run(self, stream: TcpStream, peer: SocketAddr) {
        // Best effort: a connection that cannot take the option still works.
        let _ = stream.set_nodelay(true);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        let stack =
            tower::ServiceExt::<Request<hyper::body::Incoming>>::map_err(self.stack, |never| match never {});
        let service = TowerToHyperService::new(tower::service_fn(move |request| {
            let mut stack = stack.clone();
            async move { Ok::<Response<Body>, Infallible>(stack.call(request).await?) }
        }));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));

        let mut until = pin!(tokio::time::sleep(jittered(self.args.connection_age)));
        let mut leaving = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, error, "connection ended");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !leaving => {}
                () = &mut until => if leaving {
                    // Endless answers would hold an aged connection open for ever.
                    return;
                },
            }
            connection.as_mut().graceful_shutdown();
            leaving = true;
            until.as_mut().reset(tokio::time::Instant::now() + self.args.drain_timeout);
        }
    }
}

/// A duration within a tenth of the given one, so that connections made together do not leave together.
fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + 0.2 * fastrand::f64())
}
