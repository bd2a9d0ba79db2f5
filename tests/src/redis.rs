//! Real Redis for tests: one server, one behind an ACL, one behind TLS, a cluster, and a primary watched by sentinels.
//!
//! Every server is a process of the test that starts it, on a port of loopback and in a directory of its own; dropped,
//! it is killed and its directory removed, so that a test that fails leaves nothing behind. A `static` is never
//! dropped: keep servers in variables. What tests themselves ask of a server goes by hand (`resp`), for the client
//! crate is under test.

use std::process::{Command, Stdio};

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

/// Whether this machine has Redis. If not, says aloud that what asked is skipped: it should return.
///
/// `make test` runs these tests in a stage of their own, and sets `REDIS_TESTS=later` in the one before.
///
/// # Panics
///
/// When there is none where `CI=true`: there nobody reads what was skipped.
#[allow(clippy::print_stderr, reason = "what is skipped is said aloud")]
pub fn available() -> bool {
    if std::env::var_os("REDIS_TESTS").is_some_and(|when| when == "later") {
        return false;
    }
    let version = Command::new(server::PROGRAM).arg("--version").stdout(Stdio::null()).status();
    let is_there = version.is_ok_and(|version| version.success());
    if !is_there {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "redis-server is not installed");
        eprintln!("SKIPPED: redis-server is not installed");
    }
    is_there
}
