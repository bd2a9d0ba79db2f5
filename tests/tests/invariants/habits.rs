//! Conventions that neither the compiler nor clippy checks: waiting in tests, notes in comments, the names of
//! environment variables.

use crate::Rule;
use crate::source::words;

/// The module with which tests poll for conditions that they cannot await, with a pause and a timeout.
pub(crate) const WAITS: &str = "tests/src/eventually.rs";

#[test]
fn tests_do_not_sleep_to_wait() {
    Rule {
        advice: "bind first and await health, a channel or the next message of a stream: a sleep is too short on a busy \
                 machine and too long on any other, and a yield loop takes CPU time from the code under test and has no \
                 timeout. Where nothing can be awaited, poll with `dataflow_tests::eventually`. If time itself is \
                 tested, use `#[tokio::test(start_paused = true)]` for every asynchronous test of the file.",
        violations: &|file| {
            if file.path == WAITS {
                return Vec::new();
            }
            let tests = file.code_without_tests().len();
            let yields = words(&file.code, "yield_now").into_iter().filter(|&at| at >= tests);
            let yields: Vec<_> = yields.map(|at| file.at(at, "yields")).collect();
            let attributes = file.code.lines().filter(|line| line.trim_start().starts_with("#[tokio::test"));
            let is_paused = attributes.clone().count() > 0 && attributes.clone().all(|line| line.contains("start_paused"));
            let asleep = words(&file.code, "sleep(").into_iter().filter(|&at| at >= tests);
            // A thread sleeps in real time, also while tokio's clock is paused.
            let asleep = asleep.filter(|&at| !is_paused || file.code[..at].ends_with("thread::"));
            asleep.map(|at| file.at(at, "sleeps")).chain(yields).collect()
        },
        right: &[
            ("a/tests/b.rs", "#[tokio::test(start_paused = true)]\nasync fn c() {\n    sleep(D).await\n}"),
            ("a/src/b.rs", "async fn c() {\n    tokio::time::sleep(D).await\n}"),
            ("a/src/b.rs", "async fn c() {\n    yield_now().await\n}\n#[cfg(test)]\nmod tests {}"),
            ("a/tests/b.rs", "async fn c() {\n    eventually(TIMEOUT, \"yield_now\", d).await\n}"),
            (WAITS, "fn eventually_blocking() {\n    thread::sleep(PAUSE)\n}"),
        ],
        wrong: &[
            ("a/tests/b.rs", "#[tokio::test]\nasync fn c() {\n    tokio::time::sleep(D).await\n}"),
            ("a/tests/b.rs", "async fn ready() {\n    tokio::time::sleep(D).await\n}"),
            ("a/tests/b.rs", "#[tokio::test(start_paused = true)]\nasync fn c() {\n    thread::sleep(D)\n}"),
            ("a/src/b.rs", "//! B.\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn c() {\n        sleep(D)\n    }\n}"),
            ("a/src/b/tests.rs", "async fn c() {\n    tokio::task::yield_now().await\n}"),
            ("a/src/b.rs", "//! B.\n#[cfg(test)]\nmod tests {\n    use std::thread::yield_now;\n}"),
            ("a/tests/b.rs", "#[tokio::test(start_paused = true)]\nasync fn c() {\n    yield_now().await\n}"),
            ("tests/src/eventual.rs", "fn eventually() {\n    thread::sleep(PAUSE)\n}"),
        ],
    }
    .check();
}

#[test]
fn services_observe_every_call_that_they_make() {
    const CHANNELS: [&str; 3] = ["Outbound::new(", "Outbound::forwarding(", "Outbound::watching("];
    // Commands are no services, and their calls have no metrics.
    let is_of_service = |path: &str| {
        let of_crate = ["gateway/src/", "services/analysis/", "services/cache/", "services/config/"];
        of_crate.iter().any(|start| path.starts_with(start)) || path.ends_with("/pushed_settings.rs")
    };
    Rule {
        advice: "add `.observed(&context.observer(PEER, SERVICES, FILE_DESCRIPTOR_SET))`: calls without it are not in \
                 `grpc_client_handled_total`, and the status does not say that the peer fails.",
        violations: &|file| {
            let code = file.code_without_tests();
            if !is_of_service(&file.path) || code.contains("observed(") {
                return Vec::new();
            }
            let made = CHANNELS.iter().flat_map(|channel| words(code, channel));
            made.map(|at| file.at(at, "calls that are not observed")).collect()
        },
        right: &[
            ("gateway/src/b.rs", "fn c() {\n    Outbound::new(a, D).observed(&o)\n}"),
            ("services/dataflow/src/b.rs", "fn c() {\n    Outbound::new(a, D)\n}"),
            ("gateway/src/b.rs", "//! B.\n#[cfg(test)]\nmod tests {\n    fn c() {\n        Outbound::new(a, D)\n    }\n}"),
        ],
        wrong: &[
            ("gateway/src/b.rs", "fn c() {\n    Outbound::new(a, D)\n}"),
            ("services/dataflow/src/pushed_settings.rs", "fn c() {\n    Outbound::watching(a)\n}"),
        ],
    }
    .check();
}

#[test]
fn every_todo_has_an_owner() {
    Rule {
        advice: "write `TODO(name): what and when`, so that it has an owner, or do it now, or open an issue.",
        violations: &|file| {
            let notes = ["TODO", "FIXME", "XXX"].into_iter().flat_map(|word| {
                let of_word = words(&file.comments, word).into_iter();
                of_word.filter(move |at| !is_owned(&file.comments[at + word.len()..]))
            });
            notes.map(|at| file.at(at, "a TODO without an owner")).collect()
        },
        right: &[("a/src/b.rs", "// TODO(ada): when c is.\nlet todo = \"TODO\";")],
        wrong: &[
            ("a/src/b.rs", "// TODO: when c is."),
            ("a/src/b.rs", "/* FIXME */"),
            ("a/src/b.rs", "/// TODO(): when c is."),
        ],
    }
    .check();
}

