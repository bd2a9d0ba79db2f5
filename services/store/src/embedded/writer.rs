//! Group commit: one thread executes all writes. Those queued during a commit form the next transaction, so that many
//! callers share one sync; each is acknowledged only after its own commit. After a failure, the thread opens the
//! database again.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redb::WriteTransaction;
use tokio::sync::{oneshot, watch};

use super::database::OpenDatabase;
use crate::error::Error;

/// The shortest time between two attempts to open a database that failed: each checks its integrity.
const REOPEN_PAUSE: Duration = Duration::from_millis(400);

/// The most writes in one transaction, so that the first does not wait for an endless queue.
const MAX_BATCH: usize = 256;

/// A write within a transaction. Returns a callback to run after the commit.
type Job = Box<dyn FnOnce(&WriteTransaction) -> Result<OnCommit, redb::Error> + Send>;
type OnCommit = Box<dyn FnOnce()>;

/// The single writer of the database.
pub(super) struct Writer {
    /// None only during drop, which closes the queue.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// The last failure. Closed if the thread panicked.
    failure: watch::Receiver<Option<Arc<redb::Error>>>,
    /// Receives a value when the thread ends, and is closed if it panics.
    ended: Option<oneshot::Receiver<()>>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn start(database: Arc<OpenDatabase>) -> Result<Self, redb::Error> {
        let (jobs, queue) = mpsc::channel();
        let (failed, failure) = watch::channel(None);
        let (ending, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            run(&database, &queue, &failed);
            // An error means that no task waits for it.
            let _ = ending.send(());
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), failure, ended: Some(ended) })
    }

    /// Resolves when the thread has ended, with an error if it panicked. Available once.
    pub(super) fn ended(&mut self) -> Option<oneshot::Receiver<()>> {
        self.ended.take()
    }

    /// Runs `stage` within a transaction and, after the commit, the callback that it returned, whose result is
    /// returned. Both run even if the caller is canceled.
    ///
    /// # Errors
    ///
    /// [`Error::DiskFailed`], [`Error::File`]: the write may or may not have been executed.
    pub(super) async fn write<T, A>(
        &self,
        stage: impl FnOnce(&WriteTransaction) -> Result<A, redb::Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        A: FnOnce() -> T + 'static,
    {
        let (result, received) = oneshot::channel();
        // A failure from now on may be that of this write.
        let mut failure = self.failure.clone();
        failure.mark_unchanged();
        self.send(Box::new(move |transaction| {
            let on_commit = stage(transaction)?;
            Ok(Box::new(move || drop(result.send(on_commit()))))
        }));
        match received.await {
            Ok(result) => Ok(result),
            Err(_) => Err(match failure.changed().await {
                Ok(()) => failure.borrow_and_update().clone().map_or_else(panicked, super::error),
                Err(_) => panicked(),
            }),
        }
    }

    /// As [`write`](Self::write), without waiting for the result.
    pub(super) fn queue(
        &self,
        stage: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) {
        self.send(Box::new(|transaction| {
            stage(transaction)?;
            Ok(Box::new(|| ()))
        }));
    }

    fn send(&self, job: Job) {
        // If the thread has ended, the job is dropped, and its caller's channel closed.
        let _ = self.jobs.as_ref().expect("the queue is open until the writer is dropped").send(job);
    }
}

/// Waits for the queued writes, so that the file is closed once its owner is dropped.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}

fn panicked() -> Error {
    Error::File("the writer thread has panicked".into())
}

/// Executes the jobs of the queue until it is closed.
fn run(database: &OpenDatabase, queue: &Receiver<Job>, failed: &watch::Sender<Option<Arc<redb::Error>>>) {
    let mut is_failing = false;
    let mut reopened: Option<Instant> = None;
    while let Ok(first) = queue.recv() {
        let batch = Vec::from_iter(iter::once(first).chain(queue.try_iter()).take(MAX_BATCH));
        let opened = match reopened {
            _ if !is_failing => Ok(()),
            Some(last) if last.elapsed() < REOPEN_PAUSE => Err(redb::Error::PreviousIo),
            _ => {
                reopened = Some(Instant::now());
                database.reopen()
            }
        };
        match opened.and_then(|()| commit(database, batch)) {
            Ok(on_commit) => {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("store: the data directory can be written again");
                }
                on_commit.into_iter().for_each(|on_commit| on_commit());
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::error!(%error, "store: the data directory cannot be written, every write tries again");
                }
                // Each caller whose job is dropped waits for it.
                failed.send_replace(Some(Arc::new(error)));
            }
        }
    }
}

