//! Diagnostics: irregularities of single dataflows. A diagnostic never stops parsing: one invalid dataflow must not
//! fail the rest of a catalogue.

use std::fmt;

use super::error::Position;

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Informational; nothing is lost.
    Info,
    /// Something was skipped, dropped or could not be parsed.
    Warning,
}

/// The reasons of diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A dataflow has neither an id nor a URN with one; it was skipped.
    DataflowWithoutId,
    /// A dataflow has no name in any language; its id is shown instead.
    DataflowWithoutName,
    /// An earlier dataflow has the same agency, id and version; both are kept.
    DuplicateDataflow,
    /// A dataflow is larger than the limit for one; the excess was dropped.
    DataflowCutShort,
    /// A member of a JSON object has a value of the wrong type and counts as absent, or occurs twice and the first counts.
    InvalidMember,
    /// The message states errors beside its content, in its footer or in `errors` of JSON; it may be incomplete.
    MessageWithErrors,
    /// A flag is neither true nor false; it counts as absent.
    InvalidBoolean,
    /// The reference to the data structure cannot be parsed; it counts as absent.
    InvalidStructureReference,
    /// The URN cannot be parsed; the attributes are used.
    InvalidUrn,
    /// The URN is that of something else than the attributes say; the attributes are used.
    ContradictoryUrn,
    /// A language tag is longer than any valid one; the text is kept without a language.
    InvalidLanguage,
    /// A dataflow has several names, or descriptions, in one language; the first one is used.
    DuplicateLanguage,
    /// A text was decoded in a wrong encoding before it was sent; it is kept.
    GarbledText,
    /// The document declares a part of ISO 8859, and has bytes of the code page of Windows, by which it was read.
    EncodingMislabeled,
    /// A text in the result contains control characters, or in JSON surrogates without their pair; each was replaced by
    /// U+FFFD.
    ControlCharacter,
    /// An annotation should contain a time, a number or a period, and contains none; it counts as absent.
    InvalidAnnotation,
    /// The message defines no dataflows.
    NoDataflows,
    /// The message lists SDMX 2.0 key families; servers older than 2.1 list them instead of dataflows.
    KeyFamiliesOnly,
    /// A category has no id, or one that is too long; it and the categories inside it were skipped.
    InvalidCategory,
    /// A category is inside itself, or inside one that is inside it.
    CategoryCycle,
    /// There are more categories than the limit; the excess was dropped.
    CategoriesCutShort,
    /// A categorisation does not state what it links; it was skipped.
    InvalidCategorisation,
    /// A categorisation names a category that its scheme does not have; it was skipped.
    CategorisationWithoutCategory,
    /// A categorisation names a dataflow that the catalogue does not have.
    CategorisationWithoutDataflow,
    /// A categorisation names no agency, and several have what it names; it was skipped.
    AmbiguousCategorisation,
    /// A categorisation has ended; it is listed, and does not decide.
    DeprecatedCategorisation,
    /// There are more categorisations than the limit; the excess was dropped.
    CategorisationsCutShort,
    /// A further document has neither themes nor structures; it was not used.
    DocumentUnused,
    /// A category scheme that categorisations name is in no document; the ids that they state are used.
    CategorySchemeMissing,
    /// A data structure cannot be used: it, or one of its dimensions, has no id; it was skipped.
    InvalidDataStructure,
    /// A constraint is attached to nothing; it was not used.
    ConstraintWithoutAttachment,
    /// A constraint names a dataflow that the catalogue does not have.
    ConstraintWithoutDataflow,
    /// The provider states numbers of observations that cannot all be right.
    ContradictoryCounts,
    /// There are more data structures, code lists and constraints than the limit; the excess was dropped.
    StructuresCutShort,
    /// Nearly all dataflows of the catalogue have a flag, so that it tells nothing.
    FlagOnNearlyAll,
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
            Self::InvalidMember => "INVALID_MEMBER",
            Self::MessageWithErrors => "MESSAGE_WITH_ERRORS",
            Self::InvalidBoolean => "INVALID_BOOLEAN",
            Self::InvalidStructureReference => "INVALID_STRUCTURE_REFERENCE",
            Self::InvalidUrn => "INVALID_URN",
            Self::ContradictoryUrn => "CONTRADICTORY_URN",
            Self::InvalidLanguage => "INVALID_LANGUAGE",
            Self::DuplicateLanguage => "DUPLICATE_LANGUAGE",
            Self::GarbledText => "GARBLED_TEXT",
            Self::EncodingMislabeled => "ENCODING_MISLABELED",
            Self::ControlCharacter => "CONTROL_CHARACTER",
            Self::InvalidAnnotation => "INVALID_ANNOTATION",
            Self::NoDataflows => "NO_DATAFLOWS",
            Self::KeyFamiliesOnly => "KEY_FAMILIES_ONLY",
            Self::InvalidCategory => "INVALID_CATEGORY",
            Self::CategoryCycle => "CATEGORY_CYCLE",
            Self::CategoriesCutShort => "CATEGORIES_CUT_SHORT",
            Self::InvalidCategorisation => "INVALID_CATEGORISATION",
            Self::CategorisationWithoutCategory => "CATEGORISATION_WITHOUT_CATEGORY",
            Self::CategorisationWithoutDataflow => "CATEGORISATION_WITHOUT_DATAFLOW",
            Self::AmbiguousCategorisation => "AMBIGUOUS_CATEGORISATION",
            Self::DeprecatedCategorisation => "DEPRECATED_CATEGORISATION",
            Self::CategorisationsCutShort => "CATEGORISATIONS_CUT_SHORT",
            Self::DocumentUnused => "DOCUMENT_UNUSED",
            Self::CategorySchemeMissing => "CATEGORY_SCHEME_MISSING",
            Self::InvalidDataStructure => "INVALID_DATA_STRUCTURE",
            Self::ConstraintWithoutAttachment => "CONSTRAINT_WITHOUT_ATTACHMENT",
            Self::ConstraintWithoutDataflow => "CONSTRAINT_WITHOUT_DATAFLOW",
            Self::ContradictoryCounts => "CONTRADICTORY_COUNTS",
            Self::StructuresCutShort => "STRUCTURES_CUT_SHORT",
            Self::FlagOnNearlyAll => "FLAG_ON_NEARLY_ALL",
        }
    }

    /// The severity, fixed for each reason.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::DataflowWithoutName | Self::DuplicateDataflow | Self::KeyFamiliesOnly => Severity::Info,
            Self::CategorisationWithoutDataflow | Self::DeprecatedCategorisation => Severity::Info,
            Self::InvalidAnnotation | Self::ContradictoryCounts | Self::FlagOnNearlyAll => Severity::Info,
            Self::ConstraintWithoutAttachment | Self::ConstraintWithoutDataflow => Severity::Info,
            Self::CategorySchemeMissing | Self::DocumentUnused => Severity::Info,
            Self::NoDataflows | Self::EncodingMislabeled => Severity::Info,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One irregularity and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The reason.
    pub reason: Reason,
    /// Start of the element or object concerned.
    pub position: Position,
    /// Description for people, with the id of the dataflow if it has one.
    pub message: String,
}

