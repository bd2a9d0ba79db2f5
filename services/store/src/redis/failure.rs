//! What a failed call says: whether anything was changed, and where to turn.
//!
//! | failure | sent | changed | the connection | the breaker counts |
//! |---|---|---|---|---|
//! | `NotExecuted`, an outage | not, or it was refused | nothing | ends | a failure |
//! | `NotExecuted`, else | not, or it was refused | nothing | stays | an answer |
//! | `Moved`, `Ask` | refused | nothing | stays | an answer |
//! | `ScriptsMissing` | refused | nothing | ends | an answer |
//! | `ReplyLost` | yes | perhaps | ends | a failure |
//! | `Unexpected` | yes | perhaps | stays | an answer |

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::address::Node;
use crate::error::Error;

/// How soon to ask again when nothing tells better.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent, or Redis refused before it changed anything.
    NotExecuted {
        why: String,
        retry_after: Duration,
        /// Whether this says that Redis is not well.
        outage: bool,
    },
    /// The key is elsewhere, for good as far as that node knows. Nothing was changed.
    Moved,
    /// The key is on its way to this node. Nothing was changed.
    Ask(Node),
    /// The scripts are gone from Redis, and with them the use of this connection. Nothing was changed.
    ScriptsMissing,
    /// Sent, and no answer came.
    ReplyLost,
    /// Redis answered what it never should.
    Unexpected(RedisError),
}

// === impl Failure ===

impl Failure {
    /// The breaker is open.
    pub(super) fn open(retry_after: Duration) -> Self {
        Failure::NotExecuted { why: "its circuit breaker is open".to_owned(), retry_after, outage: true }
    }

    /// There is no connection to send on.
    pub(super) fn not_sent(why: &str) -> Self {
        Failure::NotExecuted { why: why.to_owned(), retry_after: RETRY_AFTER, outage: true }
    }

    /// Too many others want the same at the moment. Redis may be well.
    pub(super) fn overloaded() -> Self {
        let why = "too many durable writes at once".to_owned();
        Failure::NotExecuted { why, retry_after: RETRY_AFTER, outage: false }
    }

    pub(super) fn unexpected(error: impl Into<RedisError>) -> Self {
        Failure::Unexpected(error.into())
    }

    pub(super) fn wrong_reply_count(replies: usize) -> Self {
        let detail = format!("{replies} replies");
        Failure::Unexpected((ErrorKind::UnexpectedReturnType, "another number of answers", detail).into())
    }

    /// What an error of the client says.
    pub(super) fn of(error: RedisError) -> Self {
        use ServerErrorKind as Server;
        let not_executed = |outage| Failure::NotExecuted {
            why: error.code().unwrap_or("refused").to_owned(),
            retry_after: RETRY_AFTER,
            outage,
        };
        match error.kind() {
            ErrorKind::Server(Server::Moved) => Failure::Moved,
            // A primary that became a replica: who is primary now is known elsewhere.
            ErrorKind::Server(Server::ReadOnly) => Failure::Moved,
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
                // Out of memory, too few replicas, a script that has run for too long: Redis says so before it writes.
                Some("OOM" | "NOREPLICAS" | "MISCONF" | "BUSY" | "UNKILLABLE") => not_executed(false),
                Some("NOAUTH" | "WRONGPASS") => not_executed(true),
                _ => Failure::Unexpected(error),
            },
            ErrorKind::AuthenticationFailed => not_executed(true),
            ErrorKind::Io | ErrorKind::Parse => Failure::ReplyLost,
            _ => Failure::Unexpected(error),
        }
    }

    /// The failure of what came before the call proper, so that of the call nothing was sent.
    pub(super) fn before_sending(self) -> Self {
        match self {
            Failure::ReplyLost => Failure::not_sent("the connection broke"),
            Failure::Unexpected(error) => Failure::not_sent(&error.to_string()),
            other => other,
        }
    }

    /// Whether the connection is of no further use.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Failure::ReplyLost | Failure::ScriptsMissing => true,
            Failure::NotExecuted { outage, .. } => *outage,
            Failure::Moved | Failure::Ask(_) | Failure::Unexpected(_) => false,
        }
    }

    /// Whether it counts against the node.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Failure::ReplyLost => true,
            Failure::NotExecuted { outage, .. } => *outage,
            Failure::Moved | Failure::Ask(_) | Failure::ScriptsMissing | Failure::Unexpected(_) => false,
        }
    }

    /// What to tell the caller of a read, or of a write that may safely be thought not done.
    pub(super) fn into_read_error(self) -> Error {
        match self {
            Failure::ReplyLost => {
                Error::Unavailable { why: "no answer".to_owned(), retry_after: RETRY_AFTER }
            }
            other => other.into_write_error(),
        }
    }

    /// What to tell the caller of a write.
    pub(super) fn into_write_error(self) -> Error {
        match self {
            Failure::NotExecuted { why, retry_after, .. } => Error::Unavailable { why, retry_after },
            Failure::Moved | Failure::Ask(_) | Failure::ScriptsMissing => {
                Error::Unavailable { why: "it is being rearranged".to_owned(), retry_after: RETRY_AFTER }
            }
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
    fn what_redis_refuses_was_not_done_and_what_it_does_not_answer_may_be() {
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
    fn a_key_on_its_way_is_asked_for_where_it_goes() {
        let Failure::Ask(node) = Failure::of(server("ASK 3999 127.0.0.1:6381")) else { panic!() };
        assert_eq!(node.to_string(), "127.0.0.1:6381");
    }
}
