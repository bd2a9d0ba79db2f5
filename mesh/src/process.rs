//! The life cycle of a server process, once for all services that it runs: telemetry, signals, the admin port.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use dataflow_settings::{Dynamic, Loaded, Pushed};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::args::ProcessArgs;
use crate::breaker::Breakers;
use crate::context::Context;
use crate::dependencies::Dependencies;
use crate::load::Load;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::open_files::{self, OpenFiles};
use crate::panics::{self, Panic};
use crate::process_status::{Parts, ProcessStatus, QuotaCollector};
use crate::readiness::Readiness;
use crate::resources::Resources;
use crate::tasks::{self, Task, Tasks};
use crate::telemetry::{self, LogFilter};

/// Why a process could not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// See [`telemetry::Error`].
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The address is in use, not an address of this host, or a privileged port.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operating system rejected the signal handlers.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// An essential task has ended.
    #[error(transparent)]
    Task(#[from] tasks::Failure),
}

/// The shared state that a process gives to its services. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Process {
    /// The metrics registry of all services.
    pub metrics: Metrics,
    /// The readiness of all services together.
    pub readiness: Readiness,
    /// The circuit breakers of all dependencies outside the mesh.
    pub breakers: Breakers,
    /// The supervisor of all background tasks.
    pub tasks: Tasks,
    /// The current values of the dynamic flags.
    pub settings: watch::Receiver<Dynamic>,
    /// Receives the settings that the config service pushes.
    pub pushed: watch::Sender<Pushed>,
    /// What the process depends on outside of itself.
    pub dependencies: Dependencies,
    /// What the process uses of its resources.
    pub resources: Resources,
    /// The status of the process.
    pub status: ProcessStatus,
    memory: Memory,
    load: Load,
    open_files: OpenFiles,
    stop: CancellationToken,
}

// === impl Process ===

impl Process {
    fn new(metrics: Metrics, settings: watch::Receiver<Dynamic>, pushed: watch::Sender<Pushed>) -> Self {
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        readiness.show(&metrics);
        let tasks = Tasks::new(stop.clone(), readiness.clone(), &metrics);
        let (breakers, open_files) = (Breakers::new(&metrics), OpenFiles::default());
        let (memory, load) = (Memory::register(&metrics), Load::register(&metrics));
        let (dependencies, resources) = (readiness.dependencies().clone(), Resources::register(&metrics));
        let parts = Parts {
            breakers: breakers.clone(),
            dependencies: dependencies.clone(),
            resources: resources.clone(),
            readiness: readiness.clone(),
        };
        let status = ProcessStatus::new(parts);
        metrics.collect(QuotaCollector(status.clone()));
        Self {
            metrics,
            readiness,
            breakers,
            tasks,
            settings,
            pushed,
            dependencies,
            resources,
            status,
            memory,
            load,
            open_files,
            stop,
        }
    }

    /// The context of one service.
    pub fn context(&self, role: &'static str) -> Context {
        let Self {
            metrics,
            readiness,
            breakers,
            tasks,
            settings,
            dependencies,
            status,
            memory,
            load,
            open_files,
            ..
        } = self.clone();
        status.add_role(role, &memory);
        let (latch, draining) = (readiness.latch(), CancellationToken::new());
        Context {
            role,
            metrics,
            readiness,
            draining,
            breakers,
            tasks,
            settings,
            memory,
            dependencies,
            status,
            load,
            open_files,
            latch,
        }
    }

