//! Tests of the embedded store: its process is killed at any moment, and another process opens the same directory.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dataflow_mesh::process::Process;
use dataflow_store::Store;
use dataflow_store::args::OpenError;
use dataflow_store::embedded;
use dataflow_store::entries::Condition;
use dataflow_store::key::Key;
use dataflow_tests::binary;
use dataflow_tests::eventually::{TIMEOUT, eventually, eventually_blocking};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::backend::{LASTING, VOLATILE, get, set, text, try_open};
use super::logs::all;

/// The variable that enables the test [`victim`] and contains its directory.
const VICTIM: &str = "STORE_VICTIM";

/// Number of kills: several per directory, with several directories at the same time. The state of a directory is
/// checked at each start.
const KILLS: usize = 100;
const KILLS_IN_ONE: usize = 10;
const WORKERS: usize = 2;

/// Concurrent writers of a victim: some of their writes share a commit.
const WRITERS: usize = 8;

/// Sizes of values, from a few bytes to several pages.
const SIZES: RangeInclusive<usize> = 8..=9_000;

#[tokio::test(flavor = "multi_thread")]
async fn state_survives_reopening_the_directory() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("state");
    let (kept, short, forgotten, log) =
        (LASTING.key("kept"), LASTING.key("short"), VOLATILE.key("forgotten"), LASTING.key("log"));
    for round in 1..=3 {
        let store = reopen(&directory).await;
        if round > 1 {
            assert_eq!(text(&*store, &kept).await, Some((round - 1).to_string()));
        }
        assert_eq!(get(&*store, &forgotten).await, None, "volatile state is lost");
        assert_eq!(store.read(&log, 0, 10).await.unwrap().len(), round - 1);
        let before = set(&*store, &kept, &round.to_string()).await;
        set(&*store, &forgotten, "x").await;
        store.append(&log, &round.to_string(), Bytes::new()).await.unwrap();
        store.set(&short, Bytes::new(), Some(Duration::from_millis(1)), Condition::Always).await.unwrap();
        drop(store);
        let store = reopen(&directory).await;
        assert_eq!(get(&*store, &kept).await.unwrap().revision, before);
        eventually(TIMEOUT, "the entry expires without reads", async || get(&*store, &short).await.is_none())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_the_process_that_uses_the_directory() {
    let directory = TempDir::new().unwrap();
    let mut victim = Victim::start(directory.path());
    assert!(victim.next(TIMEOUT).is_some(), "it writes");
    let refused = try_open(&[], Some(directory.path()), &Process::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Embedded(embedded::OpenError::Held { .. })), "{refused:?}");
    let expected = format!("{} is in use by process {}", directory.path().display(), victim.child.id());
    assert!(refused.to_string().ends_with(&expected), "{refused}");
    victim.kill();
    // A dead process holds no lock, however it died.
    reopen(directory.path()).await;
}

#[test]
fn acknowledged_writes_survive_a_kill_at_any_moment() {
    let begun = Instant::now();
    let lane = || (0..KILLS / KILLS_IN_ONE / WORKERS).map(|_| kill_repeatedly()).collect::<Vec<_>>();
    let lanes = [(); WORKERS].map(|()| thread::spawn(lane));
    let acknowledged = lanes.map(|lane| lane.join().unwrap()).concat();
    let total: usize = acknowledged.iter().sum();
    println!("{KILLS} kills, {total} acknowledgements, {:?}", begun.elapsed());
    assert!(total > 10 * KILLS, "{acknowledged:?}");
}

/// Kills victims in one directory and returns the total number of acknowledged writes.
fn kill_repeatedly() -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = TempDir::new().unwrap();
    let mut known = Acknowledged::default();
    for index in 0..KILLS_IN_ONE {
        let mut victim = Victim::start(directory.path());
        // The first ones die while they create or recover their state, the others during writes.
        let (acknowledgements, time) = if index < KILLS_IN_ONE / 4 {
            (0, Duration::from_millis(fastrand::u64(..100)))
        } else {
            (fastrand::usize(1..80), Duration::from_micros(fastrand::u64(..5_000)))
        };
        for _ in 0..acknowledgements {
            known.acknowledged(&victim.next(TIMEOUT).expect("it writes until it is killed"));
        }
        let end = Instant::now() + time;
        while let Some(line) = victim.next(end.saturating_duration_since(Instant::now())) {
            known.acknowledged(&line);
        }
        victim.kill();
        while let Some(line) = victim.next(TIMEOUT) {
            known.acknowledged(&line);
        }
        runtime.block_on(async { known.check(&*reopen(directory.path()).await).await });
    }
    known.count
}

/// Opens a directory whose store was dropped. Other tests may be forking processes, and between fork and exec a child
/// has copies of all open files, including the lock of that store.
async fn reopen(directory: &Path) -> Arc<dyn Store> {
    let mut opened = None;
    eventually(TIMEOUT, "the directory is unlocked", async || {
        match try_open(&[], Some(directory), &Process::default()) {
            Ok(store) => opened = Some(store),
            Err(OpenError::Embedded(embedded::OpenError::Held { .. })) => {}
            Err(other) => panic!("{other}: {other:?}"),
        }
        opened.is_some()
    })
    .await;
    opened.unwrap()
}

