//! A flag as clap defines it. The definition in clap is the only one: it decides which values are valid.

use std::error::Error as _;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::names::key;

/// The help heading of dynamic flags. A flag is dynamic if and only if it has this heading, by its own `help_heading`:
/// one on a whole struct would also apply to the flags after it.
pub const DYNAMIC: &str = "Dynamic options, applied without a restart";

/// A flag with an environment variable. Without `Debug`, because its value may be a secret.
pub(super) struct Field {
    /// The key of the setting, the same in every source.
    pub(super) key: String,
    /// The flag as on the command line.
    pub(super) flag: String,
    /// Its value on the command line, if given.
    pub(super) typed: Option<String>,
    arg: Arg,
}

impl Field {
    /// The field of an argument that has a variable, with its value on the command line.
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

    /// Whether it may change at run time.
    pub(super) fn is_dynamic(&self) -> bool {
        self.arg.get_help_heading() == Some(DYNAMIC)
    }

    /// Its default as text, empty if there is none.
    pub(super) fn default(&self) -> String {
        let values: Vec<_> =
            self.arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        values.join(",")
    }

    /// Validates `values` with the flag's own parser.
    ///
    /// # Errors
    ///
    /// The error message; the values are masked if they are `secret`.
    pub(super) fn check(&self, values: &[String], secret: bool) -> Result<(), String> {
        let takes_many = matches!(self.arg.get_action(), ArgAction::Append)
            || self.arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        if values.len() > 1 && !takes_many {
            return Err("accepts one value, but got a list".to_owned());
        }
        // A copy with only the parser: relations to other flags are checked by the whole command.
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

/// The argument with `values` as its default and without a variable, so that clap reads no other source.
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

/// The parser's error message, else the valid values.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(valid)) if !valid.is_empty() => format!("expected {}", valid.join(" or ")),
        _ => "not a valid value".to_owned(),
    }
}
