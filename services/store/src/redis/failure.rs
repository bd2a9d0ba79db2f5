//! The failures of a call: whether data may have changed, and where to retry.
//!
//! | failure | sent | data changed | connection | circuit breaker |
//! |---|---|---|---|---|
//! | `NotExecuted`, outage | no, or rejected | no | closed | failure |
//! | `NotExecuted`, otherwise | no, or rejected | no | kept | success |
//! | `Moved`, `Ask` | rejected | no | kept | success |
//! | `ReadOnly` | rejected | no | closed, at most every 500 ms | success |
//! | `ScriptsMissing` | rejected | no | closed | success |
//! | `ReplyLost` | yes | unknown | closed | failure |
//! | `Unexpected` | yes | unknown | kept | success |

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::address::Node;
use crate::error::Error;

/// The retry delay where nothing suggests a better one.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent, or Redis rejected the call before changing anything.
    NotExecuted {
        why: String,
        retry_after: Duration,
        /// Whether this indicates that Redis is unhealthy.
        outage: bool,
    },
    /// MOVED: the slot of the key is on another node. Nothing was changed.
    Moved,
    /// READONLY: this server is a replica, perhaps since a failover. Nothing was changed. A new connection may reach
    /// the primary: the name of a Kubernetes Service or of a managed Redis always leads to it.
    ReadOnly,
    /// ASK: the slot of the key is being migrated to this node. Nothing was changed.
    Ask(Node),
    /// NOSCRIPT: Redis has lost the scripts, so the connection is unusable. Nothing was changed.
    ScriptsMissing,
    /// The call was sent, and no reply arrived.
    ReplyLost,
    /// Redis returned an unexpected reply.
    Unexpected(RedisError),
}

// === impl Failure ===

