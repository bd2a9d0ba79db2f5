//! Detects the terminal at standard output, and the rendering options for it.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use dataflow_render::Options;

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
