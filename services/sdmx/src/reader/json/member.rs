//! The members of artefacts, their annotations and their links, by name.

/// A member of an artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Id,
    AgencyId,
    Version,
    Urn,
    /// The kind of the artefact, in drafts.
    Type,
    Name,
    Names,
    Description,
    Descriptions,
    IsFinal,
    IsExternalReference,
    Structure,
    StructureUrl,
    ServiceUrl,
    Links,
    Annotations,
    /// The ends of a categorisation.
    Source,
    Target,
    ValidTo,
    /// The categories of a scheme or of a category; `items` in drafts.
    Categories,
    /// The category around a category.
    Parent,
    Other,
}

impl Member {
    pub(super) fn of(name: &str) -> Self {
        match name.as_bytes() {
            b"id" => Self::Id,
            b"agencyID" => Self::AgencyId,
            b"version" => Self::Version,
            b"urn" => Self::Urn,
            b"type" | b"class" => Self::Type,
            b"name" => Self::Name,
            b"names" => Self::Names,
            b"description" => Self::Description,
            b"descriptions" => Self::Descriptions,
            b"isFinal" => Self::IsFinal,
            b"isExternalReference" => Self::IsExternalReference,
            b"structure" => Self::Structure,
            b"structureURL" | b"structureUrl" => Self::StructureUrl,
            b"serviceURL" | b"serviceUrl" => Self::ServiceUrl,
            b"links" => Self::Links,
            b"annotations" => Self::Annotations,
            b"source" => Self::Source,
            b"target" => Self::Target,
            b"validTo" => Self::ValidTo,
            b"categories" | b"items" => Self::Categories,
            b"parent" => Self::Parent,
            _ => Self::Other,
        }
    }

    /// Its name, for a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::AgencyId => "agencyID",
            Self::Version => "version",
            Self::Urn => "urn",
            Self::Type => "type",
            Self::Name => "name",
            Self::Names => "names",
            Self::Description => "description",
            Self::Descriptions => "descriptions",
            Self::IsFinal => "isFinal",
            Self::IsExternalReference => "isExternalReference",
            Self::Structure => "structure",
            Self::StructureUrl => "structureURL",
            Self::ServiceUrl => "serviceURL",
            Self::Links => "links",
            Self::Annotations => "annotations",
            Self::Source => "source",
            Self::Target => "target",
            Self::ValidTo => "validTo",
            Self::Categories => "categories",
            Self::Parent => "parent",
            Self::Other => "a member",
        }
    }
}

/// The members that an object has had so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen(u32);

impl Seen {
    /// Adds a member. Returns whether it is new; of several the first counts.
    pub(super) fn add(&mut self, member: Member) -> bool {
        let bit = 1 << member as u32;
        let is_new = self.0 & bit == 0 || member == Member::Other;
        self.0 |= bit;
        is_new
    }
}
