//! The gRPC services health and reflection, which every server has.

use std::borrow::Cow;

use axum::Router;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer, SERVICE_NAME as HEALTH};
use tonic_health::server::{HealthReporter, HealthService};

use super::reflection;

/// Adds a health service, made of the process's own, to the routes.
pub(super) type AddHealth = Box<dyn FnOnce(HealthService, &mut RoutesBuilder) + Send>;

/// Serves the health service that `wrap` makes of the process's own.
pub(super) fn health<H: Health>(wrap: impl FnOnce(HealthService) -> H + Send + 'static) -> AddHealth {
    Box::new(|own, routes| {
        routes.add_service(HealthServer::new(wrap(own)));
    })
}

/// Routes of health and of reflection, which lists `services`, health and itself only: the descriptor set describes
/// further services.
pub(super) fn router(
    descriptors: Cow<'static, [u8]>,
    services: &[&str],
    reporter: &HealthReporter,
    health: AddHealth,
) -> Router {
    let mut routes = Routes::builder();
    health(HealthService::from_health_reporter(reporter.clone()), &mut routes);
    let services = [services, &[HEALTH]].concat();
    let sets = vec![
        descriptors,
        tonic_health::pb::FILE_DESCRIPTOR_SET.into(),
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET.into(),
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET.into(),
    ];
    reflection::add(sets, &services, &mut routes);
    routes.routes().into_axum_router()
}

/// Sets the health status of the process (the empty name) and of each of its services.
pub(super) async fn set_health(reporter: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    for name in [""].iter().chain(names) {
        reporter.set_service_status(*name, status).await;
    }
}