impl Diagnostic {
    /// The severity of its reason.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.reason.severity()
    }
}

/// Messages are truncated to this size: they quote the document, and a document may contain a megabyte of text.
const MESSAGE_BYTES: usize = 500;

/// The diagnostics of all documents of a catalogue, in the order of discovery, and the number of omitted ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    kept: Vec<Diagnostic>,
    limit: usize,
    infos: u64,
    warnings: u64,
    /// Number of kept diagnostics of severity `Info`: while it is zero, a full list has none to evict.
    kept_infos: usize,
}

impl Diagnostics {
    /// An empty list; it will keep at most `limit` diagnostics.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The kept diagnostics, in document order once [`Diagnostics::sort`] was called.
    #[must_use]
    pub fn kept(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// Whether there were no diagnostics.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.infos + self.warnings == 0
    }

    /// Number of diagnostics, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.infos + self.warnings
    }

    /// Number of diagnostics of a severity, kept or not.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        match severity {
            Severity::Info => self.infos,
            Severity::Warning => self.warnings,
        }
    }

    /// Number of diagnostics that were not kept.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.infos + self.warnings - self.kept.len() as u64
    }

    /// Puts them in document order: links between documents are checked at the end.
    pub fn sort(&mut self) {
        self.kept.sort_by_key(|diagnostic| diagnostic.position);
    }

    /// Adds one; the message is made only if it is kept.
    pub fn add(&mut self, reason: Reason, position: Position, message: impl FnOnce() -> String) {
        let severity = reason.severity();
        match severity {
            Severity::Info => self.infos += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() == self.limit && !(severity == Severity::Warning && self.evict_info()) {
            return;
        }
        self.kept_infos += usize::from(severity == Severity::Info);
        let mut message = message();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        self.kept.push(Diagnostic { reason, position, message });
    }

    /// Evicts the latest informational diagnostic to make room for a warning. Returns whether there was one.
    fn evict_info(&mut self) -> bool {
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
