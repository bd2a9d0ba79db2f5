//! Real Redis for tests: a single server, one with an ACL, one with TLS, a cluster, and a primary monitored by
//! sentinels.
//!
//! Every server is a child process of its test, on a loopback port and in a separate directory. When it is dropped, it
//! is killed and its directory removed, so that a failed test leaves nothing behind. A `static` is never dropped, so
//! keep servers in variables. Tests send commands with a minimal client (`resp`), since the client crate is under test.

mod acl;
mod cluster;
mod resp;
mod sentinels;
mod server;
mod tls;

pub use self::acl::USER;
pub use self::cluster::Cluster;
pub use self::resp::Reply;
pub use self::sentinels::Sentinels;
pub use self::server::Server;

use crate::tools;

/// Whether this machine has Redis. If not, it prints that the calling test is skipped, which must return.
///
/// # Panics
///
/// If it is missing and `CI=true`, where skipped tests would go unnoticed.
pub fn available() -> bool {
    tools::available(server::PROGRAM)
}
