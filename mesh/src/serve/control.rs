//! The gRPC services health and reflection, which every server has.

use axum::Router;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer, SERVICE_NAME as HEALTH};
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder;

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
    descriptors: &[u8],
    services: &[&str],
    reporter: &HealthReporter,
    health: AddHealth,
) -> Router {
    let mut routes = Routes::builder();
    health(HealthService::from_health_reporter(reporter.clone()), &mut routes);
    let reflection = |reflection_service: &'static str| {
        let builder = Builder::configure()
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(descriptors)
            .with_service_name(HEALTH)
            .with_service_name(reflection_service);
        services.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let well_formed = "the descriptor set of a server is well-formed";
    let v1 = reflection("grpc.reflection.v1.ServerReflection").build_v1();
    routes.add_service(v1.expect(well_formed));
    let v1alpha = reflection("grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    routes.add_service(v1alpha.expect(well_formed));
    routes.routes().into_axum_router()
}

/// Sets the health status of the process (the empty name) and of each of its services.
pub(super) async fn set_health(reporter: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    for name in [""].iter().chain(names) {
        reporter.set_service_status(*name, status).await;
    }
}
