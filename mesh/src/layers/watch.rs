//! Settings that change while the process runs. The mounted directories and the file are looked at every second: kubelet
//! takes up to a minute to bring a change, so that a notification of the kernel's would gain nothing that counts, and
//! those run out on a crowded node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::problem::Problems;
use super::resolve::{Resolver, Setting};

/// How long between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a change must have lasted to be taken for whole, since a writer may be between truncating and writing.
const SETTLED: Duration = Duration::from_millis(250);

/// The settings that hold from now on without a restart. They are not masked: no secret should be made dynamic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// Counts the changes, from 1.
    pub revision: u64,
    /// The value of each flag, by its name without dashes before it, as it would be typed. Each is one that the flag takes.
    pub values: BTreeMap<String, String>,
}

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

/// Follows the layers in the background, for as long as anybody listens.
pub(super) fn spawn(
    resolver: Arc<Resolver>,
    settings: Vec<Setting>,
    digest: u64,
    flags: &[&str],
) -> watch::Receiver<Dynamic> {
    let flags: Vec<_> = flags.iter().map(|flag| format!("--{flag}")).collect();
    let dynamic = Dynamic { revision: 1, values: values(&settings, &flags) };
    let (sender, receiver) = watch::channel(dynamic);
    tokio::spawn(follow(resolver, settings, Looks { holds: digest, last: digest }, flags, sender));
    receiver
}

async fn follow(
    resolver: Arc<Resolver>,
    mut settings: Vec<Setting>,
    mut looks: Looks,
    flags: Vec<String>,
    sender: watch::Sender<Dynamic>,
) {
    if !resolver.layers.are_mounted() {
        return sender.closed().await;
    }
    let mut pause = PERIOD;
    loop {
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        // Off the runtime's threads: a mounted directory may be slow.
        let looking = Arc::clone(&resolver);
        let Ok(look) = spawn_blocking(move || looking.layers.look_once()).await else { return };
        let change = looks.next(look.digest);
        pause = if change == Change::Begun { SETTLED } else { PERIOD };
        if change != Change::Settled {
            continue;
        }
        let resolving = Arc::clone(&resolver);
        let Ok(resolved) = spawn_blocking(move || resolving.resolve(&look)).await else { return };
        if resolved.problems.is_empty() {
            tell(&settings, &resolved.settings, &flags);
            settings = resolved.settings;
            let values = values(&settings, &flags);
            sender.send_if_modified(|dynamic| {
                let is_new = dynamic.values != values;
                if is_new {
                    *dynamic = Dynamic { revision: dynamic.revision + 1, values };
                }
                is_new
            });
        } else {
            let problems = Problems(resolved.problems);
            tracing::warn!(%problems, "settings that changed are wrong; those that held before still do");
        }
    }
}

fn values(settings: &[Setting], flags: &[String]) -> BTreeMap<String, String> {
    let dynamic = settings.iter().filter(|setting| flags.contains(&setting.flag));
    dynamic.map(|setting| (setting.flag.trim_start_matches('-').to_owned(), setting.text.clone())).collect()
}

/// Tells the log what changed, and what of it must wait.
fn tell(before: &[Setting], after: &[Setting], flags: &[String]) {
    let changed = before.iter().zip(after).filter(|(before, after)| before.text != after.text);
    let (now, later): (Vec<_>, Vec<_>) = changed.partition(|(_, after)| flags.contains(&after.flag));
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
