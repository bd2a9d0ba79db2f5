//! One scan of the mounted directories and the file: everything that is read, before it is interpreted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::problem::Unusable;
use super::source::{Place, Source};

/// The largest file that is read, in bytes: what a ConfigMap or a Secret may hold.
const LARGEST: u64 = 1 << 20;

/// Where values may come from, below the command line.
#[derive(Default)]
pub(super) struct Locations {
    /// The Secret directory.
    pub(super) secrets: Option<PathBuf>,
    /// The ConfigMap directory.
    pub(super) config: Option<PathBuf>,
    /// The environment, as it was when the process began.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// The file that `--config` names.
    pub(super) file: Option<PathBuf>,
}

/// A kind of source, given a place in one of its files.
type Kind = fn(Place) -> Source;

/// What was found. Without `Debug`, since it holds secrets.
pub(super) struct Scan {
    /// The files, highest source first.
    pub(super) files: Vec<Text>,
    /// Differs when a name or a byte does. 64 bits: it tells a change from none, and guards nothing.
    pub(super) digest: u64,
}

/// A file, or the directory itself when that cannot be read.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) content: Result<String, Unusable>,
    pub(super) source: Kind,
}

// === impl Locations ===

impl Locations {
    /// Whether there is anything that may change.
    pub(super) fn are_mounted(&self) -> bool {
        self.secrets.is_some() || self.config.is_some() || self.file.is_some()
    }

    /// Scans until two scans agree: a directory may be swapped between two of its files. Only a directory that changes
    /// all the time is taken as it is.
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
        let secrets: (_, Kind) = (&self.secrets, Source::Secret);
        for (directory, source) in [secrets, (&self.config, Source::ConfigMap)] {
            let Some(directory) = directory else { continue };
            match entries(directory) {
                Ok(paths) => files.extend(paths.into_iter().map(|path| Text::read(path, source))),
                Err(error) => {
                    files.push(Text { path: directory.clone(), content: Err(error.into()), source })
                }
            }
        }
        files.extend(self.file.clone().map(|path| Text::read(path, Source::File)));
        let mut hasher = DefaultHasher::new();
        for file in &files {
            (&file.path, &file.content).hash(&mut hasher);
        }
        Scan { files, digest: hasher.finish() }
    }
}

/// The entries of a directory by name. What begins with a full stop is how Kubernetes swaps all of them at once
/// (`..data`), or an editor's.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
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

// === impl Text ===

impl Text {
    fn read(path: PathBuf, source: Kind) -> Self {
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
    // To open a pipe would be to wait for who writes it.
    if !metadata.is_file() {
        return Err(Unusable::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
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
