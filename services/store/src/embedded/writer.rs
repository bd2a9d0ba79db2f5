//! Group commit: one thread executes all writes. Those queued during a commit form the next transaction, so that many
//! callers share one sync; each is acknowledged only after its own commit.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use redb::{Database, WriteTransaction};
use tokio::sync::{oneshot, watch};

use crate::error::Error;

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
    /// The error that ended the thread. Closed without an error if the thread panicked.
    failure: watch::Receiver<Option<Arc<redb::Error>>>,
    /// Receives a value when the thread ends, and is closed if it panics.
    ended: Option<oneshot::Receiver<()>>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn start(
        database: Arc<impl AsRef<Database> + Send + Sync + 'static>,
    ) -> Result<Self, redb::Error> {
        let (jobs, queue) = mpsc::channel();
        let (failed, failure) = watch::channel(None);
        let (ending, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || {
            // After a failure, redb rejects all further writes until the file is reopened, because it cannot know what
            // reached the disk. So the thread ends, and all pending and later writes fail.
            if let Err(error) = run((*database).as_ref(), &queue) {
                failed.send_replace(Some(Arc::new(error)));
            }
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
    /// [`Error::File`]: the write may or may not have been executed.
    pub(super) async fn write<T, A>(
        &self,
        stage: impl FnOnce(&WriteTransaction) -> Result<A, redb::Error> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        A: FnOnce() -> T + 'static,
    {
        let (result, received) = oneshot::channel();
        self.send(Box::new(move |transaction| {
            let on_commit = stage(transaction)?;
            Ok(Box::new(move || drop(result.send(on_commit()))))
        }));
        match received.await {
            Ok(result) => Ok(result),
            Err(_) => Err(Error::File(self.failure().await)),
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

    /// Why there is no result. The thread is about to publish the error, if it has not yet.
    async fn failure(&self) -> Box<dyn std::error::Error + Send + Sync> {
        match self.failure.clone().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => Box::new(Arc::clone(error)),
            Ok(None) | Err(_) => "the writer thread has panicked".into(),
        }
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

fn run(database: &Database, queue: &Receiver<Job>) -> Result<(), redb::Error> {
    while let Ok(first) = queue.recv() {
        let transaction = database.begin_write()?;
        let batch = iter::once(first).chain(queue.try_iter()).take(MAX_BATCH);
        let on_commit = batch.map(|job| job(&transaction)).collect::<Result<Vec<_>, _>>()?;
        transaction.commit()?;
        on_commit.into_iter().for_each(|on_commit| on_commit());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use redb::backends::InMemoryBackend;
    use redb::{Builder, ReadableDatabase, ReadableTableMetadata, TableDefinition};

    use super::*;

    const NUMBERS: TableDefinition<'_, u64, ()> = TableDefinition::new("numbers");

    struct Owner(Database);

    impl AsRef<Database> for Owner {
        fn as_ref(&self) -> &Database {
            &self.0
        }
    }

    impl Owner {
        fn numbers(&self) -> u64 {
            self.0.begin_read().unwrap().open_table(NUMBERS).unwrap().len().unwrap()
        }
    }

    fn insert(number: u64) -> impl FnOnce(&WriteTransaction) -> Result<(), redb::Error> {
        move |transaction| {
            transaction.open_table(NUMBERS)?.insert(number, ())?;
            Ok(())
        }
    }

    async fn writer() -> (Writer, Arc<Owner>) {
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        let database = Arc::new(Owner(database));
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
            let committed = database.numbers();
            Ok(move || (staged, committed, database.numbers()))
        });
        let (counts, _) = tokio::join!(counts, async { finish.send(()) });
        assert_eq!(counts.unwrap(), (11, 1, 11));
    }

    #[tokio::test]
    async fn every_write_after_a_failure_reports_it() {
        let (writer, _) = writer().await;
        for _ in 0..2 {
            let failed = writer.write(|_| Err::<fn() -> (), _>(redb::Error::Corrupted("page 7".to_owned())));
            let error = failed.await.unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), "DB corrupted: page 7");
        }
    }

    #[tokio::test]
    async fn queued_writes_are_executed_before_the_drop() {
        let (writer, database) = writer().await;
        (1..=1000).for_each(|number| writer.queue(insert(number)));
        drop(writer);
        assert_eq!(database.numbers(), 1001);
    }
}
