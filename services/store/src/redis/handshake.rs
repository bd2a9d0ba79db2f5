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
    replicas_in(role).is_some()
}

/// The number of replicas that are connected to a server, by its `ROLE` reply; none if it is no primary. A primary
/// replies with its role, its offset and its replicas.
pub(super) fn replicas_in(role: Value) -> Option<usize> {
    let mut parts = redis::from_redis_value::<Vec<Value>>(role).ok()?.into_iter();
    let role = redis::from_redis_value::<String>(parts.next()?).ok()?;
    let replicas = parts.nth(1).and_then(|replicas| redis::from_redis_value::<Vec<Value>>(replicas).ok());
    (role == "master").then(|| replicas.map_or(0, |replicas| replicas.len()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replicas_of_a_primary_are_counted() {
        let check = |reply: &str, expected: Option<usize>| {
            let reply = redis::parse_redis_value(reply.replace('|', "\r\n").as_bytes()).unwrap();
            assert_eq!(replicas_in(reply), expected);
        };
        let replica = "*3|$1|a|$4|6379|$1|7|";
        check("*3|$6|master|:7|*0|", Some(0));
        check(&format!("*3|$6|master|:7|*2|{replica}{replica}"), Some(2));
        check("*5|$5|slave|$1|a|:6379|$9|connected|:7|", None);
        check("*1|$8|sentinel|", None);
        check("*0|", None);
        check("$5|wrong|", None);
    }
}