/// The acknowledged writes.
#[derive(Default)]
struct Acknowledged {
    /// The seed of the last acknowledged value of each key. Each key has one writer, whose seeds increase.
    entries: HashMap<String, u64>,
    /// The seed of each record.
    records: HashMap<u64, u64>,
    count: usize,
}

// === impl Acknowledged ===

impl Acknowledged {
    fn acknowledged(&mut self, line: &str) {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("incomplete line {line:?}"));
        let (kind, place, seed) = (word(), word(), word().parse().unwrap());
        match kind {
            "entry" => drop(self.entries.insert(place.to_owned(), seed)),
            "record" => drop(self.records.insert(place.parse().unwrap(), seed)),
            other => panic!("unexpected acknowledgement {other:?}"),
        }
        self.count += 1;
    }

    /// Checks that all acknowledged writes exist and all values are complete.
    async fn check(&mut self, store: &dyn Store) {
        let names = store.list(LASTING, "", None).await.unwrap().keys;
        assert!(self.entries.keys().all(|name| names.contains(&LASTING.key(name))), "entries are lost");
        for key in names {
            let seed =
                seed(&get(store, &key).await.unwrap().value).unwrap_or_else(|| panic!("{key} is torn"));
            // A write in flight at the kill may have been applied.
            let known = self.entries.insert(key.name.clone(), seed);
            assert!(known <= Some(seed), "{key}: {known:?} was acknowledged, {seed} is there");
        }
        let records = all(store, &log()).await;
        assert!(
            records.iter().map(|record| record.position).eq(1..=records.len() as u64),
            "the log has gaps"
        );
        for (position, known) in &self.records {
            let record =
                records.get(*position as usize - 1).unwrap_or_else(|| panic!("record {position} is lost"));
            assert_eq!(seed(&record.value), Some(*known), "record {position}");
        }
        assert!(records.iter().all(|record| seed(&record.value).is_some()), "a record is torn");
    }
}

/// This test executable as a separate process that runs [`victim`].
struct Victim {
    child: Child,
    /// Its acknowledgements, one per line.
    lines: Receiver<String>,
}

// === impl Victim ===

impl Victim {
    fn start(directory: &Path) -> Self {
        // The name in the test harness: without the crate.
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("{module}::victim"), "--nocapture"]).env(VICTIM, directory);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // An incomplete line is not an acknowledgement. The output of the harness comes first.
            while output.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
                let is_ours = line.starts_with("entry ") || line.starts_with("record ");
                if is_ours && sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { child, lines }
    }

    /// The next acknowledgement, if one arrives within this time.
    fn next(&mut self, time: Duration) -> Option<String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                assert!(time < TIMEOUT, "it neither writes nor exits");
                None
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        let code = binary::code(self.child.wait().unwrap());
        assert_eq!(code, 128 + 9, "it had exited by itself");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It has already exited unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test by itself: the process that other tests kill. It writes until it is killed and prints acknowledgements.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else { return };
    println!();
    let store = reopen(Path::new(&directory)).await;
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move { while write(&*store, writer).await.is_ok() {} })
    });
    join_all(writers).await;
}

/// Writes an entry under one of the writer's keys, or a record, and prints the acknowledgement.
async fn write(store: &dyn Store, writer: usize) -> io::Result<()> {
    let seed = next_seed();
    let line = if fastrand::bool() {
        let key = LASTING.key(format!("{writer}/{}", fastrand::u8(..20)));
        store.set(&key, value(seed), None, Condition::Always).await.unwrap();
        format!("entry {} {seed}\n", key.name)
    } else {
        let position = store.append(&log(), &seed.to_string(), value(seed)).await.unwrap();
        format!("record {position} {seed}\n")
    };
    // In one write, since a kill might leave a partial line; not with `print!`, which the test harness may capture.
    io::stdout().lock().write_all(line.as_bytes())
}

fn log() -> Key {
    LASTING.key("log")
}

/// Increases over all victims: nanoseconds since 1970.
fn next_seed() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    now.as_nanos().try_into().unwrap()
}

/// A value that begins with a seed, from which all other bytes are derived.
fn value(seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut value = vec![0; random.usize(SIZES)];
    random.fill(&mut value[8..]);
    value[..8].copy_from_slice(&seed.to_le_bytes());
    value.into()
}

/// The seed of a value; none if it is torn.
fn seed(found: &Bytes) -> Option<u64> {
    let seed = u64::from_le_bytes(*found.first_chunk()?);
    (value(seed) == found).then_some(seed)
}

/// Torn values are detected.
#[test]
fn a_torn_value_is_detected() {
    let whole = value(7);
    assert_eq!(seed(&whole), Some(7));
    let mut torn = whole.to_vec();
    *torn.last_mut().unwrap() ^= 1;
    for torn in [Bytes::from(torn), whole.slice(..whole.len() - 1), Bytes::new()] {
        assert_eq!(seed(&torn), None);
    }
    eventually_blocking(TIMEOUT, "a later seed is greater", || next_seed() < next_seed());
}
