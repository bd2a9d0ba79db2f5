//! The flags that select the backend of the store, and opening it.

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

/// The backend of the store.
#[derive(Debug, Clone, clap::Args)]
pub struct StoreArgs {
    /// URL of the Redis that all replicas share: `redis://HOST:PORT`, `redis+sentinel://HOST:PORT,.../SERVICE` or
    /// `redis+cluster://HOST:PORT,...`, `rediss` for TLS. Without it, each process has its own state.
    // A secret, because it may contain a password; and a string, because clap would print an invalid URL in its error.
    #[arg(long, env = "DATAFLOW_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,

    /// Redis user name, unless the URL contains one.
    #[arg(long, env = "DATAFLOW_REDIS_USERNAME", value_name = "NAME")]
    pub redis_username: Option<String>,

    /// File with the Redis password; leading and trailing white space is ignored.
    #[arg(long, env = "DATAFLOW_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// File with PEM certificates to trust for Redis, instead of the system's.
    #[arg(long, env = "DATAFLOW_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<PathBuf>,

    /// Prefix of every key and channel in Redis. Installations with different prefixes can share one Redis.
    #[arg(long, env = "DATAFLOW_REDIS_PREFIX", default_value = "dataflow:", value_name = "TEXT", value_parser = prefix)]
    pub redis_prefix: String,

    /// Timeout of one call to Redis, connecting included. A durable write may take 400 ms longer.
    #[arg(long, env = "DATAFLOW_REDIS_TIMEOUT", default_value = "500ms", value_parser = timeout, value_name = "DURATION")]
    pub redis_timeout: Duration,

    /// Number of Redis replicas that must confirm a durable write. Default: 1 with Sentinels or in a Cluster, else 0.
    #[arg(long, env = "DATAFLOW_REDIS_REPLICAS", value_name = "N")]
    pub redis_replicas: Option<u64>,
}

/// The store that the flags select cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file given by a flag cannot be read.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The URL is invalid. It is not shown: it may contain a password.
    #[error("--redis-url: {0}")]
    Url(#[from] NotAnAddress),
    /// A flag has no effect without another flag, or without another value of it.
    #[error("{flag} needs {needs}")]
    Idle {
        /// The flag without effect.
        flag: &'static str,
        /// The flag or value that it needs.
        needs: &'static str,
    },
    /// See [`Misconfigured`].
    #[error(transparent)]
    Redis(#[from] Misconfigured),
    /// See [`embedded::OpenError`].
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// Two backends are selected.
    #[error("--data-dir and --redis-url exclude each other: a process has one store")]
    TwoPlaces,
}

impl StoreArgs {
    /// Opens the store that the flags select: Redis, or the embedded store, whose volatile data is limited to
    /// `capacity` bytes and whose durable data is in `directory`, if given. `role` is part of the circuit breakers'
    /// names.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for configuration errors. An unreachable Redis is not an error: it may become reachable.
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
                    process.resources.watch_disk(directory.to_owned());
                    process.tasks.spawn(store.watch_writer());
                    store.set_breaker(
                        process.breakers.register(&format!("{role}/data-dir"), Embedded::BREAKER),
                    );
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

    /// Rejects files that would not be read: the user expects them to be used.
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

/// Checks a prefix. Braces would change the hash slots of keys, and white space would break messages.
fn prefix(text: &str) -> Result<String, &'static str> {
    let is_valid = !text.is_empty() && text.len() <= 64 && !text.contains(['{', '}', '\n', ' ']);
    if is_valid { Ok(text.to_owned()) } else { Err("must be 1 to 64 bytes without braces or white space") }
}

/// Checks a timeout. Below 10 ms, no reply would arrive in time.
fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_valid = (Duration::from_millis(10)..=Duration::from_secs(60)).contains(&timeout);
    if is_valid { Ok(timeout) } else { Err("must be from 10ms to 60s".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_timeouts_have_bounds() {
        for (text, is_valid) in
            [("a", true), ("dataflow:", true), ("", false), ("a{b", false), ("a b", false)]
        {
            assert_eq!(prefix(text).is_ok(), is_valid, "{text:?}");
        }
        assert!(prefix(&"x".repeat(64)).is_ok() && prefix(&"x".repeat(65)).is_err());
        for (text, is_valid) in [("10ms", true), ("9ms", false), ("60s", true), ("61s", false), ("x", false)]
        {
            assert_eq!(timeout(text).is_ok(), is_valid, "{text:?}");
        }
    }
}
