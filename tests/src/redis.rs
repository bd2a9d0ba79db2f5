//! Real Redis for tests: one server, one behind an ACL, one behind TLS, a cluster, and a primary watched by sentinels.
//!
//! Every server is a process of the test that starts it, on a port of loopback and in a directory of its own; dropped,
//! it is killed and its directory removed, so that a test that fails leaves nothing behind. A `static` is never
//! dropped: keep servers in variables. What tests themselves ask of a server goes by hand (`resp`), for the client
//! crate is under test.

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

/// Whether this machine has Redis. If not, says aloud that what asked is skipped: it should return.
///
/// # Panics
///
/// When there is none where `CI=true`: there nobody reads what was skipped.
pub fn available() -> bool {
    tools::available(server::PROGRAM)
}
