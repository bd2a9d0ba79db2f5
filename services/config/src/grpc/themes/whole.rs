//! Methods of ThemeService that concern the whole mapping: its revisions, the way back to one, and other themes for all.
//! For a caller that belongs to a tenant, they concern its tenant's changes to the mapping.

use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_rules::themes::{Mapping, Theme};
use dataflow_rules::{Overlay, Set};

use super::super::{Caller, check_etag, sets};
use super::Service;
use crate::Error;
use crate::change::{Change, TenantThemeChange, ThemeChange};
use crate::convert::theme::{self, list_from_wire, overlay_to_wire};
use crate::state::{State, theme_invalid};

// === impl Service ===

impl Service {
    pub(super) fn revisions(
        &self,
        tenant: &str,
        request: &pb::ListThemeRevisionsRequest,
    ) -> Result<pb::ListThemeRevisionsResponse, Error> {
        let state = self.journal.state();
        let history = state.themes_of(tenant).history();
        let (page, next_page_token) =
            sets::page_of_revisions(history, (request.page_size, &request.page_token))?;
        Ok(pb::ListThemeRevisionsResponse { revisions: page.map(theme::revision).collect(), next_page_token })
    }

    pub(super) async fn rollback(
        &self,
        caller: Caller,
        request: pb::RollbackThemesRequest,
    ) -> Result<pb::RollbackThemesResponse, Error> {
        let pb::RollbackThemesRequest { revision, reason, etag, validate_only } = request;
        let tenant = caller.tenant.clone();
        let attempt = caller.attempt(reason, validate_only)?;
        let state = if tenant.is_empty() {
            let earlier = self.journal.themes_at(revision).await?;
            let decide = |state: &State| {
                check_etag(&etag, &state.themes_of(&tenant).etag())?;
                let is_other = state.themes.set.themes != earlier.themes;
                Ok(is_other.then(|| Change::Themes(ThemeChange::RolledBack(earlier.clone()))))
            };
            self.journal.change_themes(attempt, decide).await?
        } else {
            let overlay = self.journal.theme_overlay_at(&tenant, revision).await?;
            let decide = |state: &State| {
                check_etag(&etag, &state.themes_of(&tenant).etag())?;
                let is_other = *present_overlay(state, &tenant) != *overlay;
                Ok(is_other.then(|| TenantThemeChange::RolledBack(Arc::clone(&overlay)).of(&tenant)))
            };
            self.journal.change_themes(attempt, decide).await?
        };
        let mapping = Some(theme::mapping(&state.themes_of(&tenant)));
        Ok(pb::RollbackThemesResponse { mapping })
    }

    pub(super) async fn replace(
        &self,
        caller: Caller,
        request: pb::ReplaceThemesRequest,
    ) -> Result<pb::ReplaceThemesResponse, Error> {
        let pb::ReplaceThemesRequest { themes, reason, etag, validate_only } = request;
        let (given, tenant) = (list_from_wire(themes)?, caller.tenant.clone());
        let decide = |state: &State| {
            check_etag(&etag, &state.themes_of(&tenant).etag())?;
            let Mapping { revision, themes } = &*state.themes.set;
            let new = Mapping { revision: *revision, themes: given.clone() };
            if tenant.is_empty() {
                let is_other = new.themes != *themes;
                return Ok(is_other.then_some(Change::Themes(ThemeChange::Replaced(new))));
            }
            // Also what the changes would hide from a validation of the result, such as two themes with one identifier.
            new.validate().map_err(theme_invalid)?;
            let overlay = Arc::new(Overlay::between(themes, &new.themes));
            let is_other = *present_overlay(state, &tenant) != *overlay;
            Ok(is_other.then(|| TenantThemeChange::Replaced(overlay).of(&tenant)))
        };
        let state = self.journal.change_themes(caller.attempt(reason, validate_only)?, decide).await?;
        let mapping = Some(theme::mapping(&state.themes_of(&tenant)));
        Ok(pb::ReplaceThemesResponse { mapping })
    }

    pub(super) async fn overlay(
        &self,
        request: &pb::GetThemeOverlayRequest,
    ) -> Result<pb::GetThemeOverlayResponse, Error> {
        // Another replica may have told of a change that this one has not read yet.
        if self.journal.state().themes_of(&request.tenant).revisions().1 < request.revision {
            self.journal.catch_up().await?;
        }
        let state = self.journal.state();
        let seen = state.themes_of(&request.tenant);
        let (_, revision) = seen.revisions();
        Ok(pb::GetThemeOverlayResponse { overlay: seen.changes().map(overlay_to_wire), revision })
    }
}

/// The present changes of a tenant to the mapping.
fn present_overlay(state: &State, tenant: &str) -> Arc<Overlay<Theme>> {
    let present = state.tenants.get(tenant).and_then(|tenant| tenant.themes.as_ref());
    present.map(|present| Arc::clone(&present.overlay)).unwrap_or_default()
}
