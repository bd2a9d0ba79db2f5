//! Reads files again while the process runs: Kubernetes replaces those of a mounted Secret when it is rotated. They are
//! polled, as the files of settings are.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::panics::spawn_blocking;

/// How often files are read.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Replaces `current` whenever `read` has another value, without end. While `read` fails, the last value stays in use,
/// and each new error is logged, with `file`.
pub async fn follow<T, E>(
    file: &Path,
    current: &ArcSwap<T>,
    read: impl Fn() -> Result<T, E> + Clone + Send + 'static,
) where
    T: PartialEq + Send + Sync + 'static,
    E: Display + Send + 'static,
{
    let file = file.display();
    let mut failed = None;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let read = read.clone();
        // A mounted directory may be slow.
        match spawn_blocking(move || read().map_err(|error| error.to_string())).await {
            Ok(new) => {
                failed = None;
                if new != **current.load() {
                    current.store(Arc::new(new));
                    tracing::info!(%file, "reload: the changed file is in use");
                }
            }
            Err(error) => {
                if failed.as_ref() != Some(&error) {
                    tracing::warn!(%file, error, "reload: the file cannot be used, its last content stays in use");
                }
                failed = Some(error);
            }
        }
    }
}
