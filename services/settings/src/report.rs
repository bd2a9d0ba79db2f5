//! The report: every setting with its source, for `--show-config` and the log. A secret is masked.

use std::fmt;

use super::former::Inherited;
use super::resolve::{Resolved, Unknown};
use super::source::Source;

/// The current settings and their sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The flags, in the order of the help text.
    pub settings: Vec<Line>,
    /// The former names that were found.
    pub inherited: Inherited,
    /// Names that no command has.
    pub unknown: Vec<Unknown>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The flag as on the command line.
    pub flag: String,
    /// The value; `***` for a secret, empty if there is none.
    pub value: String,
    /// Its source.
    pub source: Source,
    /// The sources of its other parts.
    pub with: Vec<Source>,
    /// Lower sources that define it too, highest first.
    pub over: Vec<Source>,
}

// === impl Report ===

impl Report {
    pub(super) fn new(resolved: &Resolved) -> Self {
        let settings = resolved.settings.iter().map(|setting| Line {
            flag: setting.flag.clone(),
            value: setting.shown().to_owned(),
            source: setting.source.clone(),
            with: setting.with.clone(),
            over: setting.over.clone(),
        });
        Self {
            settings: settings.collect(),
            inherited: resolved.inherited.clone(),
            unknown: resolved.unknown.clone(),
        }
    }

    /// Logs unknown names at WARN, former names at INFO and every setting at DEBUG, each kind in one record. Call it
    /// after logging is set up.
    pub fn log(&self) {
        if !self.unknown.is_empty() {
            tracing::warn!(names = joined(&self.unknown), "settings: unknown names ignored");
        }
        let Inherited { read, ignored } = &self.inherited;
        if !read.is_empty() {
            let read = read.iter().map(|(name, flag)| format!("{name} as {flag}"));
            tracing::info!(names = joined(read), "settings: the predecessor's names applied");
        }
        if !ignored.is_empty() {
            let ignored = ignored.iter().map(|(name, why)| format!("{name}: {why}"));
            tracing::info!(
                names = joined(ignored),
                "settings: the predecessor's names without an equivalent ignored"
            );
        }
        let settings =
            self.settings.iter().map(|line| format!("{} {} ({})", line.flag, line.value, line.source));
        tracing::debug!(settings = joined(settings), "settings: in effect");
    }
}

/// Joins the items on one line.
fn joined(items: impl IntoIterator<Item: ToString>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join("; ")
}

/// One line per setting, in columns.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Line) -> &str| {
            self.settings.iter().map(|line| of(line).chars().count()).max().unwrap_or_default()
        };
        let (flags, values) = (width(|line| &line.flag), width(|line| &line.value));
        for Line { flag, value, source, with, over } in &self.settings {
            write!(f, "{flag:flags$}  {value:values$}  {source}")?;
            for (word, sources) in [(" with", with), (", over", over)] {
                for (index, source) in sources.iter().enumerate() {
                    write!(f, "{} {source}", if index == 0 { word } else { "," })?;
                }
            }
            writeln!(f)?;
        }
        for unknown in &self.unknown {
            writeln!(f, "unknown: {unknown}")?;
        }
        for (name, flag) in &self.inherited.read {
            writeln!(f, "read: {name} as {flag}")?;
        }
        for (name, why) in &self.inherited.ignored {
            writeln!(f, "ignored: {name}: {why}")?;
        }
        Ok(())
    }
}

// === impl Unknown ===

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, at, nearest } = self;
        write!(f, "{name}")?;
        if !matches!(at, Source::Environment(_)) {
            write!(f, " ({at})")?;
        }
        nearest.as_ref().map_or(Ok(()), |nearest| write!(f, ", did you mean {nearest}?"))
    }
}
