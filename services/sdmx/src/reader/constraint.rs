//! Reads a constraint: what it is attached to, its numbers, and the sizes of its regions.

use super::reference;
use super::walk::Walk;
use crate::annotations::{Metrics, metrics};
use crate::dataflow::Annotation;
use crate::error::{Fault, Position};
use crate::facts::Periods;
use crate::frequency::Frequency;
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::period::Period;
use crate::reference::Reference;
use crate::structures::{Constraint, KeyValues, MOST_PARTS, OVERHEAD, Region, Role, Structures};
use crate::urn::Urn;
use crate::xml::Start;

/// The role of an open element within a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Constraint,
    Annotations,
    Annotation,
    AnnotationTitle,
    AnnotationType,
    AnnotationText,
    AnnotationValue,
    Attachment,
    /// An artefact that it is attached to: contains a `Ref` or `URN` in SDMX 2.1, and is the URN as text in 3.x.
    Attached,
    AttachedRef,
    AttachedUrn,
    Region,
    Key,
    Value,
    TimeRange,
    FirstPeriod,
    LastPeriod,
    ReferencePeriod,
    Ignored,
}

/// A constraint that is being read.
#[derive(Debug)]
pub(super) struct ConstraintReader<'a> {
    constraint: Constraint,
    plain: bool,
    structures: &'a mut Structures,
    limits: &'a Limits,
    annotation: Annotation,
    /// The kind of artefact that it is being attached to.
    attaching: Attaching,
    /// Dataflows that it is attached to, also above the limits.
    dataflows: u64,
    /// The open region; `None` if it says what there is not.
    region: Option<Region>,
    key: KeyValues,
    /// The keys so far, of all regions.
    keys: usize,
    /// Whether everything was within the limits.
    is_whole: bool,
}

/// What a constraint is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attaching {
    Dataflow,
    DataStructure,
    /// A provider, an agreement, a source: these are not read.
    Other,
}

/// A constraint with the data of its start tag.
pub(super) fn opened(start: &Start<'_>, identity: Reference) -> Result<Constraint, Fault> {
    let count = |name| reference::attribute(start, name).map(|count| crate::annotations::count(&count));
    let role =
        reference::attribute(start, if start.local_name() == "ContentConstraint" { "type" } else { "role" })?;
    let is_actual = match start.local_name() {
        "AvailabilityConstraint" => true,
        "ContentConstraint" => !role.eq_ignore_ascii_case("Allowed"),
        _ => role.eq_ignore_ascii_case("Actual"),
    };
    Ok(Constraint {
        identity,
        is_actual,
        dataflows: Vec::new(),
        data_structures: Vec::new(),
        is_attached: false,
        observation_count: count("obsCount")?,
        series_count: count("seriesCount")?,
        regions: Vec::new(),
        periods: Periods::default(),
        position: Position::START,
    })
}

// === impl ConstraintReader ===

impl<'a> ConstraintReader<'a> {
    pub(super) fn new(
        constraint: Constraint,
        position: Position,
        plain: bool,
        structures: &'a mut Structures,
        limits: &'a Limits,
    ) -> Self {
        let is_whole = structures.reserve_artefact(&constraint.identity, limits);
        Self {
            constraint: Constraint { position, ..constraint },
            plain,
            structures,
            limits,
            annotation: Annotation::default(),
            attaching: Attaching::Other,
            dataflows: 0,
            region: None,
            key: KeyValues::default(),
            keys: 0,
            is_whole,
        }
    }

    /// Number of dataflows that it is attached to.
    pub(super) fn dataflows(&self) -> u64 {
        self.dataflows
    }

    /// The constraint, and whether everything was within the limits.
    pub(super) fn finish(self) -> (Constraint, bool) {
        (self.constraint, self.is_whole)
    }

    /// Reserves memory for a part. Returns false above the limits, where the constraint is read without being kept.
    fn reserve(&mut self, bytes: usize) -> bool {
        self.is_whole = self.is_whole && self.structures.reserve(bytes + OVERHEAD, self.limits);
        self.is_whole
    }

    fn attach(&mut self, artefact: Reference) {
        if artefact.id.is_empty() || !self.reserve(artefact.bytes()) {
            return;
        }
        match self.attaching {
            Attaching::Dataflow => self.constraint.dataflows.push(artefact),
            Attaching::DataStructure => self.constraint.data_structures.push(artefact),
            Attaching::Other => {}
        }
    }

    fn add_value(&mut self, value: &str) {
        let Self { key, .. } = self;
        key.count += 1;
        // A wildcard stands for any number of values.
        key.is_open |= value.contains(['%', '*']);
        match key.role {
            Role::Frequency => match Frequency::parse(value) {
                Some(frequency) => key.add_frequency(frequency),
                None => key.is_open = true,
            },
            Role::Time => key.periods.extend_to(Period::parse(value)),
            _ => {}
        }
    }

    fn end_key(&mut self) {
        let key = std::mem::take(&mut self.key);
        self.keys += 1;
        self.is_whole &= self.keys <= MOST_PARTS;
        if self.region.is_some()
            && self.reserve(key.id.len())
            && let Some(region) = &mut self.region
        {
            region.keys.push(key);
        }
    }

    fn end_region(&mut self) {
        // One that restricts no dimension is about attributes.
        if let Some(mut region) = self.region.take().filter(|region| !region.keys.is_empty())
            && self.reserve(0)
        {
            region.order();
            self.constraint.regions.push(region);
        }
    }
}

