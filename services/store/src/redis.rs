//! The store in Redis, shared by all replicas: one server, a primary with Sentinels, or a Cluster.
//!
//! A call is routed to the primary of its bucket (`primaries`), passes the circuit breaker of that primary and uses one
//! of its connections (`link`). Every atomic step is a Lua script (`scripts`), all keys of which are in one hash slot
//! (`names`). One background task (`watch`) receives pub/sub messages and polls the version counters.

pub mod address;

mod collection;
mod connector;
mod exchange;
mod failure;
#[cfg(test)]
mod fuzz;
mod handshake;
mod link;
mod metrics;
mod names;
mod operations;
mod pool;
mod primaries;
mod pushes;
mod scripts;
mod servers;
mod spans;
mod topology;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::process::Process;
use dataflow_mesh::tasks::{Task, Tasks};
use futures_util::FutureExt;
use redis::{Arg, Cmd};
use secrecy::SecretString;
use tokio::sync::watch as watching;
use tokio_util::sync::{CancellationToken, DropGuard};

use address::{Address, Mode};
use connector::Connector;
use failure::Failure;
use metrics::RedisMetrics;
use names::KeyNames;
use primaries::Primaries;
use scripts::ScriptResult;
use watch::Watch;

use crate::error::Error;
use crate::signals::Hub;
use crate::version_counters::VersionCounters;

/// The largest command or reply in bytes on the shared connection, where it delays other calls: for less than 1 ms on a
/// network of 1 Gbit/s.
const MAX_SHARED: usize = 64 << 10;

/// How to connect to Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address.
    pub address: Address,
    /// The user name, unless the address contains one.
    pub username: Option<String>,
    /// The password, unless the address contains one.
    pub password: Option<SecretString>,
    /// CA certificates to trust, as PEM; those of the system if none.
    pub authority: Option<Vec<u8>>,
    /// The prefix of every key and channel.
    pub prefix: String,
    /// The timeout of one call.
    pub timeout: Duration,
    /// How many replicas must confirm a durable write; by default 1 with Sentinels or in a Cluster, else 0.
    pub replicas: Option<u64>,
}

/// The settings are invalid.
#[derive(Debug, thiserror::Error)]
#[error("the redis settings are invalid")]
pub struct Misconfigured(#[source] redis::RedisError);

/// State in Redis.
pub struct Redis {
    primaries: Arc<Primaries>,
    names: KeyNames,
    replicas: u64,
    hub: Hub,
    version_counters: watching::Receiver<VersionCounters>,
    /// Stops the watch task when the store is dropped.
    _watch: DropGuard,
    /// Keeps the watch task running as long as the store.
    _tasks: Tasks,
}

// === impl Redis ===

impl Redis {
    /// A store in the Redis of `settings`, whether or not it is reachable now. `role` is part of the names of its
    /// circuit breakers. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`], for instance if the certificates are invalid.
    pub fn new(settings: Settings, process: &Process, role: &str) -> Result<Self, Misconfigured> {
        let default = if settings.address.mode == Mode::Standalone { 0 } else { 1 };
        let replicas = settings.replicas.unwrap_or(default);
        let (hub, names) = (Hub::new(), KeyNames::new(&settings.prefix));
        let metrics = RedisMetrics::register(process, role);
        let connector = Connector::new(settings, process.breakers.clone(), metrics, role, hub.clone());
        let primaries = connector.and_then(Primaries::new).map_err(Misconfigured)?;
        let primaries = Arc::new(primaries);
        servers::show(process, &primaries, replicas);
        let (sender, version_counters) = watching::channel(VersionCounters::default());
        let watch = Watch {
            primaries: Arc::clone(&primaries),
            names: names.clone(),
            hub: hub.clone(),
            version_counters: sender,
        };
        let end = CancellationToken::new();
        let watched = end.clone();
        process.tasks.spawn(Task::restarting("redis watch", move || {
            watched.clone().run_until_cancelled_owned(watch.clone().run()).map(drop)
        }));
        Ok(Self {
            primaries,
            names,
            replicas,
            hub,
            version_counters,
            _watch: end.drop_guard(),
            _tasks: process.tasks.clone(),
        })
    }

    /// Executes a read-only command that may have a large reply.
    async fn read_large(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        let replies =
            Box::pin(self.primaries.read_large(bucket, &command)).await.map_err(Failure::into_read_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_read_error())
    }

    /// Executes a volatile write with a large value.
    async fn write_large(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        let replies =
            Box::pin(self.primaries.run_large(bucket, &command)).await.map_err(Failure::into_write_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_write_error())
    }

    /// Executes a read-only command.
    async fn read(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        let mut commands = redis::pipe();
        commands.add_command(command);
        let replies =
            Box::pin(self.primaries.read(bucket, &commands)).await.map_err(Failure::into_read_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_read_error())
    }

    /// Executes a volatile write.
    async fn write(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        if is_large(&command) {
            return self.write_large(bucket, command).await;
        }
        let mut commands = redis::pipe();
        commands.add_command(command);
        let replies =
            Box::pin(self.primaries.run(bucket, &commands)).await.map_err(Failure::into_write_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_write_error())
    }

    /// Executes a durable write, and waits until enough replicas confirm it. A script whose condition was not met
    /// changed nothing, so that its confirmations do not matter.
    async fn write_durably(&self, bucket: usize, script: Cmd) -> Result<ScriptResult, Error> {
        if self.replicas == 0 {
            return ScriptResult::of(self.write(bucket, script).await?).map_err(Failure::into_write_error);
        }
        // Boxed here and above: the compiler rejects futures that are nested too deeply.
        let done = Box::pin(self.primaries.run_durably(bucket, &script, self.replicas)).await;
        let [reply, replica_count] = done.map_err(Failure::into_write_error)?;
        let result = ScriptResult::of(reply).map_err(Failure::into_write_error)?;
        let got =
            redis::from_redis_value(replica_count).map_err(|error| Error::Unexpected(Box::new(error)))?;
        match result {
            ScriptResult::Done(_) if got < self.replicas => {
                Err(Error::NotReplicated { got, wanted: self.replicas })
            }
            result => Ok(result),
        }
    }
}

/// Whether a command is too large for the connection that calls share.
fn is_large(command: &Cmd) -> bool {
    let sizes = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    });
    sizes.sum::<usize>() > MAX_SHARED
}
