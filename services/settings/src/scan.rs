//! Reads the mounted directories and the file, without interpreting them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::problem::Unusable;
use super::source::{FilePosition, Source};

/// Maximum size of a file, in bytes: the limit of a ConfigMap or a Secret.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The locations of settings, besides the command line.
#[derive(Default)]
pub(super) struct Locations {
    /// The Secret directory.
    pub(super) secrets: Option<PathBuf>,
    /// The ConfigMap directory.
    pub(super) config: Option<PathBuf>,
    /// The environment at the start of the process.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// The file of `--config`.
    pub(super) file: Option<PathBuf>,
}

/// Creates the source of a position in a file: Secret, ConfigMap or file.
type SourceKind = fn(FilePosition) -> Source;

/// The files of one scan. Without `Debug`, because they contain secrets.
pub(super) struct Scan {
    /// The files, highest precedence first.
    pub(super) files: Vec<SettingsFile>,
    /// Changes when a name or a byte changes. 64 bits: it detects changes, and has no security purpose.
    pub(super) digest: u64,
}

/// A file, or the directory itself if it cannot be read.
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    pub(super) content: Result<String, Unusable>,
    pub(super) source: SourceKind,
}

// === impl Locations ===

impl Locations {
    /// Whether any location may change at run time.
    pub(super) fn are_mounted(&self) -> bool {
        self.secrets.is_some() || self.config.is_some() || self.file.is_some()
    }

    /// Scans until two consecutive scans are equal, because a directory may be swapped while it is read. After four
    /// scans, the last one is used.
    pub(super) fn scan(&self) -> Scan {
        let mut scan = self.scan_once();
        for _ in 0..3 {
            let again = self.scan_once();
            if again.digest == scan.digest {
                break;
            }
            scan = again;
        }
        scan
    }

    /// Scans once.
    pub(super) fn scan_once(&self) -> Scan {
        let mut files = Vec::new();
        let secrets: (_, SourceKind) = (&self.secrets, Source::Secret);
        for (directory, source) in [secrets, (&self.config, Source::ConfigMap)] {
            let Some(directory) = directory else { continue };
            match list(directory) {
                Ok(paths) => files.extend(paths.into_iter().map(|path| SettingsFile::read(path, source))),
                Err(error) => {
                    files.push(SettingsFile { path: directory.clone(), content: Err(error.into()), source })
                }
            }
        }
        files.extend(self.file.clone().map(|path| SettingsFile::read(path, Source::File)));
        let mut hasher = DefaultHasher::new();
        for file in &files {
            (&file.path, &file.content).hash(&mut hasher);
        }
        Scan { files, digest: hasher.finish() }
    }
}

/// The entries of a directory, sorted by name. Entries that start with a full stop are skipped: Kubernetes uses them to
/// swap all files atomically (`..data`), and editors use them too.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

// === impl SettingsFile ===

impl SettingsFile {
    fn read(path: PathBuf, source: SourceKind) -> Self {
        let content = if path.file_name().is_some_and(|name| name.to_str().is_none()) {
            Err(Unusable::NotText)
        } else {
            text(&path)
        };
        Self { path, content, source }
    }
}

fn text(path: &Path) -> Result<String, Unusable> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(Unusable::Directory);
    }
    // Opening a pipe would block until a writer opens it.
    if !metadata.is_file() {
        return Err(Unusable::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Unusable::TooLarge);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or(Unusable::NotText)
}

// === impl Unusable ===

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.kind())
    }
}