/// Whether a name in parentheses follows the word.
fn is_owned(after: &str) -> bool {
    let name = after.strip_prefix('(').and_then(|after| after.split_once(')'));
    name.is_some_and(|(name, _)| !name.trim().is_empty())
}

#[test]
fn every_flag_has_a_variable_with_our_prefix() {
    Rule {
        advice: "beside `long` write `env = \"DATAFLOW_...\"`: a pod is configured by its environment, and the prefix \
                 distinguishes our variables from others.",
        violations: &|file| {
            let flags = words(file.code_without_tests(), "#[arg(").into_iter();
            let stray = flags.filter_map(|at| {
                let attribute = file.code[at..].split(")]").next().unwrap_or_default();
                let Some(&variable) = words(attribute, "env =").first() else {
                    // The binary's own flags are for one-off commands too, which no manifest sets; a test of its
                    // command line tells them apart.
                    let is_for_pods = !file.is_in("services/dataflow");
                    let is_flag = !words(attribute, "long").is_empty();
                    return (is_flag && is_for_pods).then(|| file.at(at, "a flag without a variable"));
                };
                let name = file.text[at + variable..].trim_start_matches("env =").trim_start();
                (!name.starts_with("\"DATAFLOW_")).then(|| file.at(at, "a variable without our prefix"))
            });
            stray.collect()
        },
        right: &[
            ("a/src/args.rs", "#[arg(long, env = \"DATAFLOW_B\")]\nb: u8,\n#[command(flatten)]\nc: C,"),
            ("a/src/env.rs", "let env = std::env::var(\"HOME\");\nCommand::new(b).arg(long)"),
            ("services/dataflow/src/bench.rs", "#[arg(long)]\nb: u8,"),
        ],
        wrong: &[
            ("a/src/args.rs", "#[arg(long, env = \"B\")]\nb: u8,"),
            ("a/src/args.rs", "#[arg(long, env)]\nb: u8,"),
            ("a/src/args.rs", "#[arg(long = \"c\", default_value = \"1\")]\nb: u8,"),
        ],
    }
    .check();
}

#[test]
fn background_tasks_are_supervised() {
    Rule {
        advice: "make it a `dataflow_mesh::tasks::Task`, which has a name and declares what its end means, and hand it to \
                 the role's `Capability` or the process's `Tasks`; what must be finished although its owner is gone is \
                 `Task::logged(...).detach()`. A bare task that panics is lost silently.",
        violations: &|file| {
            // The supervisor itself, what serves one connection or stream, and commands that end.
            let supervised = [
                "mesh/src/tasks.rs",
                "mesh/src/panics.rs",
                "mesh/src/deadline_watchdog.rs",
                "mesh/src/telemetry.rs",
                // Connections to peers, and request bodies on their way there.
                "mesh/src/outbound/channel.rs",
                "mesh/src/outbound/connection.rs",
                "mesh/src/outbound/upload.rs",
                // It depends on no crate of ours, and takes a panic for a change that is rejected.
                "services/settings/src/watch.rs",
                // Its subtasks catch panics, which become those of the task itself.
                "services/store/src/redis/watch.rs",
                "services/dataflow",
                "tests",
            ];
            if supervised.iter().any(|place| file.is_in(place)) {
                return Vec::new();
            }
            let code = file.code_without_tests();
            let bare = ["tokio::spawn", "task::spawn", "task::spawn_blocking", "task::JoinSet"];
            let spawned = bare.iter().flat_map(|word| words(code, word));
            spawned.map(|at| file.at(at, "an unsupervised task")).collect()
        },
        right: &[("mesh/src/tasks.rs", "tokio::spawn(a)"), ("a/src/b.rs", "tasks.spawn(Task::essential(\"c\", d));")],
        wrong: &[
            ("services/cache/src/l1.rs", "tokio::spawn(a)"),
            ("services/cache/src/l1.rs", "tokio::task::spawn_blocking(a)"),
            ("services/cache/src/l1.rs", "use tokio::task::JoinSet;"),
        ],
    }
    .check();
}

#[test]
fn commands_print_through_one_place() {
    Rule {
        advice: "write to `terminal::stdout()` or `terminal::stderr()`: they remove what controls a terminal from texts \
                 that others wrote.",
        violations: &|file| {
            if !file.is_in("services/dataflow/src") || file.is_in("services/dataflow/src/terminal.rs") {
                return Vec::new();
            }
            let streams =
                ["io::stdout().write_all", "(io::stdout()", "io::stdout().lock", "(io::stderr()", "println!("];
            let found = streams.iter().flat_map(|stream| words(file.code_without_tests(), stream));
            found.map(|at| file.at(at, "output past the filter")).collect()
        },
        right: &[
            ("services/dataflow/src/b.rs", "writeln!(terminal::stdout(), \"c\")?; io::stderr().is_terminal()"),
            ("services/dataflow/src/terminal.rs", "Printed::new(io::stdout().lock())"),
        ],
        wrong: &[
            ("services/dataflow/src/b.rs", "writeln!(io::stdout(), \"c\")?;"),
            ("services/dataflow/src/b.rs", "println!(\"c\");"),
            ("services/dataflow/src/b.rs", "io::stdout().write_all(b)?;"),
        ],
    }
    .check();
}
