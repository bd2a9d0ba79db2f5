//! The open database of a store, which is opened again after a failure.
//!
//! After a failed read or write, redb rejects everything until the file is opened again, because it cannot know what
//! reached the disk. A full disk must not need a restart: once there is space, the next write succeeds.

use std::sync::{PoisonError, RwLock};

use redb::Database;

/// Opens the database. It must exist, except for the first time.
type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// The database, or none while it cannot be opened.
pub(super) struct OpenDatabase {
    database: RwLock<Option<Database>>,
    opener: Opener,
}

// === impl OpenDatabase ===

impl OpenDatabase {
    pub(super) fn open(
        opener: impl Fn() -> Result<Database, redb::Error> + Send + Sync + 'static,
    ) -> Result<Self, redb::Error> {
        let database = RwLock::new(Some(opener()?));
        Ok(Self { database, opener: Box::new(opener) })
    }

    /// Runs `work` on the database.
    pub(super) fn run<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(redb::Error::PreviousIo)?)
    }

    /// Closes the database once all work on it has ended, and opens it again.
    pub(super) fn reopen(&self) -> Result<(), redb::Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Before it is opened: a database cannot be open twice.
        *database = None;
        *database = Some((self.opener)()?);
        Ok(())
    }
}
