//! The store in Redis: shared by every replica, in one server, behind Sentinels or in a Cluster.
//!
//! A call finds its bucket's primary (`primaries`), passes that primary's breaker and goes over one of its connections
//! (`link`). What must happen at one moment is a script (`scripts`), all keys of which lie in one slot (`names`). Beside
//! the calls one task (`watch`) listens to signals and reads the change counts.

pub mod address;

mod connector;
mod failure;
mod link;
mod names;
mod operations;
mod pool;
mod primaries;
mod scripts;
mod topology;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::process::Process;
use dataflow_mesh::tasks::{Task, Tasks};
use futures_util::FutureExt;
use redis::Cmd;
use secrecy::SecretString;
use tokio::sync::watch as watching;
use tokio_util::sync::{CancellationToken, DropGuard};

use address::{Address, Mode};
use connector::Connector;
use failure::Failure;
use names::KeyNames;
use primaries::Primaries;
use scripts::ScriptResult;
use watch::Watch;

use crate::error::Error;
use crate::signals::Hub;
use crate::version_counters::VersionCounters;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// Whom to log in as, unless the address says.
    pub username: Option<String>,
    /// With which password, unless the address says.
    pub password: Option<SecretString>,
    /// Certificates to trust, as PEM; those of the system if none.
    pub authority: Option<Vec<u8>>,
    /// What every key and channel begins with.
    pub prefix: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// How many replicas must have a durable write; by default 1 under Sentinels or in a Cluster, else 0.
    pub replicas: Option<u64>,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("redis cannot be used as it is set up")]
pub struct Misconfigured(#[source] redis::RedisError);

/// State in Redis.
pub struct Redis {
    primaries: Arc<Primaries>,
    names: KeyNames,
    replicas: u64,
    hub: Hub,
    version_counters: watching::Receiver<VersionCounters>,
    /// Ends the watch with the store.
    _watch: DropGuard,
    /// Keeps the watch alive as long as the store.
    _tasks: Tasks,
}

// === impl Redis ===

impl Redis {
    /// State in the Redis that `settings` say, whether or not it replies at the moment. Its breakers are named for `role`.
    /// Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`], for instance when the certificates are none.
    pub fn new(settings: Settings, process: &Process, role: &str) -> Result<Self, Misconfigured> {
        let default = if settings.address.mode == Mode::Standalone { 0 } else { 1 };
        let replicas = settings.replicas.unwrap_or(default);
        let (hub, names) = (Hub::new(), KeyNames::new(&settings.prefix));
        let connector = Connector::new(settings, process.breakers.clone(), role, hub.clone());
        let primaries = connector.and_then(Primaries::new).map_err(Misconfigured)?;
        let primaries = Arc::new(primaries);
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

    /// Does one thing that only reads.
    async fn read(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        let mut commands = redis::pipe();
        commands.add_command(command);
        let replies =
            Box::pin(self.primaries.read(bucket, &commands)).await.map_err(Failure::into_read_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_read_error())
    }

    /// Does one thing that changes what may be lost.
    async fn write(&self, bucket: usize, command: Cmd) -> Result<redis::Value, Error> {
        let mut commands = redis::pipe();
        commands.add_command(command);
        let replies =
            Box::pin(self.primaries.run(bucket, &commands)).await.map_err(Failure::into_write_error)?;
        replies.into_iter().next().ok_or_else(|| Failure::wrong_reply_count(0).into_write_error())
    }

    /// Runs a script that changes what must not be lost, and waits until enough replicas have it. One that was refused
    /// changed nothing, whoever has that.
    async fn write_durably(&self, bucket: usize, script: Cmd) -> Result<ScriptResult, Error> {
        if self.replicas == 0 {
            return ScriptResult::of(self.write(bucket, script).await?).map_err(Failure::into_write_error);
        }
        // Boxed here and above: the compiler gives up on futures nested too deep.
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
