//! Which elements of a dataflow mean something, and where: a table of parent and name.

use crate::sdmx::xml::namespace::Namespace;

/// What an open element is to its dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Dataflow,
    Name,
    Description,
    Annotations,
    Annotation,
    AnnotationTitle,
    AnnotationType,
    AnnotationUrl,
    AnnotationText,
    AnnotationValue,
    /// `Structure`: a `Ref` or `URN` inside in SDMX 2.1, the URN as its text in 3.x.
    Structure,
    StructureRef,
    StructureUrn,
    /// `KeyFamilyRef`, of SDMX 2.0.
    KeyFamily,
    KeyFamilyId,
    KeyFamilyAgency,
    KeyFamilyVersion,
    /// An element inside a text, HTML usually: its text belongs to the text around it.
    Markup,
    /// Anything else, with all that is in it.
    Ignored,
}

impl Place {
    /// What a child of this place is. `plain` says that the document has no namespaces.
    #[inline]
    pub(super) fn child(self, namespace: Namespace, name: &str, plain: bool) -> Self {
        if self.has_markup() {
            return Self::Markup;
        }
        let known = match namespace {
            Namespace::Sdmx(..) => true,
            // `Ref` and `URN` are in no namespace in SDMX 2.1.
            Namespace::None => plain || self == Self::Structure,
            Namespace::Soap | Namespace::Foreign => false,
        };
        if !known {
            return Self::Ignored;
        }
        match self {
            Self::Annotation => match name {
                "AnnotationTitle" => Self::AnnotationTitle,
                "AnnotationType" => Self::AnnotationType,
                "AnnotationURL" => Self::AnnotationUrl,
                "AnnotationText" => Self::AnnotationText,
                "AnnotationValue" => Self::AnnotationValue,
                _ => Self::Ignored,
            },
            Self::Annotations if name == "Annotation" => Self::Annotation,
            Self::Dataflow => match name {
                "Name" => Self::Name,
                "Description" => Self::Description,
                "Annotations" => Self::Annotations,
                "Structure" => Self::Structure,
                "KeyFamilyRef" => Self::KeyFamily,
                _ => Self::Ignored,
            },
            Self::Structure | Self::KeyFamily if name == "URN" => Self::StructureUrn,
            Self::Structure if name == "Ref" => Self::StructureRef,
            Self::KeyFamily => match name {
                "KeyFamilyID" => Self::KeyFamilyId,
                "KeyFamilyAgencyID" => Self::KeyFamilyAgency,
                "Version" => Self::KeyFamilyVersion,
                _ => Self::Ignored,
            },
            _ => Self::Ignored,
        }
    }

    /// Whether its text is kept.
    #[inline]
    pub(super) fn has_text(self) -> bool {
        !matches!(
            self,
            Self::Dataflow
                | Self::Annotations
                | Self::Annotation
                | Self::StructureRef
                | Self::KeyFamily
                | Self::Ignored
        )
    }

    /// Whether it is a part of an annotation.
    #[inline]
    pub(super) fn is_annotation(self) -> bool {
        matches!(
            self,
            Self::AnnotationTitle
                | Self::AnnotationType
                | Self::AnnotationUrl
                | Self::AnnotationText
                | Self::AnnotationValue
        )
    }

    /// Whether its text is for people, who may have been sent HTML.
    fn has_markup(self) -> bool {
        matches!(
            self,
            Self::Name | Self::Description | Self::AnnotationText | Self::AnnotationTitle | Self::Markup
        )
    }

    /// Whether its text has a language.
    #[inline]
    pub(super) fn has_language(self) -> bool {
        matches!(self, Self::Name | Self::Description | Self::AnnotationText)
    }
}
