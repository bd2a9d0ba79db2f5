//! The seven categories of a dataflow. Rules, counts, filters and exports use them; docs/rules.md defines them for
//! statisticians.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The subject of a dataflow. Tables of counts use the declared order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    /// People, households, vital events, migration, censuses, projections.
    Population,
    /// Accounts, prices, firms, industry, services, trade, agriculture, public finance, income.
    Economy,
    /// Employment, unemployment, vacancies, wages, labor costs.
    Labour,
    /// Places and their characteristics, environment, energy.
    Territory,
    /// Schools, universities, training, attainment.
    Education,
    /// Health, illness, care, causes of death, disability.
    Health,
    /// Culture, justice, public administration, daily life, welfare, and everything unknown.
    Other,
}

impl Category {
    /// Every category, in declared order.
    pub const ALL: [Self; 7] = [
        Self::Population,
        Self::Economy,
        Self::Labour,
        Self::Territory,
        Self::Education,
        Self::Health,
        Self::Other,
    ];

    /// The name on the wire and in rule files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Population => "POPULATION",
            Self::Economy => "ECONOMY",
            Self::Labour => "LABOUR",
            Self::Territory => "TERRITORY",
            Self::Education => "EDUCATION",
            Self::Health => "HEALTH",
            Self::Other => "OTHER",
        }
    }

    /// The index in [`Category::ALL`], 0 to 6: for tables with one cell per category.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not one of the seven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a category: expected POPULATION, ECONOMY, LABOUR, TERRITORY, EDUCATION, HEALTH or OTHER"
)]
pub struct UnknownCategory(pub String);

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(name: &str) -> Result<Self, UnknownCategory> {
        Self::ALL
            .into_iter()
            .find(|category| category.name() == name)
            .ok_or_else(|| UnknownCategory(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for category in Category::ALL {
            assert_eq!(category.name().parse(), Ok(category));
            assert_eq!(Category::ALL[category.index()], category);
        }
    }

    #[test]
    fn only_the_exact_name_is_accepted() {
        for name in ["", "population", "POPOLAZIONE", " OTHER"] {
            assert_eq!(name.parse::<Category>(), Err(UnknownCategory(name.to_owned())));
        }
    }

    #[test]
    fn order_is_as_declared() {
        assert!(Category::ALL.is_sorted());
    }
}
