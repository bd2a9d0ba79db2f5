//! A server with one user, whose ACL allows what our services need and nothing that affects other users.

use std::fs;
use std::path::PathBuf;

use super::server::{Login, NO_PERSISTENCE, Server};

/// The only user; the default user is off.
pub const USER: &str = "dataflow";

/// The file of its password in the server's directory.
const PASSWORD_FILE: &str = "password";

/// The keys, channels and commands of the user. The category `@dangerous` is denied (`KEYS`, `FLUSHDB`, `FLUSHALL`,
/// `CONFIG`, `DEBUG`, `SHUTDOWN`) except for `INFO` and `ROLE`, by which clients identify a server. `SCAN`, scripts,
/// `WAIT`, publish, subscribe and `CLUSTER SLOTS` are not in it.
const RIGHTS: &str = "~dataflow:* &dataflow:* +@all -@dangerous -@admin +info +role";

// === impl Server ===

impl Server {
    /// Starts a server whose only user is [`USER`]. [`url`](Self::url) contains the user,
    /// [`password_file`](Self::password_file) the password; commands run as this user.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn with_acl() -> Self {
        let password: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        let server = Self::launch(&[], |_, directory| {
            let users = format!("user default off\nuser {USER} on >{password} {RIGHTS}\n");
            let users_file = directory.join("users.acl");
            fs::write(&users_file, users).expect("a new directory takes files");
            fs::write(directory.join(PASSWORD_FILE), &password).expect("a new directory takes files");
            format!("{NO_PERSISTENCE}aclfile {users_file:?}\n")
        });
        server.with_login(Login { user: USER, password })
    }

    /// The file with the password, without a line end. Only [`with_acl`](Self::with_acl) creates it.
    pub fn password_file(&self) -> PathBuf {
        self.directory().join(PASSWORD_FILE)
    }
}
