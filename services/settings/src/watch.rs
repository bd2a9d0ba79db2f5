//! Watches settings that change at run time. The mounted directories and the file are polled every second, and a change
//! is debounced. inotify would gain little, because the kubelet takes up to a minute to propagate a change, and inotify
//! watches run out on a crowded node. Settings pushed by the config service arrive without polling.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::dynamic::{Current, Dynamic, Pushed};
use super::problem::Problems;
use super::resolve::Resolver;
use super::scan::Scan;
use super::setting::Setting;

/// Interval between two scans.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// Debounce time: a change is complete if it is unchanged for this long, because a writer may be between truncating and
/// writing.
const DEBOUNCE_TIME: Duration = Duration::from_millis(250);

/// The result of comparing a scan with the applied and the previous one.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    /// A change is in progress.
    Pending,
    /// The change is complete.
    Settled,
}

/// Debounces changes: the digests of the applied and of the last scan.
#[derive(Debug)]
struct Debounce {
    applied: u64,
    last: u64,
}

/// The input that the settings are computed from.
struct Snapshot {
    scan: Arc<Scan>,
    pushed: Arc<Pushed>,
}

/// Watches the sources until all receivers are dropped.
pub(super) fn follow(
    resolver: Resolver,
    settings: Vec<Setting>,
    scan: Scan,
    pushed: watch::Receiver<Pushed>,
) -> (watch::Receiver<Dynamic>, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = watch::channel(Dynamic::of(&settings));
    (receiver, run(Arc::new(resolver), settings, scan, pushed, sender))
}

async fn run(
    resolver: Arc<Resolver>,
    mut settings: Vec<Setting>,
    scan: Scan,
    mut pushed: watch::Receiver<Pushed>,
    sender: watch::Sender<Dynamic>,
) {
    let mut debounce = Debounce { applied: scan.digest, last: scan.digest };
    let mut applied = Snapshot { scan: Arc::new(scan), pushed: Arc::default() };
    let mut pause = SCAN_INTERVAL;
    loop {
        let snapshot = tokio::select! {
            () = sender.closed() => return,
            Ok(()) = pushed.changed() => {
                Snapshot { scan: Arc::clone(&applied.scan), pushed: Arc::new(pushed.borrow_and_update().clone()) }
            }
            () = tokio::time::sleep(pause), if resolver.locations.are_mounted() => {
                // On a blocking thread: a mounted directory may be slow.
                let scanning = Arc::clone(&resolver);
                // A panic is logged by the hook; the next scan may succeed.
                let Ok(scan) = spawn_blocking(move || scanning.locations.scan_once()).await else { continue };
                let change = debounce.next(scan.digest);
                pause = if change == Change::Pending { DEBOUNCE_TIME } else { SCAN_INTERVAL };
                if change != Change::Settled {
                    continue;
                }
                Snapshot { scan: Arc::new(scan), pushed: Arc::clone(&applied.pushed) }
            }
        };
        let (resolving, scan, pushed) =
            (Arc::clone(&resolver), Arc::clone(&snapshot.scan), Arc::clone(&snapshot.pushed));
        let Ok(resolved) = spawn_blocking(move || resolving.resolve(&scan, &pushed)).await else {
            tracing::warn!("settings: change rejected after a panic, the previous ones stay in effect");
            continue;
        };
        if resolved.problems.is_empty() {
            applied = snapshot;
            log_changes(&settings, &resolved.settings);
            settings = resolved.settings;
            let dynamic = Dynamic::of(&settings);
            sender.send_if_modified(|current| {
                let is_new = *current != dynamic;
                *current = dynamic;
                is_new
            });
        } else {
            let problems = Problems(resolved.problems);
            tracing::warn!(%problems, "settings: change rejected, the previous ones stay in effect");
        }
    }
}

/// Logs the changed settings, and which of them need a restart.
fn log_changes(before: &[Setting], after: &[Setting]) {
    let changed = before.iter().zip(after).filter(|(before, after)| before.text != after.text);
    let (now, after_restart): (Vec<_>, Vec<_>) = changed.partition(|(_, after)| after.dynamic);
    let joined = |changes: Vec<(&Setting, &Setting)>| {
        let texts =
            changes.iter().map(|(_, after)| format!("{} {} ({})", after.flag, after.shown(), after.source));
        texts.collect::<Vec<_>>().join("; ")
    };
    if !now.is_empty() {
        tracing::info!(settings = joined(now), "settings: changed");
    }
    if !after_restart.is_empty() {
        tracing::warn!(settings = joined(after_restart), "settings: changed, restart required");
    }
}

// === impl Dynamic ===

impl Dynamic {
    /// The dynamic settings among all settings.
    fn of(settings: &[Setting]) -> Self {
        let dynamic = settings.iter().filter(|setting| setting.dynamic && !setting.secret);
        let current = dynamic.map(|Setting { flag, text, source, .. }| {
            let current = Current { value: text.clone(), source: source.clone() };
            (flag.trim_start_matches('-').to_owned(), current)
        });
        Self { settings: current.collect() }
    }
}

// === impl Debounce ===

impl Debounce {
    fn next(&mut self, digest: u64) -> Change {
        let change = if digest == self.applied {
            Change::None
        } else if digest == self.last {
            self.applied = digest;
            Change::Settled
        } else {
            Change::Pending
        };
        self.last = digest;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_settled_after_two_equal_scans() {
        use Change::{None, Pending, Settled};
        let check = |seen: &[u64], expected: &[Change]| {
            let mut debounce = Debounce { applied: 0, last: 0 };
            let changes: Vec<_> = seen.iter().map(|digest| debounce.next(*digest)).collect();
            assert_eq!(changes, expected, "{seen:?}");
        };
        check(&[0, 0], &[None, None]);
        check(&[1, 1, 1], &[Pending, Settled, None]);
        check(&[1, 2, 2], &[Pending, Pending, Settled]);
        check(&[1, 0, 1, 1], &[Pending, None, Pending, Settled]);
        check(&[1, 1, 0, 0], &[Pending, Settled, Pending, Settled]);
    }
}
