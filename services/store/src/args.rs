//! The flags that say where state is kept, and what they open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::process::Process;
use secrecy::{ExposeSecret, SecretString};

use crate::Store;
use crate::embedded::{self, Embedded};
use crate::redis::address::{Address, NotAnAddress};
use crate::redis::{Misconfigured, Redis, Settings};

/// Where state is kept.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreArgs {
    /// The Redis that every replica shares: `redis://HOST:PORT`, `redis+sentinel://HOST:PORT,.../SERVICE` or
    /// `redis+cluster://HOST:PORT,...`, `rediss` for TLS. Without it state is this process' own.
    // A secret, for it may hold a password, and any text: the parser of flags would print what it refuses.
    #[arg(long, env = "DATAFLOW_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,

    /// The Redis user to log in as, unless the URL names one.
    #[arg(long, env = "DATAFLOW_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,

    /// A file that holds the password for Redis; white space around it does not count.
    #[arg(long, env = "DATAFLOW_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// A file of PEM certificates to trust in Redis' name, instead of the system's.
    #[arg(long, env = "DATAFLOW_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// What every key and channel in Redis begins with: meshes with different ones do not see each other.
    #[arg(long, env = "DATAFLOW_REDIS_PREFIX", default_value = "dataflow:", value_name = "TEXT", value_parser = prefix)]
    pub redis_prefix: String,

    /// How long one call to Redis may take, connecting included. A durable write may take 400 ms longer.
    #[arg(long, env = "DATAFLOW_REDIS_TIMEOUT", default_value = "500ms", value_parser = timeout, value_name = "DURATION")]
    pub redis_timeout: Duration,

    /// How many replicas must have a durable write before it is acknowledged. Default: 1 under Sentinels or in a Cluster,
    /// else 0.
    #[arg(long, env = "DATAFLOW_REDIS_REPLICAS", value_name = "N")]
    pub redis_replicas: Option<u64>,
}

/// The place that the flags name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that a flag names cannot be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The URL is none. It is not shown: it may hold a password.
    #[error("--redis-url: {0}")]
    Url(#[from] NotAnAddress),
    /// A flag would change nothing as long as another is not as it should be.
    #[error("{flag} needs {needs}")]
    Idle {
        /// The flag.
        flag: &'static str,
        /// The other.
        needs: &'static str,
    },
    /// See [`Misconfigured`].
    #[error(transparent)]
    Redis(#[from] Misconfigured),
    /// See [`embedded::OpenError`].
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// There are two places to keep state in.
    #[error("--data-dir and --redis-url exclude each other: state lies in one place")]
    TwoPlaces,
}

impl StoreArgs {
    /// Opens the place that the flags name: Redis; or this process, where `capacity` bounds in bytes what may be forgotten,
    /// and what must last goes to `directory`, if there is one. `role` names the breakers.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for what no waiting will mend. A Redis that does not answer is none: it may yet.
    pub fn open(
        &self,
        directory: Option<&Path>,
        capacity: u64,
        process: &Process,
        role: &str,
    ) -> Result<Arc<dyn Store>, OpenError> {
        let address: Option<Address> =
            self.redis_url.as_ref().map(|url| url.expose_secret().parse()).transpose()?;
        self.check_files(address.as_ref())?;
        let Some(address) = address else {
            return Ok(Arc::new(match directory {
                Some(directory) => {
                    let mut store = Embedded::open(directory, capacity)?;
                    process.tasks.spawn(store.watch_writer());
                    store
                }
                None => Embedded::new(capacity),
            }));
        };
        if directory.is_some() {
            return Err(OpenError::TwoPlaces);
        }
        let read = |path: &PathBuf| {
            fs::read_to_string(path).map_err(|source| OpenError::File { path: path.clone(), source })
        };
        let password = self.redis_password_file.as_ref().map(read).transpose()?;
        let settings = Settings {
            address,
            username: self.redis_username.clone(),
            password: password.map(|text| SecretString::from(text.trim())),
            authority: self.redis_ca_file.as_ref().map(read).transpose()?.map(String::into_bytes),
            prefix: self.redis_prefix.clone(),
            timeout: self.redis_timeout,
            replicas: self.redis_replicas,
        };
        Ok(Arc::new(Redis::new(settings, process, role)?))
    }

    /// Refuses files that would not be read: whoever names one counts on it.
    fn check_files(&self, address: Option<&Address>) -> Result<(), OpenError> {
        let is_encrypted = address.is_some_and(|address| address.tls);
        if self.redis_password_file.is_some() && address.is_none() {
            return Err(OpenError::Idle { flag: "--redis-password-file", needs: "--redis-url" });
        }
        if self.redis_ca_file.is_some() && !is_encrypted {
            return Err(OpenError::Idle { flag: "--redis-ca-file", needs: "rediss in --redis-url" });
        }
        Ok(())
    }
}

/// A prefix that neither hides keys from us nor moves them to other slots.
fn prefix(text: &str) -> Result<String, &'static str> {
    let right = !text.is_empty() && text.len() <= 64 && !text.contains(['{', '}', '\n', ' ']);
    if right { Ok(text.to_owned()) } else { Err("must be 1 to 64 bytes without braces or white space") }
}

/// A time that lets an answer come at all.
fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let right = (Duration::from_millis(10)..=Duration::from_secs(60)).contains(&timeout);
    if right { Ok(timeout) } else { Err("must be from 10ms to 60s".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_timeouts_have_bounds() {
        for (text, right) in [("a", true), ("dataflow:", true), ("", false), ("a{b", false), ("a b", false)] {
            assert_eq!(prefix(text).is_ok(), right, "{text:?}");
        }
        assert!(prefix(&"x".repeat(64)).is_ok() && prefix(&"x".repeat(65)).is_err());
        for (text, right) in [("10ms", true), ("9ms", false), ("60s", true), ("61s", false), ("x", false)] {
            assert_eq!(timeout(text).is_ok(), right, "{text:?}");
        }
    }
}
