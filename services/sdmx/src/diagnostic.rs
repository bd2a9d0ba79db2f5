//! What is odd about single dataflows. A diagnostic never stops the reading: one bad dataflow must not cost the rest
//! of a catalogue.

use std::fmt;

use super::error::Position;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Info,
    /// Something was skipped, dropped or could not be understood.
    Warning,
}

/// The facts that diagnostics state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A dataflow has neither an id nor a URN that holds one; it was skipped.
    DataflowWithoutId,
    /// A dataflow has no name in any language; its id stands for it.
    DataflowWithoutName,
    /// A dataflow with the same agency, id and version came before; both are kept.
    DuplicateDataflow,
    /// A dataflow holds more than is kept of one; the excess was dropped.
    DataflowCutShort,
    /// A flag is neither true nor false; it counts as absent.
    InvalidBoolean,
    /// The reference to the data structure cannot be understood; it counts as absent.
    InvalidStructureReference,
    /// The URN cannot be understood; the attributes hold.
    InvalidUrn,
    /// A language tag is longer than any real one; the text counts as one without.
    InvalidLanguage,
    /// A text that is kept holds control characters; each became U+FFFD.
    ControlCharacter,
    /// The message lists SDMX 2.0 key families; servers older than 2.1 do so in place of dataflows.
    KeyFamiliesOnly,
}

impl Reason {
    /// The stable name, in upper snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataflowWithoutId => "DATAFLOW_WITHOUT_ID",
            Self::DataflowWithoutName => "DATAFLOW_WITHOUT_NAME",
            Self::DuplicateDataflow => "DUPLICATE_DATAFLOW",
            Self::DataflowCutShort => "DATAFLOW_CUT_SHORT",
            Self::InvalidBoolean => "INVALID_BOOLEAN",
            Self::InvalidStructureReference => "INVALID_STRUCTURE_REFERENCE",
            Self::InvalidUrn => "INVALID_URN",
            Self::InvalidLanguage => "INVALID_LANGUAGE",
            Self::ControlCharacter => "CONTROL_CHARACTER",
            Self::KeyFamiliesOnly => "KEY_FAMILIES_ONLY",
        }
    }

    /// How much it matters; the same each time.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::DataflowWithoutName | Self::DuplicateDataflow | Self::KeyFamiliesOnly => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One odd thing and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which fact.
    pub reason: Reason,
    /// The start of the element that it speaks of.
    pub position: Position,
    /// The fact in words, with the id of the dataflow when it has one.
    pub message: String,
}

impl Diagnostic {
    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.reason.severity()
    }
}

/// Where messages are cut: they repeat what documents say, and a document may say a megabyte.
const MESSAGE_BYTES: usize = 500;

/// The diagnostics of one document, in document order, and the number of those that were not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    limit: usize,
    infos: u64,
    warnings: u64,
    /// Kept ones of severity `Info`: while it is zero, a full list has nothing to give way.
    kept_infos: usize,
}

impl Diagnostics {
    /// None so far; at most `limit` will be kept.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Those that were kept, in document order.
    #[must_use]
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// Whether there was nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.infos + self.warnings == 0
    }

    /// How many there were of a severity, kept or not.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Info => self.infos,
            Severity::Warning => self.warnings,
        }
    }

    /// How many were not kept.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.infos + self.warnings - self.kept.len() as u64
    }

    pub(super) fn add(&mut self, reason: Reason, position: Position, message: impl FnOnce() -> String) {
        let severity = reason.severity();
        match severity {
            Severity::Info => self.infos += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() == self.limit && !(severity == Severity::Warning && self.give_way()) {
            return;
        }
        self.kept_infos += usize::from(severity == Severity::Info);
        let mut message = message();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        self.kept.push(Diagnostic { reason, position, message });
    }

    /// Drops the latest information to make room for a warning; whether there was one.
    fn give_way(&mut self) -> bool {
        let latest = (self.kept_infos > 0)
            .then(|| self.kept.iter().rposition(|kept| kept.severity() == Severity::Info))
            .flatten();
        if let Some(index) = latest {
            self.kept.remove(index);
            self.kept_infos -= 1;
        }
        latest.is_some()
    }
}
