//! Settings that change while the process runs. The mounted directories and the file are looked at every second: kubelet
//! takes up to a minute to bring a change, so that a notification of the kernel's would gain nothing that counts, and
//! those run out on a crowded node. What the config service pushes comes by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::dynamic::{Dynamic, Held, Pushed};
use super::look::Look;
use super::problem::Problems;
use super::resolve::{Resolver, Setting};

/// How long between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a change must have lasted to be taken for whole, since a writer may be between truncating and writing.
const SETTLED: Duration = Duration::from_millis(250);

/// What one look tells of the one before.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    None,
    /// Something is going on.
    Begun,
    /// It is over.
    Settled,
}

/// The digests of what holds and of what was seen last.
#[derive(Debug)]
struct Looks {
    holds: u64,
    last: u64,
}

/// All that settings follow from.
struct Said {
    look: Arc<Look>,
    pushed: Arc<Pushed>,
}

/// Follows the layers in the background, for as long as anybody listens.
pub(super) fn spawn(
    resolver: Resolver,
    settings: Vec<Setting>,
    look: Look,
    pushed: watch::Receiver<Pushed>,
) -> watch::Receiver<Dynamic> {
    let (sender, receiver) = watch::channel(Dynamic::of(&settings));
    tokio::spawn(follow(Arc::new(resolver), settings, look, pushed, sender));
    receiver
}

async fn follow(
    resolver: Arc<Resolver>,
    mut settings: Vec<Setting>,
    look: Look,
    mut pushed: watch::Receiver<Pushed>,
    sender: watch::Sender<Dynamic>,
) {
    let mut looks = Looks { holds: look.digest, last: look.digest };
    let mut good = Said { look: Arc::new(look), pushed: Arc::default() };
    let mut pause = PERIOD;
    loop {
        let said = tokio::select! {
            () = sender.closed() => return,
            Ok(()) = pushed.changed() => {
                Said { look: Arc::clone(&good.look), pushed: Arc::new(pushed.borrow_and_update().clone()) }
            }
            () = tokio::time::sleep(pause), if resolver.layers.are_mounted() => {
                // Off the runtime's threads: a mounted directory may be slow.
                let looking = Arc::clone(&resolver);
                let Ok(look) = spawn_blocking(move || looking.layers.look_once()).await else { return };
                let change = looks.next(look.digest);
                pause = if change == Change::Begun { SETTLED } else { PERIOD };
                if change != Change::Settled {
                    continue;
                }
                Said { look: Arc::new(look), pushed: Arc::clone(&good.pushed) }
            }
        };
        let (resolving, look, pushed) =
            (Arc::clone(&resolver), Arc::clone(&said.look), Arc::clone(&said.pushed));
        let Ok(resolved) = spawn_blocking(move || resolving.resolve(&look, &pushed)).await else { return };
        if resolved.problems.is_empty() {
            good = said;
            tell(&settings, &resolved.settings);
            settings = resolved.settings;
            let dynamic = Dynamic::of(&settings);
            sender.send_if_modified(|held| {
                let is_new = *held != dynamic;
                *held = dynamic;
                is_new
            });
        } else {
            let problems = Problems(resolved.problems);
            tracing::warn!(%problems, "settings that changed are wrong; those that held before still do");
        }
    }
}

/// Tells the log what changed, and what of it must wait.
fn tell(before: &[Setting], after: &[Setting]) {
    let changed = before.iter().zip(after).filter(|(before, after)| before.text != after.text);
    let (now, later): (Vec<_>, Vec<_>) = changed.partition(|(_, after)| after.dynamic);
    let told = |changes: Vec<(&Setting, &Setting)>| {
        let texts =
            changes.iter().map(|(_, after)| format!("{} {} ({})", after.flag, after.shown(), after.source));
        texts.collect::<Vec<_>>().join("; ")
    };
    if !now.is_empty() {
        tracing::info!(settings = told(now), "settings changed");
    }
    if !later.is_empty() {
        tracing::warn!(settings = told(later), "settings changed that hold after a restart only");
    }
}

// === impl Dynamic ===

impl Dynamic {
    /// The dynamic ones of all settings.
    fn of(settings: &[Setting]) -> Self {
        let dynamic = settings.iter().filter(|setting| setting.dynamic && !setting.secret);
        let held = dynamic.map(|Setting { flag, text, source, .. }| {
            let held = Held { value: text.clone(), source: source.clone() };
            (flag.trim_start_matches('-').to_owned(), held)
        });
        Self { settings: held.collect() }
    }
}

// === impl Looks ===

impl Looks {
    fn next(&mut self, digest: u64) -> Change {
        let change = if digest == self.holds {
            Change::None
        } else if digest == self.last {
            self.holds = digest;
            Change::Settled
        } else {
            Change::Begun
        };
        self.last = digest;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_two_looks_agree_on_it() {
        use Change::{Begun, None, Settled};
        let check = |seen: &[u64], expected: &[Change]| {
            let mut looks = Looks { holds: 0, last: 0 };
            let changes: Vec<_> = seen.iter().map(|digest| looks.next(*digest)).collect();
            assert_eq!(changes, expected, "{seen:?}");
        };
        check(&[0, 0], &[None, None]);
        check(&[1, 1, 1], &[Begun, Settled, None]);
        check(&[1, 2, 2], &[Begun, Begun, Settled]);
        check(&[1, 0, 1, 1], &[Begun, None, Begun, Settled]);
        check(&[1, 1, 0, 0], &[Begun, Settled, Begun, Settled]);
    }
}
