//! The headings of the table: the seven categories, and the dataflows without any evidence. Their category is `OTHER`
//! too, but only because there is nothing else: a reader must not take them for culture or justice.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::dataflow::DecidedBy;
use dataflow_proto::r#type::v1::Category;

/// A heading of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Heading {
    /// People and households
    Population,
    /// Accounts, prices, firms
    Economy,
    /// Employment and wages
    Labour,
    /// Places, environment, energy
    Territory,
    /// Schools and training
    Education,
    /// Health and care
    Health,
    /// Other subjects, with evidence
    Other,
    /// No evidence; the category is `OTHER` by default
    Unmatched,
    /// A category that is unknown to this release.
    #[value(skip)]
    Unknown,
}

// === impl Heading ===

impl Heading {
    /// The headings that every table has, in its order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Population,
        Self::Economy,
        Self::Labour,
        Self::Territory,
        Self::Education,
        Self::Health,
        Self::Other,
        Self::Unmatched,
    ];

    /// The heading of a dataflow.
    pub(crate) fn of(flow: &pb::Dataflow) -> Self {
        match (flow.decided_by(), flow.category()) {
            (DecidedBy::Nothing, _) => Self::Unmatched,
            (_, Category::Population) => Self::Population,
            (_, Category::Economy) => Self::Economy,
            (_, Category::Labour) => Self::Labour,
            (_, Category::Territory) => Self::Territory,
            (_, Category::Education) => Self::Education,
            (_, Category::Health) => Self::Health,
            (_, Category::Other) => Self::Other,
            (_, Category::Unspecified) => Self::Unknown,
        }
    }

    /// The name as it is shown, and as the flag `--category` takes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Population => "POPULATION",
            Self::Economy => "ECONOMY",
            Self::Labour => "LABOUR",
            Self::Territory => "TERRITORY",
            Self::Education => "EDUCATION",
            Self::Health => "HEALTH",
            Self::Other => "OTHER",
            Self::Unmatched => "UNMATCHED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_flag_takes_every_heading_by_its_name() {
        let values: Vec<_> = Heading::value_variants().to_vec();
        assert_eq!(values, Heading::ALL);
        for heading in values {
            assert_eq!(heading.to_possible_value().unwrap().get_name(), heading.name());
        }
    }

    #[test]
    fn a_dataflow_without_evidence_is_unmatched_and_not_other() {
        let check = |decided_by: DecidedBy, category: Category, expected| {
            let (decided_by, category) = (decided_by.into(), category.into());
            let flow = pb::Dataflow { decided_by, category, ..Default::default() };
            assert_eq!(Heading::of(&flow), expected);
        };
        check(DecidedBy::Nothing, Category::Other, Heading::Unmatched);
        check(DecidedBy::Rules, Category::Other, Heading::Other);
        check(DecidedBy::Theme, Category::Health, Heading::Health);
        let newer = pb::Dataflow { category: 99, ..Default::default() };
        assert_eq!(Heading::of(&newer), Heading::Unknown);
    }
}
