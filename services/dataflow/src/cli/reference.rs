//! Keeps `docs/flags.md` up to date. The text between the page's marks is generated from clap's command tree and from
//! the exit statuses; the prose around it is written by hand.

use std::ffi::OsStr;
use std::fmt::Write;
use std::{env, fs};

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory};
use dataflow_settings::DYNAMIC;

use super::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/flags.md");

/// The source file that declares the exit statuses and their meanings.
const EXIT: &str = include_str!("../exit.rs");

#[test]
fn the_page_lists_all_flags_and_exit_statuses() {
    let page = fs::read_to_string(PAGE).unwrap();
    let commands = Leaf::all(&Cli::command());
    let expected = between_marks(&page, "commands", &commands_section(&commands));
    let expected = between_marks(&expected, "exit statuses", &statuses_section(EXIT));
    if env::var_os("UPDATE").is_some() && page != expected {
        fs::write(PAGE, &expected).unwrap();
    } else if page != expected {
        let stale = page.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
        panic!("docs/flags.md is out of date: run `UPDATE=1 cargo test -p dataflow --bins cli`\n{stale:#?}");
    }
    for kind in commands.iter().flat_map(|command| &command.rows).flat_map(|row| &row.values) {
        assert!(
            expected.contains(&format!("\n| `{kind}` | ")),
            "docs/flags.md does not explain the value {kind}"
        );
    }
}

/// A command without subcommands, or one that also works without naming one.
struct Leaf {
    /// Its words after `dataflow`.
    name: String,
    about: String,
    rows: Vec<Row>,
}

/// A flag or an argument, as one line of a table.
#[derive(PartialEq, Eq)]
struct Row {
    /// Its name, as it is written: `--out`, or `FILE` of an argument.
    name: String,
    /// The kinds of value that it takes: `FILE`, `DURATION`.
    values: Vec<String>,
    line: String,
}

// === impl Leaf ===

impl Leaf {
    fn all(command: &Command) -> Vec<Self> {
        let mut leaves = Vec::new();
        for command in command.get_subcommands() {
            let name = command.get_name();
            if !command.has_subcommands() || command.get_arguments().next().is_some() {
                let about = sentence(command.get_about());
                let rows = command.get_arguments().map(Row::new).collect();
                leaves.push(Self { name: name.to_owned(), about, rows });
            }
            let below = Self::all(command).into_iter();
            leaves.extend(below.map(|leaf| Self { name: format!("{name} {}", leaf.name), ..leaf }));
        }
        leaves
    }
}

// === impl Row ===

impl Row {
    fn new(arg: &Arg) -> Self {
        let is_flag = !arg.is_positional() && !arg.get_action().takes_values();
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let value = value.filter(|_| !is_flag).unwrap_or_default();
        let written = arg.get_long().map_or_else(String::new, |long| format!("--{long} "));
        let variable = arg.get_env().map(code).unwrap_or_default();
        let defaults: Vec<_> = arg.get_default_values().iter().map(|value| code(value.as_os_str())).collect();
        let default = match defaults.as_slice() {
            [] if arg.is_required_set() => "required".to_owned(),
            [] if is_flag => code("false"),
            defaults => defaults.join(", "),
        };
        let flag = code(format!("{written}{value}"));
        let meaning = meaning(arg);
        let line = format!("| {flag} | {variable} | {default} | {} |", meaning.replace('|', "\\|"));
        let is_kind = |part: &&str| part.bytes().all(|byte| byte.is_ascii_uppercase());
        let values = value.split('|').filter(|part| !part.is_empty()).filter(is_kind).map(str::to_owned);
        let name = if written.is_empty() { value.clone() } else { written.trim_end().to_owned() };
        Self { name, values: values.collect(), line }
    }
}

/// The help text, followed by the possible values and their help texts.
fn meaning(arg: &Arg) -> String {
    let mut meaning = sentence(arg.get_long_help().or(arg.get_help()));
    let mut values = arg.get_possible_values();
    values.retain(|value| !value.is_hide_set());
    let (documented, bare): (Vec<_>, Vec<_>) = values.iter().partition(|value| value.get_help().is_some());
    for value in documented {
        write!(meaning, " {}: {}", code(value.get_name()), sentence(value.get_help())).unwrap();
    }
    if !bare.is_empty() {
        let names: Vec<_> = bare.iter().map(|value| code(value.get_name())).collect();
        if arg.get_action().takes_values() {
            write!(meaning, " One of {}.", names.join(" or ")).unwrap();
        } else if arg.get_env().is_some() {
            meaning
                .push_str(" The variable is false if it is empty, `0`, `false`, `no` or `off`, else true.");
        }
    }
    if arg.get_help_heading() == Some(DYNAMIC) {
        meaning.push_str(" Dynamic.");
    }
    meaning
}

/// The text on one line, with the full stop that clap removes.
fn sentence(text: Option<&StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with('.') { text } else { text + "." }
}

fn code(text: impl AsRef<OsStr>) -> String {
    format!("`{}`", text.as_ref().to_str().unwrap().trim().replace('|', "\\|"))
}

