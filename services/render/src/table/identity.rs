//! What tells dataflows apart whose ids are equal: a catalogue lists every version, and may have several agencies.

use std::collections::HashMap;

use dataflow_proto::analysis::v1 as pb;

/// The columns that are shown beside the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// An id that is shown belongs to several agencies.
    pub(super) by_agency: bool,
    /// An agency has an id that is shown more than once.
    pub(super) by_version: bool,
}

// === impl Identity ===

impl Identity {
    /// What the dataflows that are shown need, among all of the catalogue.
    pub(super) fn of<'a>(all: &'a [pb::Dataflow], shown: impl Iterator<Item = &'a pb::Dataflow>) -> Self {
        // By id: its first agency, whether there are others, and the dataflows of each agency.
        let mut agencies: HashMap<&str, (&str, bool)> = HashMap::new();
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        for flow in all {
            let (agency, id) = (flow.agency_id.as_str(), flow.id.as_str());
            let (first, has_others) = agencies.entry(id).or_insert((agency, false));
            *has_others |= *first != agency;
            *counts.entry((agency, id)).or_default() += 1;
        }
        let mut identity = Self::default();
        for flow in shown {
            let (agency, id) = (flow.agency_id.as_str(), flow.id.as_str());
            identity.by_agency |= agencies.get(id).is_some_and(|(_, has_others)| *has_others);
            identity.by_version |= counts.get(&(agency, id)).is_some_and(|count| *count > 1);
        }
        identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_tells_the_shown_dataflows_apart_is_shown() {
        let flow = |agency: &str, id: &str| {
            let (agency_id, id) = (agency.to_owned(), id.to_owned());
            pb::Dataflow { agency_id, id, ..Default::default() }
        };
        let all =
            [flow("IT1", "A"), flow("IT1", "B"), flow("IT1", "B"), flow("IT1", "C"), flow("ESTAT", "C")];
        let check = |shown: &[usize], by_agency, by_version| {
            let shown: Vec<_> = shown.iter().map(|&index| &all[index]).collect();
            let found = Identity::of(&all, shown.into_iter());
            assert_eq!(found, Identity { by_agency, by_version });
        };
        check(&[], false, false);
        check(&[0], false, false);
        check(&[0, 1], false, true);
        check(&[4], true, false);
        check(&[2, 3], true, true);
    }
}
