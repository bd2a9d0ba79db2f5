//! The file of `--out`. It is written beside its place and then renamed, so that it is either complete or as it was
//! before: a disk may be full, and the command may be interrupted.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::{Builder, NamedTempFile};

use crate::exit::{Exit, Failure};

/// Where the result goes.
pub(super) enum Output {
    /// A regular file, complete or not at all.
    File { path: PathBuf, new: NamedTempFile },
    /// A device or a pipe, which cannot be replaced.
    Stream { path: PathBuf, stream: fs::File },
}

// === impl Output ===

impl Output {
    /// Opens it before the analysis, so that a mistake costs no time. `sources` are the documents, which must not be
    /// overwritten by their own result.
    pub(super) fn open(path: PathBuf, sources: &[PathBuf]) -> Result<Self, Failure> {
        let existing = fs::metadata(&path).ok();
        let is_source = |out: &fs::Metadata| {
            let is_out = |read: fs::Metadata| (out.dev(), out.ino()) == (read.dev(), read.ino());
            sources.iter().any(|source| fs::metadata(source).is_ok_and(is_out))
        };
        if existing.as_ref().is_some_and(is_source) {
            let why = "this is a document that is analyzed; name another file";
            let why = anyhow::anyhow!("--out {}: {why}", path.display());
            return Err(Failure::new(Exit::Usage, why));
        }
        let context = || format!("--out {}", path.display());
        if existing.is_some_and(|existing| !existing.is_file()) {
            let stream = fs::OpenOptions::new().write(true).open(&path).with_context(context)?;
            return Ok(Self::Stream { path, stream });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let why = format!("--out {}: there is no folder {}; create it", path.display(), folder.display());
            return Err(anyhow::anyhow!(why).into());
        }
        // As any new file: the process's mask applies.
        let permissions = Permissions::from_mode(0o666);
        let new = Builder::new().prefix(".dataflow-").permissions(permissions).tempfile_in(folder);
        let new = new.with_context(context)?;
        Ok(Self::File { path, new })
    }

    /// Writes the result.
    pub(super) fn write(self, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
        match self {
            Self::File { path, mut new } => {
                let written = render(new.as_file_mut()).and_then(|()| new.as_file().sync_all());
                let persisted = written.and_then(|()| Ok(new.persist(&path)?));
                persisted.map(drop).with_context(|| format!("--out {}", path.display()))
            }
            Self::Stream { path, mut stream } => {
                render(&mut stream).with_context(|| format!("--out {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_result_is_complete_or_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (source, path) = (folder.path().join("catalogue"), folder.path().join("result"));
        fs::write(&source, "catalogue").unwrap();
        fs::write(&path, "before").unwrap();
        let full = |to: &mut dyn Write| {
            to.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let error =
            Output::open(path.clone(), std::slice::from_ref(&source)).unwrap().write(full).unwrap_err();
        assert!(error.to_string().contains("result"), "{error:#}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        Output::open(path.clone(), std::slice::from_ref(&source))
            .unwrap()
            .write(|to| to.write_all(b"after"))
            .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(names(folder.path()), ["catalogue", "result"]);
    }

    #[test]
    fn the_catalogue_is_not_overwritten_and_a_device_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (source, link) = (folder.path().join("catalogue"), folder.path().join("link"));
        fs::write(&source, "catalogue").unwrap();
        fs::hard_link(&source, &link).unwrap();
        let themes = folder.path().join("themes");
        fs::write(&themes, "themes").unwrap();
        let sources = [source.clone(), themes.clone()];
        for same in [&source, &link, &themes] {
            assert!(Output::open(same.clone(), &sources).is_err());
        }
        let null = Output::open("/dev/null".into(), &sources).unwrap();
        null.write(|to| to.write_all(b"x")).unwrap();
        let nowhere = Output::open(folder.path().join("none/x"), &sources).err().unwrap().error.to_string();
        let names = |part: &str| nowhere.contains(part);
        assert!(
            names("--out ") && names("none/x: ") && names("no folder ") && names("create it"),
            "{nowhere}"
        );
    }
}