/// Executes these jobs in one transaction.
fn commit(database: &OpenDatabase, batch: Vec<Job>) -> Result<Vec<OnCommit>, redb::Error> {
    database.run(|database| {
        let transaction = database.begin_write()?;
        let on_commit = batch.into_iter().map(|job| job(&transaction)).collect::<Result<Vec<_>, _>>()?;
        transaction.commit()?;
        Ok(on_commit)
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use redb::backends::InMemoryBackend;
    use redb::{Builder, Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

    use super::super::disk::Disk;

    use super::*;

    const NUMBERS: TableDefinition<'_, u64, ()> = TableDefinition::new("numbers");

    fn count(database: &OpenDatabase) -> u64 {
        let count = database.run(|database| Ok(database.begin_read()?.open_table(NUMBERS)?.len()?));
        count.unwrap()
    }

    fn insert(number: u64) -> impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> {
        move |transaction| {
            transaction.open_table(NUMBERS)?.insert(number, ())?;
            Ok(())
        }
    }

    /// Tries until it succeeds.
    async fn eventually(succeeds: impl AsyncFn() -> bool) {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !succeeds().await {
            tick.tick().await;
        }
    }

    async fn writer() -> (Writer, Arc<OpenDatabase>) {
        writer_on(|| Ok(Builder::new().create_with_backend(InMemoryBackend::new())?)).await
    }

    async fn writer_on(
        opener: impl Fn() -> Result<Database, redb::Error> + Send + Sync + 'static,
    ) -> (Writer, Arc<OpenDatabase>) {
        let database = Arc::new(OpenDatabase::open(opener).unwrap());
        let writer = Writer::start(Arc::clone(&database)).unwrap();
        let create = writer.write(|transaction| insert(0)(transaction).map(|()| || ()));
        create.await.unwrap();
        (writer, database)
    }

    #[tokio::test]
    async fn writes_queued_during_a_commit_share_the_next_one() {
        let (writer, database) = writer().await;
        let (finish, finished) = mpsc::channel();
        writer.queue(move |_| {
            finished.recv().unwrap();
            Ok(())
        });
        (1..=10).for_each(|number| writer.queue(insert(number)));
        let counts = writer.write(move |transaction| {
            let staged = transaction.open_table(NUMBERS)?.len()?;
            let committed = count(&database);
            Ok(move || (staged, committed, count(&database)))
        });
        let (counts, _) = tokio::join!(counts, async { finish.send(()) });
        assert_eq!(counts.unwrap(), (11, 1, 11));
    }

    #[tokio::test]
    async fn a_failure_is_reported_to_the_writes_that_it_affects() {
        let (writer, _) = writer_on({
            let disk = Disk::default();
            move || disk.open()
        })
        .await;
        let failed = writer.write(|_| Err::<fn() -> (), _>(redb::Error::Corrupted("page 7".to_owned())));
        let error = failed.await.unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "DB corrupted: page 7");
        let again = async || writer.write(|transaction| insert(1)(transaction).map(|()| || ())).await.is_ok();
        eventually(again).await;
    }

    #[tokio::test]
    async fn writes_succeed_again_once_the_disk_has_space() {
        let disk = Disk::default();
        let (writer, database) = writer_on({
            let disk = disk.clone();
            move || disk.open()
        })
        .await;
        let write = async |number| {
            let written = writer.write(move |transaction| insert(number)(transaction).map(|()| || ()));
            written.await
        };
        for round in 0..3 {
            disk.set_full(true);
            for _ in 0..3 {
                let error = write(100 + round).await.unwrap_err();
                assert!(matches!(error, Error::DiskFailed(_)), "{error:?}");
            }
            disk.set_full(false);
            eventually(async || write(1 + round).await.is_ok()).await;
            assert_eq!(count(&database), 2 + round, "the failed writes are not among them");
        }
    }

    #[tokio::test]
    async fn queued_writes_are_executed_before_the_drop() {
        let (writer, database) = writer().await;
        (1..=1000).for_each(|number| writer.queue(insert(number)));
        drop(writer);
        assert_eq!(count(&database), 1001);
    }
}