    /// Starts the shutdown of the process.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when the shutdown has started.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}

/// A process without flags, signals and admin port, for services inside another program, a command or a test.
impl Default for Process {
    fn default() -> Self {
        let (settings, pushed) = (watch::channel(Dynamic::default()).1, watch::channel(Pushed::new()).0);
        Self::new(Metrics::default(), settings, pushed)
    }
}

/// Sets up the process by `args`, which were `loaded` with the rest of the command line, runs `services` until it
/// returns, and flushes telemetry. When an essential task ends, it starts the shutdown of the services. A panic of
/// `services` counts as one of an essential task, named for the process.
///
/// # Errors
///
/// When the process cannot start, when an essential task ended, or the error of `services`.
pub async fn run<E: From<Error>>(
    args: &ProcessArgs,
    loaded: Loaded,
    name: &'static str,
    services: impl AsyncFnOnce(Process) -> Result<(), E>,
) -> Result<(), E> {
    let metrics = Metrics::default();
    let telemetry = telemetry::init(&args.telemetry, name, &metrics).map_err(Error::from)?;
    loaded.report.log();
    open_files::raise_limit();
    let (pushed, receiver) = watch::channel(Pushed::new());
    let (settings, follow_sources) = loaded.watch(receiver);
    let mut process = Process::new(metrics, settings.clone(), pushed);
    let measuring = process.memory.limit_to(args.memory_limit.map(|limit| limit.as_u64()));
    panics::install(&process.metrics);
    let tasks = process.tasks.clone();
    if let Some(measuring) = measuring {
        tasks.spawn(Task::essential("memory", measuring));
    }
    let (resources, mark, limit) = (process.resources.clone(), args.resource_mark, process.memory.limit());
    tasks.spawn(Task::restarting("resources", move || resources.clone().monitor(mark, limit)));
    let load = process.load.clone();
    tasks.spawn(Task::restarting("load", move || load.clone().measure()));
    tasks.spawn(Task::essential("settings", follow_sources));
    tasks.spawn(Task::essential(
        "log filter",
        follow_log_filter(settings, args.telemetry.log.clone(), telemetry.filter()),
    ));
    tasks.spawn(signals(process.stop.clone()).map_err(Error::Signals)?);

    let admin = bind(args.admin).await?;
    if let Ok(address) = admin.local_addr() {
        tracing::info!(%address, "admin port: listening");
    }
    let router = admin::router(process.metrics.clone(), process.readiness.clone());
    tasks.spawn(Task::essential("admin port", admin::serve(admin, router)));

    let stop = process.stop.clone();
    let mut services = pin!(panics::catch(services(process)));
    let result = tokio::select! {
        result = &mut services => result.unwrap_or_else(|panic| {
            let Panic { message, location, backtrace } = &panic;
            tracing::error!(panic = message, location, backtrace, "process: panicked, shutting down");
            stop.cancel();
            Err(Error::Task(tasks::Failure { task: name, how: panic.to_string() }).into())
        }),
        failure = tasks.failed() => {
            stop.cancel();
            // Calls in flight finish first. The result of the services is a consequence of the failure.
            let _ = services.await;
            Err(Error::Task(failure).into())
        }
    };
    drop(tasks);
    telemetry.flush().await;
    result
}

/// Applies the log filter of the settings when it changes.
async fn follow_log_filter(mut settings: watch::Receiver<Dynamic>, log: String, filter: LogFilter) {
    let mut current = log;
    loop {
        let wanted = settings.borrow_and_update().settings.get("log").map(|log| log.value.clone());
        if let Some(wanted) = wanted.filter(|wanted| *wanted != current) {
            filter.set(&wanted);
            current = wanted;
        }
        if settings.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Binds a listening socket.
///
/// # Errors
///
/// [`Error::Bind`] with the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// Starts the shutdown on the first signal: SIGTERM, which Kubernetes sends to stop a pod; SIGINT, which a terminal
/// sends on Ctrl-C; or SIGHUP, which it sends when it closes. A second signal exits immediately, with the status of a
/// process that this signal terminated.
fn signals(stop: CancellationToken) -> io::Result<Task> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Sent when the terminal closes; by default it would end the process without a drain.
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => ("SIGTERM", SignalKind::terminate()),
            _ = interrupt.recv() => ("SIGINT", SignalKind::interrupt()),
            _ = hang_up.recv() => ("SIGHUP", SignalKind::hangup()),
        }
    };
    Ok(Task::essential("signals", async move {
        let (signal, _) = next().await;
        tracing::info!(signal, "process: shutting down");
        stop.cancel();
        let (signal, kind) = next().await;
        tracing::warn!(signal, "process: second signal, exiting immediately");
        std::process::exit(128 + kind.as_raw_value());
    }))
}
