//! Reads a file that someone else writes: it may be missing, be no file, or have any length.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::super::jwt::key_set::MAX_BYTES;
use super::problem::Problem;

/// The bytes of a file. Its path is resolved each time: Kubernetes replaces a mounted file by swapping the link
/// `..data` in the path of its target.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    // Opening a pipe would block until a writer opens it.
    if !fs::metadata(path)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES { Err(Problem::TooLong) } else { Ok(bytes) }
}
