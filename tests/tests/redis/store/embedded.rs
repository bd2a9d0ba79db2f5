//! What only a store within the process has to stand: its process dying at any moment, and another one that wants the
//! same directory.

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

/// Says to the test [`victim`] that it is one, and where its state is.
const VICTIM: &str = "STORE_VICTIM";

/// How often a victim is killed: in one directory after another, of which several are in use at the same time. What is
/// written in a directory is looked through on each start.
const KILLS: usize = 100;
const KILLS_IN_ONE: usize = 10;
const LANES: usize = 2;

/// How many a victim writes at the same time: some of them share a commit.
const WRITERS: usize = 8;

/// Values take from a few bytes to several pages.
const SIZES: RangeInclusive<usize> = 8..=9_000;

#[tokio::test(flavor = "multi_thread")]
async fn state_is_there_when_the_directory_is_opened_again() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("state");
    let (kept, short, forgotten, log) =
        (LASTING.key("kept"), LASTING.key("short"), VOLATILE.key("forgotten"), LASTING.key("log"));
    for round in 1..=3 {
        let store = reopen(&directory).await;
        if round > 1 {
            assert_eq!(text(&*store, &kept).await, Some((round - 1).to_string()));
        }
        assert_eq!(get(&*store, &forgotten).await, None, "a cache begins empty");
        assert_eq!(store.read(&log, 0, 10).await.unwrap().len(), round - 1);
        let before = set(&*store, &kept, &round.to_string()).await;
        set(&*store, &forgotten, "x").await;
        store.append(&log, &round.to_string(), Bytes::new()).await.unwrap();
        store.set(&short, Bytes::new(), Some(Duration::from_millis(1)), Condition::Always).await.unwrap();
        drop(store);
        let store = reopen(&directory).await;
        assert_eq!(get(&*store, &kept).await.unwrap().revision, before);
        eventually(TIMEOUT, "time passes also while nobody looks", async || {
            get(&*store, &short).await.is_none()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_held_names_its_holder() {
    let directory = TempDir::new().unwrap();
    let mut victim = Victim::start(directory.path());
    assert!(victim.next(TIMEOUT).is_some(), "it writes");
    let refused = try_open(&[], Some(directory.path()), &Process::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Embedded(embedded::OpenError::Held { .. })), "{refused:?}");
    let expected = format!("{} is held by process {}", directory.path().display(), victim.child.id());
    assert!(refused.to_string().ends_with(&expected), "{refused}");
    victim.kill();
    // Whoever dies holds nothing, however it died.
    reopen(directory.path()).await;
}

#[test]
fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    let begun = Instant::now();
    let lane = || (0..KILLS / KILLS_IN_ONE / LANES).map(|_| kill_again_and_again()).collect::<Vec<_>>();
    let lanes = [(); LANES].map(|()| thread::spawn(lane));
    let acknowledged = lanes.map(|lane| lane.join().unwrap()).concat();
    let total: usize = acknowledged.iter().sum();
    println!("{KILLS} kills, {total} acknowledgements, {:?}", begun.elapsed());
    assert!(total > 10 * KILLS, "{acknowledged:?}");
}

/// Kills victims in one directory; how many writes they had acknowledged in all.
fn kill_again_and_again() -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = TempDir::new().unwrap();
    let mut known = Known::default();
    for index in 0..KILLS_IN_ONE {
        let mut victim = Victim::start(directory.path());
        // The first ones die while they make their state or open what is left of it, the others somewhere in their
        // work.
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
        runtime.block_on(async { known.is_there(&*reopen(directory.path()).await).await });
    }
    known.count
}

/// Opens a directory that nobody should hold any more. Other tests start processes meanwhile, and until such a one runs
/// its own program it has a copy of every file that this one had open, the lock of a store that was just dropped too.
async fn reopen(directory: &Path) -> Arc<dyn Store> {
    let mut opened = None;
    eventually(TIMEOUT, "nobody holds the directory", async || {
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

/// What was acknowledged.
#[derive(Default)]
struct Known {
    /// The seed of the value that was last acknowledged under each key. Each key has one writer, whose seeds grow.
    entries: HashMap<String, u64>,
    /// The seed of each record.
    records: HashMap<u64, u64>,
    count: usize,
}

// === impl Known ===

impl Known {
    fn acknowledged(&mut self, line: &str) {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line:?} is half a line"));
        let (kind, place, seed) = (word(), word(), word().parse().unwrap());
        match kind {
            "entry" => drop(self.entries.insert(place.to_owned(), seed)),
            "record" => drop(self.records.insert(place.parse().unwrap(), seed)),
            other => panic!("{other:?} is not acknowledged"),
        }
        self.count += 1;
    }

    /// Whatever was acknowledged is there, and all that is there is whole.
    async fn is_there(&mut self, store: &dyn Store) {
        let names = store.list(LASTING, "", None).await.unwrap().keys;
        assert!(self.entries.keys().all(|name| names.contains(&LASTING.key(name))), "entries are lost");
        for key in names {
            let seed =
                seed(&get(store, &key).await.unwrap().value).unwrap_or_else(|| panic!("{key} is torn"));
            // What was under way when the process died may have been done.
            let known = self.entries.insert(key.name.clone(), seed);
            assert!(known <= Some(seed), "{key}: {known:?} was acknowledged, {seed} is there");
        }
        let records = store.read(&log(), 0, 1_000_000).await.unwrap();
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

/// This very test in a process of its own, as [`victim`].
struct Victim {
    child: Child,
    /// What it acknowledges, line by line.
    lines: Receiver<String>,
}

// === impl Victim ===

impl Victim {
    fn start(directory: &Path) -> Self {
        // As the harness names it: without the crate.
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("{module}::victim"), "--nocapture"]).env(VICTIM, directory);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            // What has no end is no acknowledgement. The test's own words come first.
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

    /// The next acknowledgement, if there is one in this time and before its end.
    fn next(&mut self, time: Duration) -> Option<String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                assert!(time < TIMEOUT, "it neither writes nor ends");
                None
            }
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        let code = binary::code(self.child.wait().unwrap());
        assert_eq!(code, 128 + 9, "it had ended by itself");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Already gone unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test, but what the others kill: writes until it is killed, and says what is acknowledged.
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

/// Writes an entry under one of the writer's keys, or a record, and says so.
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
    // In one piece, or a kill might leave half a line; not by `print!`, which a test's harness may hold back.
    io::stdout().lock().write_all(line.as_bytes())
}

fn log() -> Key {
    LASTING.key("log")
}

/// Growing over all victims: nanoseconds since 1970.
fn next_seed() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    now.as_nanos().try_into().unwrap()
}

/// A value of which every byte follows from the seed that it begins with.
fn value(seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut value = vec![0; random.usize(SIZES)];
    random.fill(&mut value[8..]);
    value[..8].copy_from_slice(&seed.to_le_bytes());
    value.into()
}

/// The seed of a value; none if it is not whole.
fn seed(found: &Bytes) -> Option<u64> {
    let seed = u64::from_le_bytes(*found.first_chunk()?);
    (value(seed) == found).then_some(seed)
}

/// A value that is torn would be noticed.
#[test]
fn a_value_is_whole_or_it_is_not() {
    let whole = value(7);
    assert_eq!(seed(&whole), Some(7));
    let mut torn = whole.to_vec();
    *torn.last_mut().unwrap() ^= 1;
    for torn in [Bytes::from(torn), whole.slice(..whole.len() - 1), Bytes::new()] {
        assert_eq!(seed(&torn), None);
    }
    eventually_blocking(TIMEOUT, "a later seed is greater", || next_seed() < next_seed());
}
