//! Trace spans of calls to Redis, by the OpenTelemetry conventions for databases.

use dataflow_mesh::telemetry::OutgoingSpan;
use redis::Pipeline;

use super::address::Node;
use super::exchange::{Replies, operation};
use super::failure::Failure;

/// An exchange with a node in a trace span of its own. Of the commands that has the name, never an argument.
pub(super) async fn traced(
    node: &Node,
    what: &str,
    commands: &Pipeline,
    exchange: impl Future<Output = Result<Replies, Failure>>,
) -> Result<Replies, Failure> {
    let span = OutgoingSpan::begin(|| {
        let attributes = [
            ("db.system.name", "redis".into()),
            ("db.operation.name", operation(commands).as_str().into()),
            ("server.address", node.host.as_str().into()),
            ("server.port", node.port.into()),
        ];
        (format!("redis {what}"), attributes)
    });
    let outcome = span.scope(exchange).await;
    if let Err(failure) = &outcome {
        span.failed(failure.kind());
    }
    outcome
}
