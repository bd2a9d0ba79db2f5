//! Reads a constraint: what it is attached to, its numbers, and the sizes of its regions.

use super::reference;
use super::walk::Walk;
use crate::dataflow::Annotation;
use crate::error::Fault;
use crate::facts::Periods;
use crate::namespace::Namespace;
use crate::period::Period;
use crate::reference::Reference;
use crate::structures::{Constraint, KeyValues, Role};
use crate::urn::Urn;
use crate::xml::Start;

mod builder;

pub(super) use builder::{Attaching, ConstraintBuilder, add_value};

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
    builder: ConstraintBuilder<'a>,
    plain: bool,
    annotation: Annotation,
    /// The kind of artefact that it is being attached to.
    attaching: Attaching,
    key: KeyValues,
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
        observation_count: count("obsCount")?,
        series_count: count("seriesCount")?,
        ..Constraint::default()
    })
}

// === impl ConstraintReader ===

impl<'a> ConstraintReader<'a> {
    pub(super) fn new(builder: ConstraintBuilder<'a>, plain: bool) -> Self {
        Self {
            builder,
            plain,
            annotation: Annotation::default(),
            attaching: Attaching::Other,
            key: KeyValues::default(),
        }
    }

    /// What was read.
    pub(super) fn finish(self) -> ConstraintBuilder<'a> {
        self.builder
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
                self.attaching = match start.local_name() {
                    "Dataflow" => Attaching::Dataflow,
                    "DataStructure" => Attaching::DataStructure,
                    _ => Attaching::Other,
                };
                self.builder.begin_attachment(self.attaching);
            }
            Context::AttachedRef => {
                let artefact = reference::identity(start)?;
                self.builder.attach(self.attaching, artefact);
            }
            Context::Region => self.builder.begin_region(!is_false(start, "include")?),
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
                self.builder.constraint.periods =
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
            Context::Annotation => self.builder.add_annotation(annotation),
            Context::Attached | Context::AttachedUrn => {
                if let Some(Urn { class: "Dataflow" | "DataStructure", .. }) = Urn::parse(text) {
                    let mut artefact = Reference::default();
                    reference::complete(&mut artefact, text);
                    self.builder.attach(self.attaching, artefact);
                }
            }
            Context::Value => add_value(&mut self.key, text),
            // An end that is not included in the range counts too: sizes are upper bounds.
            Context::FirstPeriod => self.key.periods.first = Period::parse(text),
            Context::LastPeriod => self.key.periods.last = Period::parse(text),
            Context::Key => self.builder.add_key(std::mem::take(&mut self.key)),
            Context::Region => self.builder.end_region(),
            _ => {}
        }
    }
}

/// Whether an attribute is a false truth value.
fn is_false(start: &Start<'_>, name: &str) -> Result<bool, Fault> {
    Ok(matches!(reference::attribute(start, name)?.as_str(), "false" | "0"))
}
