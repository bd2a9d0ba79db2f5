//! A server that lets in one user, who may do what our services do and nothing that would hurt others on it.

use std::fs;
use std::path::PathBuf;

use super::server::{FORGETFUL, Login, Server};

/// The one user; there is no default one.
pub const USER: &str = "dataflow";

/// What proves it, in the server's directory.
const PASSWORD_FILE: &str = "password";

/// What the user may touch and do. All that is dangerous is refused (`KEYS`, `FLUSHDB`, `FLUSHALL`, `CONFIG`, `DEBUG`,
/// `SHUTDOWN`) but for the two commands by which clients learn what a server is. `SCAN`, scripts, `WAIT`, publishing,
/// subscribing and where a cluster has its slots are not dangerous.
const RIGHTS: &str = "~dataflow:* &dataflow:* +@all -@dangerous -@admin +info +role";

// === impl Server ===

impl Server {
    /// Starts a server that knows [`USER`] only. It is named in [`url`](Self::url), its password stands in
    /// [`password_file`](Self::password_file); commands are asked in its name.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn with_acl() -> Self {
        let password: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        let server = Self::launch(&[], |_, directory| {
            let users = format!("user default off\nuser {USER} on >{password} {RIGHTS}\n");
            let users_file = directory.join("users.acl");
            fs::write(&users_file, users).expect("a new directory takes files");
            fs::write(directory.join(PASSWORD_FILE), &password).expect("a new directory takes files");
            format!("{FORGETFUL}aclfile {users_file:?}\n")
        });
        server.asked_by(Login { user: USER, password })
    }

    /// The file with the password, no line's end after it. Only [`with_acl`](Self::with_acl) makes one.
    pub fn password_file(&self) -> PathBuf {
        self.directory().join(PASSWORD_FILE)
    }
}