impl Walk for ConstraintReader<'_> {
    type Context = Context;

    const ROOT: Context = Context::Constraint;

    fn child(&self, context: Context, namespace: Namespace, name: &str) -> Context {
        let known = match namespace {
            Namespace::Sdmx(..) => true,
            // `Ref` and `URN` are in no namespace in SDMX 2.1.
            Namespace::None => self.plain || context == Context::Attached,
            Namespace::Soap | Namespace::Foreign => false,
        };
        match (context, name) {
            _ if !known => Context::Ignored,
            (Context::Constraint, "Annotations") => Context::Annotations,
            (Context::Annotations, "Annotation") => Context::Annotation,
            (Context::Annotation, "AnnotationTitle") => Context::AnnotationTitle,
            (Context::Annotation, "AnnotationType") => Context::AnnotationType,
            (Context::Annotation, "AnnotationText") => Context::AnnotationText,
            (Context::Annotation, "AnnotationValue") => Context::AnnotationValue,
            (Context::Constraint, "ConstraintAttachment") => Context::Attachment,
            (Context::Attachment, _) => Context::Attached,
            (Context::Attached, "Ref") => Context::AttachedRef,
            (Context::Attached, "URN") => Context::AttachedUrn,
            (Context::Constraint, "CubeRegion") => Context::Region,
            (Context::Region, "KeyValue") => Context::Key,
            (Context::Key, "Value") => Context::Value,
            (Context::Key, "TimeRange") => Context::TimeRange,
            (Context::TimeRange, "StartPeriod" | "AfterPeriod") => Context::FirstPeriod,
            (Context::TimeRange, "EndPeriod" | "BeforePeriod") => Context::LastPeriod,
            (Context::Constraint, "ReferencePeriod") => Context::ReferencePeriod,
            _ => Context::Ignored,
        }
    }

    fn has_text(context: Context) -> bool {
        matches!(
            context,
            Context::AnnotationTitle
                | Context::AnnotationType
                | Context::AnnotationText
                | Context::AnnotationValue
                | Context::Attached
                | Context::AttachedUrn
                | Context::Value
                | Context::FirstPeriod
                | Context::LastPeriod
        )
    }

    fn open(&mut self, context: Context, start: &Start<'_>) -> Result<(), Fault> {
        match context {
            Context::Annotation => {
                self.annotation.clear();
                self.annotation.id = reference::attribute(start, "id")?;
            }
            Context::Attached => {
                self.constraint.is_attached = true;
                self.attaching = match start.local_name() {
                    "Dataflow" => Attaching::Dataflow,
                    "DataStructure" => Attaching::DataStructure,
                    _ => Attaching::Other,
                };
                self.dataflows += u64::from(self.attaching == Attaching::Dataflow);
            }
            Context::AttachedRef => {
                let artefact = reference::identity(start)?;
                self.attach(artefact);
            }
            Context::Region => self.region = (!is_false(start, "include")?).then(Region::default),
            Context::Key => {
                let id = reference::attribute(start, "id")?;
                let (role, is_open) = (Role::of(&id), is_false(start, "include")?);
                self.key = KeyValues { id, role, is_open, ..KeyValues::default() };
            }
            Context::TimeRange => self.key.role = Role::Time,
            // With the codes below it.
            Context::Value => {
                let cascades = reference::attribute(start, "cascadeValues")?;
                self.key.is_open |= !matches!(cascades.as_str(), "" | "false" | "0");
            }
            Context::ReferencePeriod => {
                let [first, last] = ["startTime", "endTime"].map(|name| reference::attribute(start, name));
                self.constraint.periods =
                    Periods { first: Period::parse(&first?), last: Period::parse(&last?) };
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, context: Context, text: &str) {
        let annotation = &mut self.annotation;
        match context {
            Context::AnnotationTitle => text.clone_into(&mut annotation.title),
            Context::AnnotationType => text.clone_into(&mut annotation.kind),
            Context::AnnotationValue => text.clone_into(&mut annotation.value),
            Context::AnnotationText if annotation.texts.is_empty() => {
                annotation.texts.push((String::new(), text.to_owned()));
            }
            Context::Annotation => {
                let Metrics { observations, series } = metrics(annotation);
                let Constraint { observation_count, series_count, .. } = &mut self.constraint;
                *observation_count = observations.or(*observation_count);
                *series_count = series.or(*series_count);
            }
            Context::Attached | Context::AttachedUrn => {
                if let Some(Urn { class: "Dataflow" | "DataStructure", .. }) = Urn::parse(text) {
                    let mut artefact = Reference::default();
                    reference::complete(&mut artefact, text);
                    self.attach(artefact);
                }
            }
            Context::Value => self.add_value(text),
            // An end that is not included in the range counts too: sizes are upper bounds.
            Context::FirstPeriod => self.key.periods.first = Period::parse(text),
            Context::LastPeriod => self.key.periods.last = Period::parse(text),
            Context::Key => self.end_key(),
            Context::Region => self.end_region(),
            _ => {}
        }
    }
}

/// Whether an attribute is a false truth value.
fn is_false(start: &Start<'_>, name: &str) -> Result<bool, Fault> {
    Ok(matches!(reference::attribute(start, name)?.as_str(), "false" | "0"))
}
