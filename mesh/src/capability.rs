//! A capability: the gRPC services, background tasks and warm-ups that a crate offers to a role. They are values, so
//! that the binary composes a role from several crates, and no crate starts anything by itself.

use std::convert::Infallible;

use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use http::Request;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tower::Service;

use crate::tasks::Task;

/// See the module.
#[derive(Default)]
pub struct Capability {
    pub(crate) services: Vec<Named>,
    pub(crate) warm_ups: Vec<BoxFuture<'static, ()>>,
    pub(crate) tasks: Vec<Task>,
}

/// A gRPC service and its full name.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) add: Box<dyn FnOnce(&mut RoutesBuilder) + Send>,
}

// === impl Capability ===

impl Capability {
    /// An empty capability.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a gRPC service.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<tonic::body::Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        let add = Box::new(|routes: &mut RoutesBuilder| {
            routes.add_service(service);
        });
        self.services.push(Named { name: S::NAME, add });
        self
    }

    /// Adds a warm-up, which must end before the role is SERVING.
    #[must_use]
    pub fn warm_up(mut self, warm_up: impl Future<Output = ()> + Send + 'static) -> Self {
        self.warm_ups.push(Box::pin(warm_up));
        self
    }

    /// Adds a background task, which starts with the role and is canceled with the process.
    #[must_use]
    pub fn task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }
}
