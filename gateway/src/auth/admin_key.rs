//! The first API key, from a file, whose callers may do everything.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dataflow_mesh::access::Scope;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::reload;

use super::credentials::KEY_PREFIX;
use super::digest::Digest;
use super::names::KEY_SUBJECT;
use crate::caller::Caller;

/// The fewest characters after the prefix: those of 192 random bits in base64.
const MIN_LENGTH: usize = 32;

/// The most bytes of the file.
const MAX_BYTES: usize = 1024;

/// The key as its digest, so that memory does not hold it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct AdminKey {
    file: Arc<Path>,
    digest: Arc<ArcSwap<Digest>>,
    caller: Caller,
}

/// Why a file has no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminKeyError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has something else.
    #[error(
        "it must have one line, {KEY_PREFIX} and at least {MIN_LENGTH} letters, digits, hyphens and underscores"
    )]
    Malformed,
}

// === impl AdminKey ===

impl AdminKey {
    /// The key in a file.
    pub(super) fn read(file: &Path) -> Result<Self, AdminKeyError> {
        let digest = digest_in(&read(file)?)?;
        let subject = format!("{KEY_SUBJECT}admin");
        let caller = Principal { subject, scope: Some(Scope::Admin), ..Principal::default() }.into();
        Ok(Self { file: file.into(), digest: Arc::new(ArcSwap::from_pointee(digest)), caller })
    }

    /// The caller that presents it; none if this is another key.
    pub(super) fn caller(&self, key: &str) -> Option<Caller> {
        (Digest::of(key) == **self.digest.load()).then(|| self.caller.clone())
    }

    /// Reloads the key when the file changes, without end.
    pub(super) async fn follow(self) {
        let file = Arc::clone(&self.file);
        reload::follow(&self.file, &self.digest, move || digest_in(&read(&file)?)).await;
    }
}

/// A little more than a key may have, at most.
fn read(file: &Path) -> Result<Vec<u8>, AdminKeyError> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(AdminKeyError::Malformed);
    }
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn digest_in(text: &[u8]) -> Result<Digest, AdminKeyError> {
    let text = std::str::from_utf8(text).map_err(|_| AdminKeyError::Malformed)?.trim();
    let is_key_char = |each: char| each.is_ascii_alphanumeric() || each == '-' || each == '_';
    let rest =
        text.strip_prefix(KEY_PREFIX).filter(|rest| rest.len() >= MIN_LENGTH && text.len() <= MAX_BYTES);
    match rest {
        Some(rest) if rest.chars().all(is_key_char) => Ok(Digest::of(text)),
        _ => Err(AdminKeyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::reload::INTERVAL;

    use super::*;

    #[test]
    fn a_key_has_a_prefix_and_enough_characters() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let check = |text: &str, is_key: bool| {
            std::fs::write(&file, text).unwrap();
            assert_eq!(AdminKey::read(&file).is_ok(), is_key, "{text:?}");
        };
        let random = "A-b_".repeat(8);
        check(&format!("dfk_{random}"), true);
        check(&format!("  dfk_{random}\n"), true);
        check(&format!("dfk_{}", &random[1..]), false);
        check(&random, false);
        check(&format!("dfk_{random}\ndfk_{random}"), false);
        check(&format!("dfk_{random}="), false);
        check(&format!("dfk_{}", "x".repeat(MAX_BYTES)), false);
        check("", false);
        assert!(AdminKey::read(&directory.path().join("absent")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_changes_the_key_and_a_broken_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        let (first, second) = (format!("dfk_{}", "a".repeat(32)), format!("dfk_{}", "b".repeat(32)));
        std::fs::write(&file, &first).unwrap();
        let key = AdminKey::read(&file).unwrap();
        let following = tokio::spawn(key.clone().follow());
        let is = |presented: &str| key.caller(presented).is_some();
        assert!(is(&first) && !is(&second));
        std::fs::write(&file, "broken").unwrap();
        tokio::time::sleep(5 * INTERVAL).await;
        assert!(is(&first));
        std::fs::write(&file, &second).unwrap();
        while !is(&second) {
            tokio::time::sleep(INTERVAL).await;
        }
        assert!(!is(&first));
        following.abort();
    }
}
