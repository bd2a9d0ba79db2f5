//! What decides the category of a dataflow.

/// In the order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecidedBy {
    /// The provider's own themes.
    Theme,
    /// The rules.
    Rules,
    /// The dataflow's family.
    Family,
    /// Nothing: there is no evidence.
    Nothing,
}

// === impl DecidedBy ===

impl DecidedBy {
    /// Every value, in declared order.
    pub const ALL: [Self; 4] = [Self::Theme, Self::Rules, Self::Family, Self::Nothing];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Theme => "THEME",
            Self::Rules => "RULES",
            Self::Family => "FAMILY",
            Self::Nothing => "NOTHING",
        }
    }

    /// The index in [`DecidedBy::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
