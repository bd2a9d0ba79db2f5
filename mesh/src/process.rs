//! The life of a server process, once however many services it runs: telemetry, signals, the admin port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::args::ProcessArgs;
use crate::breaker::Breakers;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::serve::Context;
use crate::telemetry::{self, Telemetry};
use dataflow_settings::{Dynamic, Loaded, Pushed};

/// Why a process could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// See [`telemetry::Error`].
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// Somebody else has the address, or it is not ours to have.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let us handle signals.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
}

/// What a process hands to its services.
#[derive(Debug, Clone)]
pub struct Process {
    /// One registry for all services.
    pub metrics: Metrics,
    /// One readiness for all services.
    pub readiness: Readiness,
    /// What stands between this process and things outside the mesh.
    pub breakers: Breakers,
    /// The dynamic flags, as they hold from now on.
    pub settings: watch::Receiver<Dynamic>,
    /// Where what the config service pushes is handed in.
    pub pushed: watch::Sender<Pushed>,
    stop: CancellationToken,
}

impl Process {
    /// The context of one service.
    pub fn context(&self, role: &'static str) -> Context {
        Context::new(role, self.metrics.clone(), self.readiness.clone())
            .with_breakers(self.breakers.clone())
            .with_settings(self.settings.clone())
    }

    /// Resolves when the process was told to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}

/// Sets the process up as `args` say, which were `loaded` with the rest of the command line, runs `services` until it
/// returns, and flushes telemetry.
///
/// # Errors
///
/// When the process cannot begin, or what `services` returns.
pub async fn run<E: From<Error>>(
    args: &ProcessArgs,
    loaded: Loaded,
    name: &'static str,
    services: impl AsyncFnOnce(Process) -> Result<(), E>,
) -> Result<(), E> {
    let telemetry = telemetry::init(&args.telemetry, name).map_err(Error::from)?;
    loaded.report.log();
    let (pushed, receiver) = watch::channel(Pushed::new());
    let (settings, follow) = loaded.watch(receiver);
    tokio::spawn(follow);
    let metrics = Metrics::default();
    let process = Process {
        breakers: Breakers::new(&metrics),
        metrics,
        readiness: Readiness::default(),
        settings: settings.clone(),
        pushed,
        stop: CancellationToken::new(),
    };
    stop_on_signal(process.stop.clone()).map_err(Error::Signals)?;

    let admin = bind(args.admin).await?;
    if let Ok(address) = admin.local_addr() {
        tracing::info!(%address, "admin port is open");
    }
    let router = admin::router(process.metrics.clone(), process.readiness.clone());
    let admin = tokio::spawn(axum::serve(admin, router).into_future());

    let ended = tokio::select! {
        ended = services(process) => ended,
        never = follow_log(settings, &args.telemetry.log, &telemetry) => match never {},
    };
    admin.abort();
    telemetry.flush().await;
    ended
}

/// Logs by another filter whenever the settings name one.
async fn follow_log(mut settings: watch::Receiver<Dynamic>, log: &str, telemetry: &Telemetry) -> Infallible {
    let filter = |settings: &mut watch::Receiver<Dynamic>| {
        settings.borrow_and_update().settings.get("log").map(|log| log.value.clone())
    };
    let mut holds = log.to_owned();
    loop {
        if let Some(new) = filter(&mut settings).filter(|new| *new != holds) {
            telemetry.log(&new);
            holds = new;
        }
        if settings.changed().await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Binds a listening socket.
///
/// # Errors
///
/// [`Error::Bind`] with the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// SIGTERM is how Kubernetes stops a pod, SIGINT how a person at a terminal does. Whoever sends a second one does not want
/// to wait for the first, and gets the exit status of a process that such a signal ended.
fn stop_on_signal(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => ("SIGTERM", SignalKind::terminate()),
            _ = interrupt.recv() => ("SIGINT", SignalKind::interrupt()),
        }
    };
    tokio::spawn(async move {
        let (signal, _) = next().await;
        tracing::info!(signal, "told to stop");
        stop.cancel();
        let (signal, kind) = next().await;
        tracing::warn!(signal, "told to stop again: leaving at once");
        std::process::exit(128 + kind.as_raw_value());
    });
    Ok(())
}
