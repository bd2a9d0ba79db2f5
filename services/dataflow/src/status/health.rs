//! Whether each service serves, as the health checks say that need no credentials: what is left of the status for a caller
//! that may not read it, and of a mesh that does not have it.

use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_transcode::Schema;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{self, EndpointArgs};
use crate::exit::{Exit, Failure};

/// Timeout of one health check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints whether each service serves. If the endpoint is a single service, it does not know the others, which is not a
/// failure.
pub(super) async fn run(mesh: &EndpointArgs) -> Result<Exit, Failure> {
    let endpoint = &mesh.endpoint;
    let mut client = HealthClient::new(mesh.connection.channel(endpoint, TIMEOUT)?);
    let unreachable = |status: Status| {
        let error = anyhow::anyhow!("{endpoint} is unreachable: {}", status.message());
        Failure::new(Exit::Unreachable, error)
    };
    let whole = check(&mut client, "").await.map_err(unreachable)?;
    let mut rows = vec![(endpoint.to_string(), whole)];
    for service in services() {
        rows.push(match check(&mut client, &service).await {
            Ok(status) => (service, status),
            Err(status) => (service, Health::Unknown(status.code())),
        });
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut table = String::new();
    for (name, health) in &rows {
        table += &format!("{name:width$}  {health}\n");
    }
    client::print(table.as_bytes())?;
    let failed = rows
        .iter()
        .any(|(_, health)| matches!(health, Health::Known(status) if *status != ServingStatus::Serving));
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

/// The health of one service.
enum Health {
    Known(ServingStatus),
    /// The endpoint does not know the service, or the check failed.
    Unknown(Code),
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Health::Known(status) => f.write_str(status.as_str_name()),
            Health::Unknown(Code::NotFound) => f.write_str("not here"),
            Health::Unknown(code) => write!(f, "no response ({code:?})"),
        }
    }
}

async fn check(client: &mut HealthClient<Outbound>, service: &str) -> Result<Health, Status> {
    let response = client.check(HealthCheckRequest { service: service.to_owned() }).await?;
    Ok(Health::Known(response.into_inner().status()))
}

/// The services of the mesh, from its contract.
fn services() -> Vec<String> {
    let schema = Schema::new(FILE_DESCRIPTOR_SET).expect("our own build wrote it");
    schema.services().iter().map(|service| service.full_name.clone()).collect()
}
