//! The data directory, locked by one process: two would overwrite each other's state.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::OpenError;

/// A locked data directory. The kernel releases the lock when this is dropped or the process ends for any reason.
pub(super) struct Directory {
    path: PathBuf,
    /// The lock file. Never removed: a process that had opened it before would lock a file that later processes cannot
    /// see.
    _lock: File,
}

impl Directory {
    /// Creates the directory if missing, accessible to this user only, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let unusable =
            |source: io::Error| OpenError::Unusable { directory: path.to_owned(), source: source.into() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let mut lock = open(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Held { directory: path.to_owned(), holder: holder(lock) });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let write_pid = |lock: &mut File| {
            lock.set_len(0)?;
            writeln!(lock, "{}", std::process::id())
        };
        write_pid(&mut lock).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Opens a file of the directory. If it is missing, `initialize` fills a temporary file, which is then renamed: a
    /// crash meanwhile leaves no partial file behind. The directory is synced, so that the file survives a power
    /// failure.
    pub(super) fn file<E: From<io::Error>>(
        &self,
        name: &str,
        initialize: impl FnOnce(File) -> Result<(), E>,
    ) -> Result<File, E> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        if !path.try_exists()? {
            let file = open(&new)?;
            file.set_len(0)?;
            initialize(file)?;
            fs::rename(&new, &path)?;
        }
        let file = open(&path)?;
        // Never left behind by this function: the file was emptied, or its disk was full while it was copied.
        if file.metadata()?.len() == 0 {
            let problem = format!(
                "{} is empty; restore it from a backup, or remove it to begin without state",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem).into());
        }
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }
}

/// Readable by this user only: the state may be confidential.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn holder(mut lock: File) -> String {
    let mut text = String::new();
    let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok());
    // It may have locked the file without having written its process id yet.
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_empty_file_is_an_error_that_names_it_and_the_next_step() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::lock(parent.path()).unwrap();
        let opened = || directory.file("state", |mut new: File| new.write_all(b"state")).map(drop);
        opened().unwrap();
        File::create(parent.path().join("state")).unwrap();
        let error: io::Error = opened().unwrap_err();
        assert!(error.to_string().contains("state is empty; restore it from a backup"), "{error}");
    }

    #[test]
    fn a_directory_is_locked_by_one_holder_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Directory::lock(&path).unwrap();
        let error = Directory::lock(&path).err().unwrap().to_string();
        let expected = format!("{} is in use by process {}", path.display(), std::process::id());
        assert!(error.ends_with(&expected), "{error}");
        drop(first);
        Directory::lock(&path).unwrap();
    }

    #[test]
    fn other_users_have_no_access() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a");
        Directory::lock(&path).unwrap().file("state", |mut new: File| new.write_all(b"state")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!([mode(&path), mode(&path.join("lock")), mode(&path.join("state"))], [0o700, 0o600, 0o600]);
    }

    #[test]
    fn an_interrupted_initialization_leaves_no_file() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::lock(&parent.path().join("a")).unwrap();
        let initialize = |text: &'static str, result: io::Result<()>| {
            move |mut file: File| file.write_all(text.as_bytes()).and(result)
        };
        directory.file("state", initialize("half of it", Err(io::ErrorKind::Other.into()))).unwrap_err();
        for text in ["whole", "again"] {
            let mut file = directory.file("state", initialize(text, Ok(()))).unwrap();
            let mut found = String::new();
            file.read_to_string(&mut found).unwrap();
            assert_eq!(found, "whole");
        }
    }

    #[test]
    fn a_path_below_a_file_is_unusable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Directory::lock(&file.path().join("a")).err().unwrap();
        assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
    }
}