impl Failure {
    /// Its kind, for traces.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Failure::NotExecuted { .. } => "not_executed",
            Failure::Moved => "moved",
            Failure::ReadOnly => "read_only",
            Failure::Ask(_) => "ask",
            Failure::ScriptsMissing => "scripts_missing",
            Failure::ReplyLost => "reply_lost",
            Failure::Unexpected(_) => "unexpected_reply",
        }
    }

    /// The circuit breaker is open.
    pub(super) fn open(retry_after: Duration) -> Self {
        Failure::NotExecuted { why: "the circuit breaker is open".to_owned(), retry_after, outage: true }
    }

    /// The call was not sent.
    pub(super) fn not_sent(why: &str) -> Self {
        Failure::NotExecuted { why: why.to_owned(), retry_after: RETRY_AFTER, outage: true }
    }

    /// The connection pool for this kind of call is exhausted. Redis may be healthy.
    pub(super) fn overloaded(kind: &str) -> Self {
        let why = format!("too many {kind}s at once");
        Failure::NotExecuted { why, retry_after: RETRY_AFTER, outage: false }
    }

    pub(super) fn unexpected(error: impl Into<RedisError>) -> Self {
        Failure::Unexpected(error.into())
    }

    pub(super) fn wrong_reply_count(replies: usize) -> Self {
        let detail = format!("{replies} replies");
        Failure::Unexpected((ErrorKind::UnexpectedReturnType, "wrong number of replies", detail).into())
    }

    /// The failure in a few words, without what was sent or received.
    pub(super) fn summary(&self) -> &str {
        match self {
            Failure::NotExecuted { why, .. } => why,
            Failure::Moved => "the slot is on another node",
            Failure::ReadOnly => "the server is a replica",
            Failure::Ask(_) => "the slot is being migrated",
            Failure::ScriptsMissing => "the scripts are missing",
            Failure::ReplyLost => "no reply arrived",
            Failure::Unexpected(_) => "the reply was unexpected",
        }
    }

    /// Classifies an error of the client library.
    pub(super) fn of(error: RedisError) -> Self {
        use ServerErrorKind as Server;
        let not_executed = |outage| Failure::NotExecuted {
            why: error.code().unwrap_or("rejected").to_owned(),
            retry_after: RETRY_AFTER,
            outage,
        };
        match error.kind() {
            ErrorKind::Server(Server::Moved) => Failure::Moved,
            ErrorKind::Server(Server::ReadOnly) => Failure::ReadOnly,
            ErrorKind::Server(Server::Ask) => {
                match error.redirect_node().and_then(|(node, _)| Node::parse_announced(node)) {
                    Some(node) => Failure::Ask(node),
                    None => Failure::Unexpected(error),
                }
            }
            ErrorKind::Server(Server::NoScript) => Failure::ScriptsMissing,
            ErrorKind::Server(Server::BusyLoading | Server::ClusterDown | Server::MasterDown) => {
                not_executed(true)
            }
            ErrorKind::Server(Server::TryAgain | Server::NoPerm) => not_executed(false),
            ErrorKind::Server(Server::ResponseError) | ErrorKind::Extension => match error.code() {
                // Out of memory, too few replicas, a script that runs for too long: Redis checks these before it
                // writes.
                Some("OOM" | "NOREPLICAS" | "MISCONF" | "BUSY" | "UNKILLABLE") => not_executed(false),
                Some("NOAUTH" | "WRONGPASS") => not_executed(true),
                _ => Failure::Unexpected(error),
            },
            ErrorKind::AuthenticationFailed => not_executed(true),
            ErrorKind::Io | ErrorKind::Parse => Failure::ReplyLost,
            _ => Failure::Unexpected(error),
        }
    }

    /// The same failure during the handshake: the call itself was not sent.
    pub(super) fn before_sending(self) -> Self {
        match self {
            Failure::ReplyLost => Failure::not_sent("the connection was lost"),
            Failure::Unexpected(error) => Failure::not_sent(&error.to_string()),
            other => other,
        }
    }

    /// Whether the connection must be closed.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Failure::ReplyLost | Failure::ScriptsMissing => true,
            Failure::NotExecuted { outage, .. } => *outage,
            Failure::Moved | Failure::ReadOnly | Failure::Ask(_) | Failure::Unexpected(_) => false,
        }
    }

    /// Whether the circuit breaker counts it as a failure of the node.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Failure::ReplyLost => true,
            Failure::NotExecuted { outage, .. } => *outage,
            Failure::Moved
            | Failure::ReadOnly
            | Failure::Ask(_)
            | Failure::ScriptsMissing
            | Failure::Unexpected(_) => false,
        }
    }

    /// The error for the caller of a read, or of a write that is safe to repeat.
    pub(super) fn into_read_error(self) -> Error {
        match self {
            Failure::ReplyLost => Error::Unavailable { why: "no reply".to_owned(), retry_after: RETRY_AFTER },
            other => other.into_write_error(),
        }
    }

    /// The error for the caller of a write.
    pub(super) fn into_write_error(self) -> Error {
        match self {
            Failure::NotExecuted { why, retry_after, .. } => Error::Unavailable { why, retry_after },
            Failure::ReadOnly => Error::Unavailable {
                why: "the server is a read-only replica".to_owned(),
                retry_after: RETRY_AFTER,
            },
            Failure::Moved | Failure::Ask(_) | Failure::ScriptsMissing => Error::Unavailable {
                why: "a failover or resharding is in progress".to_owned(),
                retry_after: RETRY_AFTER,
            },
            Failure::ReplyLost => Error::OutcomeUnknown,
            Failure::Unexpected(error) => Error::Unexpected(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn a_rejected_call_changed_nothing_and_a_lost_reply_may_have() {
        let check = |error: RedisError, reason: &str, outage: bool| {
            let text = error.to_string();
            let failure = Failure::of(error);
            assert_eq!(failure.is_outage(), outage, "{text}");
            assert_eq!(
                dataflow_mesh::status::Describe::reason(&failure.into_write_error()),
                reason,
                "{text}"
            );
        };
        check(server("LOADING Redis is loading the dataset in memory"), "STORE_UNAVAILABLE", true);
        check(server("CLUSTERDOWN The cluster is down"), "STORE_UNAVAILABLE", true);
        check(server("OOM command not allowed when used memory > 'maxmemory'."), "STORE_UNAVAILABLE", false);
        check(server("NOREPLICAS Not enough good replicas to write."), "STORE_UNAVAILABLE", false);
        check(server("NOPERM this user has no permissions"), "STORE_UNAVAILABLE", false);
        check(server("NOAUTH Authentication required."), "STORE_UNAVAILABLE", true);
        check(server("MOVED 3999 127.0.0.1:6381"), "STORE_UNAVAILABLE", false);
        check(server("READONLY You can't write against a read only replica."), "STORE_UNAVAILABLE", false);
        check(server("NOSCRIPT No matching script."), "STORE_UNAVAILABLE", false);
        check(server("WRONGTYPE Operation against a key"), "STORE_ANSWER_UNEXPECTED", false);
        let broken = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        check(broken(), "WRITE_OUTCOME_UNKNOWN", true);
        assert_eq!(
            dataflow_mesh::status::Describe::reason(&Failure::of(broken()).into_read_error()),
            "STORE_UNAVAILABLE"
        );
    }

    #[test]
    fn ask_redirects_to_the_node_that_it_names() {
        let Failure::Ask(node) = Failure::of(server("ASK 3999 127.0.0.1:6381")) else { panic!() };
        assert_eq!(node.to_string(), "127.0.0.1:6381");
    }
}
