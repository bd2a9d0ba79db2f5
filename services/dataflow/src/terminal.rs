//! The terminal: rendering options for it, and all that is written to it.
//!
//! Texts of catalogues, of rules and of whatever answers at `--endpoint` may contain characters that control a
//! terminal. [`stdout`] and [`stderr`] remove them, so that no command has to remember it. Output that goes elsewhere
//! is unchanged.

mod printed;

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use dataflow_render::Options;

use printed::{Controls, Printed};

/// Standard output.
pub(crate) fn stdout() -> impl Write {
    let is_terminal = io::stdout().is_terminal();
    let allowed = if options("").color { Controls::Colors } else { Controls::None };
    Printed::new(io::stdout(), is_terminal.then_some(allowed))
}

/// Standard error. Also a log file must not contain what acts on the terminal of its reader.
pub(crate) fn stderr() -> impl Write {
    Printed::new(io::stderr(), Some(Controls::None))
}

/// The rendering options for standard output: with the width and with color on a terminal, plain otherwise. They obey
/// `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.
pub(crate) fn options(lang: impl Into<String>) -> Options {
    let is_terminal = io::stdout().is_terminal();
    let terminal = is_terminal.then(|| console::Term::stdout().size().1);
    let color = wants_color(is_terminal, |name| env::var_os(name));
    Options { terminal, color, ..Options::plain(lang) }
}

/// Whether to use color, by the conventions of no-color.org and bixense.com/clicolors; `NO_COLOR` takes precedence.
fn wants_color(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let is_off =
        set("CLICOLOR").is_some_and(|value| value == "0") || set("TERM").is_some_and(|value| value == "dumb");
    forced || (terminal && !is_off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn color_obeys_the_environment() {
        let check = |terminal, set: &[(&str, &str)], expected| {
            let variable =
                |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
            assert_eq!(wants_color(terminal, variable), expected, "{terminal} {set:?}");
        };
        check(true, &[], true);
        check(false, &[], false);
        check(true, &[("NO_COLOR", "1")], false);
        check(true, &[("NO_COLOR", "")], true);
        check(true, &[("CLICOLOR", "0")], false);
        check(false, &[("CLICOLOR", "1")], false);
        check(false, &[("CLICOLOR_FORCE", "1")], true);
        check(false, &[("CLICOLOR_FORCE", "0")], false);
        check(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
        check(true, &[("TERM", "dumb")], false);
    }
}
