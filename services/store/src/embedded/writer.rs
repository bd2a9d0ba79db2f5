//! Group commit: one thread writes, and all that is queued while one transaction reaches the disk goes into the next.
//! Writes of many callers thereby share a sync, and each is acknowledged only after its own.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use redb::{Database, WriteTransaction};
use tokio::sync::{oneshot, watch};

use crate::error::Error;

/// How many writes one transaction takes at most, so that the first need not wait for a queue that does not end.
const MAX_BATCH: usize = 256;

/// Writes within a transaction. What it returns is run once that is committed.
type Job = Box<dyn FnOnce(&WriteTransaction) -> Result<OnCommit, redb::Error> + Send>;
type OnCommit = Box<dyn FnOnce()>;

/// The only one who writes.
pub(super) struct Writer {
    /// None only while it is dropped, which closes the queue.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Why the thread ended. Closed without a reason when it panicked.
    failure: watch::Receiver<Option<Arc<redb::Error>>>,
    /// Sent when the thread ends, and dropped when it panics.
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
            // redb refuses whatever follows a failure until the file is opened anew, because it cannot know what reached
            // the disk. So this thread ends, and with it the hope of everybody who waits for an answer.
            if let Err(error) = run((*database).as_ref(), &queue) {
                failed.send_replace(Some(Arc::new(error)));
            }
            // Nobody may be watching.
            let _ = ending.send(());
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), failure, ended: Some(ended) })
    }

    /// Resolves when the thread has ended, with an error if it panicked. Once.
    pub(super) fn ended(&mut self) -> Option<oneshot::Receiver<()>> {
        self.ended.take()
    }

    /// Runs `stage` within a transaction and, once that is on the disk, what it returned, whose answer this is. Both run
    /// even if the caller no longer waits.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: the write may or may not have been done.
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

    /// As [`write`](Self::write), for what nobody waits for.
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
        // A writer that has ended hands the job back, and dropping it is an answer.
        let _ = self.jobs.as_ref().expect("the queue is open until the writer is dropped").send(job);
    }

    /// Why there is no answer. The thread is about to say so, if it has not yet.
    async fn failure(&self) -> Box<dyn std::error::Error + Send + Sync> {
        match self.failure.clone().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => Box::new(Arc::clone(error)),
            Ok(None) | Err(_) => "the thread that writes is gone".into(),
        }
    }
}

/// Waits for what is queued, so that the file is closed when its owner is gone.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there was reported as one.
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
    async fn what_is_queued_during_a_commit_shares_the_next() {
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
    async fn whatever_follows_a_failure_is_told_of_it() {
        let (writer, _) = writer().await;
        for _ in 0..2 {
            let failed = writer.write(|_| Err::<fn() -> (), _>(redb::Error::Corrupted("page 7".to_owned())));
            let error = failed.await.unwrap_err();
            assert_eq!(error.source().unwrap().to_string(), "DB corrupted: page 7");
        }
    }

    #[tokio::test]
    async fn what_is_queued_is_done_before_the_end() {
        let (writer, database) = writer().await;
        (1..=1000).for_each(|number| writer.queue(insert(number)));
        drop(writer);
        assert_eq!(database.numbers(), 1001);
    }
}
