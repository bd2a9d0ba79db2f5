//! Feature flags: behaviours that some tenants have and others do not.

use std::collections::BTreeMap;

use crate::Error;
use crate::key::is_tenant;

/// The flags of this release, by identifier, with what they do.
pub static FLAGS: [(&str, &str); 1] = [(
    "legacy-rules",
    "Requests for an analysis or a category that name no rule set use `legacy` in place of `default`.",
)];

/// The most tenants that a flag names.
pub const MAX_TENANTS: usize = 1_000;

/// A flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// One of [`FLAGS`].
    pub flag_id: String,
    /// Who has it on, unless `tenants` says otherwise.
    pub rollout: Rollout,
    /// Tenants that have it on or off in any case.
    pub tenants: BTreeMap<String, bool>,
}

/// Who has a flag on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// All callers, or none.
    All(bool),
    /// This percentage of the tenants.
    Percentage(u8),
}

// === impl Flag ===

impl Flag {
    /// A flag that was never set.
    pub fn off(flag_id: &str) -> Self {
        Self { flag_id: flag_id.to_owned(), rollout: Rollout::All(false), tenants: BTreeMap::new() }
    }

    /// Validates everything.
    ///
    /// # Errors
    ///
    /// [`Error::FlagNotFound`], or [`Error::FlagInvalid`] with the first invalid field.
    pub fn validate(&self) -> Result<(), Error> {
        describe(&self.flag_id)?;
        let require = |is_valid: bool, field: String, problem: String| {
            if is_valid { Ok(()) } else { Err(Error::FlagInvalid { field, problem }) }
        };
        if let Rollout::Percentage(percentage) = self.rollout {
            let problem = format!("must be from 0 to 100, is {percentage}");
            require(percentage <= 100, "percentage".to_owned(), problem)?;
        }
        let problem = format!("must name at most {MAX_TENANTS} tenants, names {}", self.tenants.len());
        require(self.tenants.len() <= MAX_TENANTS, "tenants".to_owned(), problem)?;
        for tenant in self.tenants.keys() {
            let (field, problem) = (format!("tenants[{tenant:?}]"), "is not the name of a tenant".to_owned());
            require(is_tenant(tenant), field, problem)?;
        }
        Ok(())
    }
}

/// What a flag does.
///
/// # Errors
///
/// [`Error::FlagNotFound`].
pub fn describe(flag_id: &str) -> Result<&'static str, Error> {
    let found = FLAGS.iter().find(|(known, _)| *known == flag_id);
    found.map(|(_, description)| *description).ok_or_else(|| Error::FlagNotFound { flag: flag_id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_enforced_and_the_error_names_the_field() {
        let check = |flag: Flag, expected: Option<&str>| {
            let found = match flag.validate() {
                Ok(()) => None,
                Err(Error::FlagInvalid { field, .. }) => Some(field),
                Err(Error::FlagNotFound { flag }) => Some(flag),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found.as_deref(), expected, "{flag:?}");
        };
        let flag = || Flag::off("legacy-rules");
        let naming = |count: usize| (0..count).map(|index| (format!("t{index}"), true)).collect();
        check(flag(), None);
        check(Flag::off("unknown"), Some("unknown"));
        check(Flag { rollout: Rollout::Percentage(100), ..flag() }, None);
        check(Flag { rollout: Rollout::Percentage(101), ..flag() }, Some("percentage"));
        check(Flag { tenants: naming(MAX_TENANTS), ..flag() }, None);
        check(Flag { tenants: naming(MAX_TENANTS + 1), ..flag() }, Some("tenants"));
        check(Flag { tenants: [("a/b".to_owned(), true)].into(), ..flag() }, Some(r#"tenants["a/b"]"#));
    }
}
