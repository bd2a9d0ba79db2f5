//! The predecessor's categories: Italian words on its wire, ours within the mesh.

use dataflow_proto::r#type::v1 as types;
use serde::{Serialize, Serializer};

/// The predecessor's categories by their words on the wire, in the order of its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// `popolazione`
    Popolazione,
    /// `economia`
    Economia,
    /// `lavoro`
    Lavoro,
    /// `territorio`
    Territorio,
    /// `istruzione`
    Istruzione,
    /// `salute`
    Salute,
    /// `altri`
    Altri,
}

// === impl Category ===

impl Category {
    /// Every category, in the order of replies.
    pub const ALL: [Self; 7] = [
        Self::Popolazione,
        Self::Economia,
        Self::Lavoro,
        Self::Territorio,
        Self::Istruzione,
        Self::Salute,
        Self::Altri,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Popolazione => "popolazione",
            Self::Economia => "economia",
            Self::Lavoro => "lavoro",
            Self::Territorio => "territorio",
            Self::Istruzione => "istruzione",
            Self::Salute => "salute",
            Self::Altri => "altri",
        }
    }

    /// The category of a word, by its exact letters.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.word() == word)
    }
}

impl From<types::Category> for Category {
    /// A dataflow without a category, or with one of a later release, is in `altri`.
    fn from(category: types::Category) -> Self {
        match category {
            types::Category::Population => Self::Popolazione,
            types::Category::Economy => Self::Economia,
            types::Category::Labour => Self::Lavoro,
            types::Category::Territory => Self::Territorio,
            types::Category::Education => Self::Istruzione,
            types::Category::Health => Self::Salute,
            types::Category::Other | types::Category::Unspecified => Self::Altri,
        }
    }
}

impl From<Category> for types::Category {
    fn from(category: Category) -> Self {
        match category {
            Category::Popolazione => Self::Population,
            Category::Economia => Self::Economy,
            Category::Lavoro => Self::Labour,
            Category::Territorio => Self::Territory,
            Category::Istruzione => Self::Education,
            Category::Salute => Self::Health,
            Category::Altri => Self::Other,
        }
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_its_legacy_name() {
        use types::Category::{Economy, Education, Health, Labour, Other, Population, Territory};
        let ours = [Population, Economy, Labour, Territory, Education, Health, Other];
        let words = "popolazione economia lavoro territorio istruzione salute altri";
        for ((ours, word), category) in ours.into_iter().zip(words.split(' ')).zip(Category::ALL) {
            assert_eq!((Category::from(ours), types::Category::from(category)), (category, ours));
            assert_eq!((category.word(), Category::of(word)), (word, Some(category)));
        }
        assert_eq!(Category::from(types::Category::Unspecified), Category::Altri);
        assert_eq!(Category::of("Salute"), None);
    }
}
