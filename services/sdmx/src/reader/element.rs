//! Which elements inside a dataflow are used: a table by parent and name.

use crate::namespace::Namespace;

/// The role of an open element within its dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementContext {
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
    /// `Structure`: contains a `Ref` or `URN` in SDMX 2.1, the URN as text in 3.x.
    Structure,
    StructureRef,
    StructureUrn,
    /// `KeyFamilyRef` of SDMX 2.0.
    KeyFamily,
    KeyFamilyId,
    KeyFamilyAgency,
    KeyFamilyVersion,
    /// `CategoryRef` of SDMX 2.0.
    CategoryRef,
    CategoryUrn,
    CategorySchemeAgency,
    CategorySchemeId,
    CategorySchemeVersion,
    /// `CategoryID`: contains an id, and a further one for a category inside it.
    CategoryPath,
    CategoryId,
    /// An element inside a text, usually HTML: its text belongs to the text around it.
    Markup,
    /// Anything else, with its content.
    Ignored,
}

impl ElementContext {
    /// The context of a child element. `plain` is true if the document has no namespaces.
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
        // Compared as bytes: the compiler inlines that, but would call a function for strings.
        let name = name.as_bytes();
        match self {
            Self::Annotation => match name {
                b"AnnotationTitle" => Self::AnnotationTitle,
                b"AnnotationType" => Self::AnnotationType,
                b"AnnotationURL" => Self::AnnotationUrl,
                b"AnnotationText" => Self::AnnotationText,
                b"AnnotationValue" => Self::AnnotationValue,
                _ => Self::Ignored,
            },
            Self::Annotations if name == b"Annotation" => Self::Annotation,
            Self::Dataflow => match name {
                b"Name" => Self::Name,
                b"Description" => Self::Description,
                b"Annotations" => Self::Annotations,
                b"Structure" => Self::Structure,
                b"KeyFamilyRef" => Self::KeyFamily,
                b"CategoryRef" => Self::CategoryRef,
                _ => Self::Ignored,
            },
            Self::Structure | Self::KeyFamily if name == b"URN" => Self::StructureUrn,
            Self::Structure if name == b"Ref" => Self::StructureRef,
            Self::KeyFamily => match name {
                b"KeyFamilyID" => Self::KeyFamilyId,
                b"KeyFamilyAgencyID" => Self::KeyFamilyAgency,
                b"Version" => Self::KeyFamilyVersion,
                _ => Self::Ignored,
            },
            Self::CategoryRef => match name {
                b"URN" => Self::CategoryUrn,
                b"CategorySchemeAgencyID" => Self::CategorySchemeAgency,
                b"CategorySchemeID" => Self::CategorySchemeId,
                b"CategorySchemeVersion" => Self::CategorySchemeVersion,
                b"CategoryID" => Self::CategoryPath,
                _ => Self::Ignored,
            },
            Self::CategoryPath => match name {
                b"ID" => Self::CategoryId,
                b"CategoryID" => Self::CategoryPath,
                _ => Self::Ignored,
            },
            _ => Self::Ignored,
        }
    }

    /// Whether its text is used.
    #[inline]
    pub(super) fn has_text(self) -> bool {
        !matches!(
            self,
            Self::Dataflow
                | Self::Annotations
                | Self::Annotation
                | Self::StructureRef
                | Self::KeyFamily
                | Self::CategoryRef
                | Self::CategoryPath
                | Self::Ignored
        )
    }

    /// Whether it is a field of an annotation.
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

    /// Whether it is inside a reference to a category.
    #[inline]
    pub(super) fn is_of_category(self) -> bool {
        matches!(
            self,
            Self::CategoryUrn
                | Self::CategorySchemeAgency
                | Self::CategorySchemeId
                | Self::CategorySchemeVersion
                | Self::CategoryId
        )
    }

    /// Whether its text is for people, so that it may contain HTML.
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