/// Each command with its exclusive flags, then each set of flags that the same commands take, named by the first flag.
fn commands_section(commands: &[Leaf]) -> String {
    let takers = |row: &Row| -> Vec<&str> {
        let takers = commands.iter().filter(|command| command.rows.contains(row));
        takers.map(|command| command.name.as_str()).collect()
    };
    let mut shared: Vec<(Vec<&str>, Vec<&Row>)> = Vec::new();
    for row in commands.iter().flat_map(|command| &command.rows) {
        let group = takers(row);
        match shared.iter_mut().find(|(takers, _)| *takers == group) {
            _ if group.len() == 1 => {}
            Some((_, rows)) if rows.contains(&row) => {}
            Some((_, rows)) => rows.push(row),
            None => shared.push((group, vec![row])),
        }
    }
    let mut section = String::new();
    for Leaf { name, about, rows } in commands {
        let own: Vec<_> = rows.iter().filter(|row| takers(row).len() == 1).collect();
        write!(section, "## `dataflow {name}`\n\n{about}\n\n{}", table(&own)).unwrap();
        let groups = shared.iter().filter(|(takers, _)| takers.contains(&name.as_str()));
        let links: Vec<_> = groups.map(|(_, rows)| link(first(rows))).collect();
        if !links.is_empty() {
            write!(section, "It also takes {}, each with the flags beside it.\n\n", links.join(", "))
                .unwrap();
        }
    }
    for (group, rows) in &shared {
        let commands = group.join("`, `");
        write!(section, "## {}\n\nOf `{commands}`.\n\n{}", title(first(rows)), table(rows)).unwrap();
    }
    section
}

/// The name of the first flag; arguments have the same names in several commands.
fn first<'a>(rows: &[&'a Row]) -> &'a str {
    let flag = rows.iter().find(|row| row.name.starts_with("--"));
    &flag.unwrap_or(&rows[0]).name
}

/// The heading of the flags that the same commands take.
fn title(first: &str) -> String {
    format!("Flags with `{first}`")
}

/// A link to them, with the anchor that Markdown renderers generate.
fn link(first: &str) -> String {
    let anchor = title(first).to_lowercase().replace(' ', "-").replace('`', "");
    format!("[`{first}`](#{anchor})")
}

fn table(rows: &[&Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let lines: Vec<_> = rows.iter().map(|row| row.line.as_str()).collect();
    format!("| flag | variable | default | meaning |\n|---|---|---|---|\n{}\n\n", lines.join("\n"))
}

/// The variants of `enum Exit`, each with its number and its doc comment.
fn statuses_section(source: &str) -> String {
    let (_, declared) = source.split_once("enum Exit {").unwrap();
    let (declared, _) = declared.split_once("\n}").unwrap();
    let mut section = "| status | meaning |\n|---|---|\n".to_owned();
    let mut comment = Vec::new();
    for line in declared.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
        } else if let Some((_, status)) = line.split_once(" = ") {
            let status = status.trim_end_matches(',');
            writeln!(section, "| {status} | {} |", std::mem::take(&mut comment).join(" ")).unwrap();
        }
    }
    section.push('\n');
    section
}

/// The page with `text` between the marks of this name.
fn between_marks(page: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- {name}: "), format!("<!-- end of {name} -->"));
    let start = page.find(&open).unwrap_or_else(|| panic!("docs/flags.md has no mark {open:?}"));
    let start = start + page[start..].find("-->\n").unwrap() + "-->\n".len();
    let end = page.find(&close).unwrap_or_else(|| panic!("docs/flags.md has no mark {close:?}"));
    format!("{}\n{text}{}", &page[..start], &page[end..])
}

#[test]
fn statuses_are_read_from_their_declaration() {
    let source = "/// What.\nenum Exit {\n    /// Done,\n    /// in time.\n    Done = 0,\n    /// Not.\n    Not = 7,\n}\n";
    assert_eq!(
        statuses_section(source),
        "| status | meaning |\n|---|---|\n| 0 | Done, in time. |\n| 7 | Not. |\n\n"
    );
}

#[test]
fn shared_flags_are_listed_once() {
    let arg = |name: &'static str| Arg::new(name).long(name).value_name("N").env("V").help("So many");
    let command = Command::new("x")
        .subcommand(Command::new("a").arg(arg("own")).arg(arg("both").default_value("1")))
        .subcommand(Command::new("b").arg(arg("both").default_value("1")));
    let section = commands_section(&Leaf::all(&command));
    assert!(section.contains("## `dataflow a`\n\n\n\n| flag |"), "{section}");
    assert!(section.contains("| `--own N` | `V` |  | So many. |"), "{section}");
    assert!(section.contains("It also takes [`--both`](#flags-with---both), each with"), "{section}");
    assert!(section.contains("## Flags with `--both`\n\nOf `a`, `b`.\n\n| flag |"), "{section}");
    assert_eq!(section.matches("| `--both N` | `V` | `1` | So many. |").count(), 1, "{section}");
}

#[test]
fn exactly_these_flags_are_dynamic() {
    let commands = Cli::command();
    let mut dynamic = std::collections::BTreeSet::new();
    for command in commands.get_subcommands() {
        let flags = command.get_arguments().filter(|arg| arg.get_help_heading() == Some(DYNAMIC));
        dynamic.extend(flags.filter_map(Arg::get_long));
    }
    let expected = [
        "body-idle-timeout",
        "log",
        "max-attributes",
        "max-categories",
        "max-categorisations",
        "max-concurrent-requests",
        "max-connections",
        "max-dataflow-bytes",
        "max-dataflow-parts",
        "max-dataflows",
        "max-depth",
        "max-diagnostics",
        "max-document-bytes",
        "max-documents",
        "max-event-bytes",
        "max-stream-age",
        "max-structure-bytes",
        "max-structures",
        "max-theme-bytes",
        "min-body-rate",
        "request-timeout",
        "response-idle-timeout",
    ];
    assert!(dynamic.iter().eq(&expected), "{dynamic:?}");
}
