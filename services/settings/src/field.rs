//! One flag as clap defines it. clap's definition stays the only one: it decides what a flag takes.

use std::error::Error as _;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::names::key;

/// The help heading of dynamic flags. A flag is dynamic if and only if it stands under this heading, by a `help_heading`
/// of its own: one for a whole struct would leak to the flags after it.
pub const DYNAMIC: &str = "Dynamic options, followed while a service runs";

/// A flag with an environment variable. Without `Debug`, since a secret may have been typed.
pub(super) struct Field {
    /// Its name in every source.
    pub(super) key: String,
    /// As it is typed.
    pub(super) flag: String,
    /// What it says on the command line that is being read.
    pub(super) typed: Option<String>,
    arg: Arg,
}

impl Field {
    /// The field of an argument that has a variable, with what `matches` say was typed.
    pub(super) fn new(arg: &Arg, matches: &ArgMatches) -> Option<Self> {
        let key = key(arg.get_env()?.to_str()?);
        let id = arg.get_id().as_str();
        let is_typed = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        let typed = matches
            .get_raw(id)
            .filter(|_| is_typed)
            .map(|values| values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(","));
        let flag = arg.get_long().map_or_else(|| arg.to_string(), |long| format!("--{long}"));
        Some(Self { key, flag, typed, arg: arg.clone() })
    }

    /// Whether its value is never shown.
    pub(super) fn is_secret(&self) -> bool {
        self.arg.is_hide_env_values_set()
    }

    /// Whether it may change while the process runs.
    pub(super) fn is_dynamic(&self) -> bool {
        self.arg.get_help_heading() == Some(DYNAMIC)
    }

    /// Its default as text, empty when there is none.
    pub(super) fn default(&self) -> String {
        let values: Vec<_> =
            self.arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        values.join(",")
    }

    /// Asks the flag's own parser about `values`.
    ///
    /// # Errors
    ///
    /// What is wrong with them, without showing them when they are `secret`.
    pub(super) fn check(&self, values: &[String], secret: bool) -> Result<(), String> {
        let takes_many = matches!(self.arg.get_action(), ArgAction::Append)
            || self.arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        if values.len() > 1 && !takes_many {
            return Err("takes one value, and was given a list".to_owned());
        }
        // A copy of what parses, alone: relations to other flags are the whole command's business.
        let mut alone = Arg::new("value")
            .long("value")
            .action(self.arg.get_action().clone())
            .value_parser(self.arg.get_value_parser().clone())
            .default_values(values.to_vec());
        if let Some(delimiter) = self.arg.get_value_delimiter() {
            alone = alone.value_delimiter(delimiter);
        }
        let command = Command::new("value").no_binary_name(true).disable_help_flag(true).arg(alone);
        let Err(error) = command.try_get_matches_from(Vec::<OsString>::new()) else { return Ok(()) };
        let reason = reason(&error);
        if secret {
            let hidden = values.iter().filter(|value| !value.is_empty());
            return Err(hidden.fold(reason, |reason, value| reason.replace(value.as_str(), "***")));
        }
        Err(format!("{:?}: {reason}", values.join(",")))
    }
}

/// The argument with `values` for its default and no variable of its own, so that clap looks nowhere else.
pub(super) fn with_values(arg: Arg, values: Option<&[String]>) -> Arg {
    if arg.get_env().is_none() {
        return arg;
    }
    let arg = arg.env(Resettable::Reset);
    match values {
        Some(values) => arg.default_values(values.to_vec()).required(false),
        None => arg,
    }
}

/// What the parser said, else what it would have taken.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => format!("expected {}", valid.join(" or ")),
        _ => "not a value that it takes".to_owned(),
    }
}
