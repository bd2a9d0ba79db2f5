//! A new connection: connects, loads the scripts, and checks that the server is the primary where that matters.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Value};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Node;
use super::exchange::exchange;
use super::failure::Failure;
use super::pushes::PushSender;
use super::scripts;

/// The timeout of the question for the eviction policy, which no call waits for.
const INFO_TIMEOUT: Duration = Duration::from_millis(400);

/// A new connection. `primary_only` rejects servers that are not primary.
pub(super) async fn connect(
    client: &Client,
    primary_only: bool,
    pushes: Option<PushSender>,
    deadline: Instant,
) -> Result<MultiplexedConnection, Failure> {
    let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    if let Some(pushes) = pushes {
        config = config.set_push_sender(pushes);
    }
    let connecting = async {
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| Failure::not_sent(error.category()))?;
        let mut handshake = scripts::load();
        if primary_only {
            handshake.cmd("ROLE");
        }
        let replies = exchange(&mut connection, &handshake, false, deadline).await;
        let replies = replies.and_then(|replies| replies.into_iter().collect::<Result<Vec<_>, _>>());
        let role = replies.map_err(Failure::before_sending)?.pop().filter(|_| primary_only);
        if role.is_some_and(|role| !is_primary(role)) {
            return Err(Failure::Moved);
        }
        Ok(connection)
    };
    timeout_at(deadline, connecting).await.unwrap_or(Err(Failure::not_sent("connecting timed out")))
}

/// Whether a `ROLE` reply is that of a primary.
fn is_primary(role: Value) -> bool {
    let parts: Vec<Value> = redis::from_redis_value(role).unwrap_or_default();
    let role = parts.into_iter().next().and_then(|role| redis::from_redis_value::<String>(role).ok());
    role.as_deref() == Some("master")
}

/// Warns if Redis may evict keys when its memory is full: durable data, or, if only keys with an expiry are evicted,
/// the idempotency ids of logs.
pub(super) async fn warn_of_eviction(mut connection: MultiplexedConnection, node: Node) {
    let mut info = redis::cmd("INFO");
    info.arg("memory");
    let reply = timeout(INFO_TIMEOUT, connection.req_packed_command(&info)).await;
    // Skipped if this user may not run INFO.
    let Ok(Ok(Value::VerbatimString { text, .. })) = reply else { return };
    let figure =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let policy = figure("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" && figure("maxmemory") != Some("0") {
        tracing::warn!(%node, policy, "redis: durable data may be evicted, set maxmemory-policy to noeviction");
    }
}
