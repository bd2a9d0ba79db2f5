//! Methods of RuleService that concern a whole rule set: its revisions, the way back to one, and other rules for all.

use dataflow_proto::config::v1 as pb;
use dataflow_rules::RuleSet;

use super::super::{Caller, page_size, page_start};
use super::{Service, ruleset_to_wire};
use crate::change::Change;
use crate::convert::ruleset::{from_wire, to_wire};
use crate::state::State;
use crate::{Error, convert};

// === impl Service ===

impl Service {
    pub(super) fn revisions(
        &self,
        request: &pb::ListRevisionsRequest,
    ) -> Result<pb::ListRevisionsResponse, Error> {
        let state = self.journal.state();
        let ruleset = state.ruleset(&request.ruleset)?;
        let size = page_size(request.page_size)?;
        // A token is the number of the next revision, which stays valid if older ones are forgotten meanwhile.
        let newest = ruleset.set.revision.max(0).unsigned_abs();
        let forgotten = newest.saturating_sub(ruleset.revisions.len() as u64);
        let end = page_start(&request.page_token, newest)?.saturating_sub(forgotten);
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(ruleset.revisions.len());
        let start = end.saturating_sub(size);
        let page = ruleset.revisions[start..end].iter().rev();
        let revisions = page.map(|revision| convert::revision(&request.ruleset, revision)).collect();
        let next_page_token = if start > 0 { (start as u64 + forgotten).to_string() } else { String::new() };
        Ok(pb::ListRevisionsResponse { revisions, next_page_token })
    }

    pub(super) async fn rollback(
        &self,
        caller: Caller,
        request: pb::RollbackRulesetRequest,
    ) -> Result<pb::RollbackRulesetResponse, Error> {
        let pb::RollbackRulesetRequest { ruleset, revision, reason } = request;
        let earlier = self.journal.ruleset_at(&ruleset, revision).await?;
        let decide = |state: &State| {
            let present = state.ruleset(&ruleset)?;
            Ok((present.set.rules != earlier.rules).then(|| Change::RolledBack(earlier.clone())))
        };
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        let set = Some(ruleset_to_wire(state.ruleset(&ruleset)?));
        Ok(pb::RollbackRulesetResponse { ruleset: set })
    }

    pub(super) async fn replace(
        &self,
        caller: Caller,
        request: pb::ReplaceRulesRequest,
    ) -> Result<pb::ReplaceRulesResponse, Error> {
        let pb::ReplaceRulesRequest { ruleset, mode, rules, reason } = request;
        let given = from_wire(pb::Ruleset { ruleset, mode, rules, ..pb::Ruleset::default() })?;
        let decide = |state: &State| {
            let RuleSet { mode, revision, rules, .. } = &*state.ruleset(&given.name)?.set;
            if *mode != given.mode {
                let mode = to_wire(&given).mode().as_str_name();
                let problem = format!("is {mode}, which is not the mode of the rule set");
                return Err(Error::FieldInvalid { field: "mode".to_owned(), problem });
            }
            let new = RuleSet { revision: *revision, ..given.clone() };
            Ok((*rules != given.rules).then_some(Change::RulesReplaced(new)))
        };
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        let set = Some(ruleset_to_wire(state.ruleset(&given.name)?));
        Ok(pb::ReplaceRulesResponse { ruleset: set })
    }
}
