//! The tonic adapter of ThemeService: themes one by one. What concerns the whole mapping is in `whole`, and the watch in
//! `watch`.

mod watch;
mod whole;

use std::sync::Arc;

use dataflow_mesh::status::respond;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::theme_service_server::ThemeService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::mask::{self, Field, fields};
use super::{Caller, Watch, caller, check_etag, check_new_id, missing_field, sets, tenant, watch};
use crate::Error;
use crate::change::{Change, TenantThemeChange};
use crate::convert::ruleset::category;
use crate::convert::theme::{self, from_wire, to_wire};
use crate::journal::Journal;
use crate::state::{State, theme_not_found};
use watch::Sent;

/// The updatable fields.
static FIELDS: &[Field<pb::Theme>] = fields![scheme, path, category];

/// Serves ThemeService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    /// Ends the watches: an endless response stream would delay the drain.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves these themes until `draining` is canceled.
    pub fn new(journal: Arc<Journal>, draining: CancellationToken) -> Self {
        Self { journal, draining }
    }

    fn list(&self, tenant: &str, request: &pb::ListThemesRequest) -> Result<pb::ListThemesResponse, Error> {
        let state = self.journal.state();
        let seen = state.themes_of(tenant);
        let category = category(request.category)?;
        let is_wanted = |theme: &dataflow_rules::themes::Theme| {
            category.is_none_or(|category| theme.category == category)
        };
        let (page, next_page_token) =
            sets::page(seen.items(), (request.page_size, &request.page_token), is_wanted)?;
        let (revision, overlay_revision) = seen.revisions();
        let (themes, mapping_etag) = (page.iter().map(theme::theme).collect(), seen.etag());
        Ok(pb::ListThemesResponse { themes, next_page_token, revision, overlay_revision, mapping_etag })
    }

    fn get(&self, tenant: &str, request: &pb::GetThemeRequest) -> Result<pb::GetThemeResponse, Error> {
        Ok(pb::GetThemeResponse { theme: Some(theme_by_id(&self.journal.state(), tenant, &request.theme)?) })
    }

    async fn create(
        &self,
        caller: Caller,
        request: pb::CreateThemeRequest,
    ) -> Result<pb::CreateThemeResponse, Error> {
        let pb::CreateThemeRequest { theme_id, scheme, path, category, reason, validate_only } = request;
        check_new_id("themeId", &theme_id)?;
        let theme = from_wire(pb::Theme { theme_id, scheme, path, category, ..pb::Theme::default() })?;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            if state.themes_of(&tenant).item(&theme.id).is_some() {
                return Err(Error::ThemeExists { theme: theme.id.clone() });
            }
            Ok(Some(Change::theme_put(&tenant, theme.clone())))
        };
        let changed = self.journal.change_themes(caller.attempt(reason, validate_only)?, decide).await;
        let state = changed.map_err(|error| relative_to_theme(error, ""))?;
        Ok(pb::CreateThemeResponse { theme: Some(theme_by_id(&state, &tenant, &theme.id)?) })
    }

    async fn update(
        &self,
        caller: Caller,
        request: pb::UpdateThemeRequest,
    ) -> Result<pb::UpdateThemeResponse, Error> {
        let pb::UpdateThemeRequest { theme, update_mask, reason, validate_only } = request;
        let given = theme.ok_or_else(|| missing_field("theme"))?;
        let fields = mask::select(update_mask.as_ref(), FIELDS)?;
        let (id, tenant) = (given.theme_id.clone(), caller.tenant.clone());
        let decide = |state: &State| {
            let seen = state.themes_of(&tenant).item(&id).ok_or_else(|| theme_not_found(&id))?;
            check_etag(&given.etag, &seen.etag())?;
            let new = from_wire(mask::merge(to_wire(seen.item), &given, &fields));
            let new = new.map_err(|error| within(error, "theme."))?;
            Ok((new != *seen.item).then(|| Change::theme_put(&tenant, new)))
        };
        let changed = self.journal.change_themes(caller.attempt(reason, validate_only)?, decide).await;
        let state = changed.map_err(|error| relative_to_theme(error, "theme."))?;
        Ok(pb::UpdateThemeResponse { theme: Some(theme_by_id(&state, &tenant, &id)?) })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteThemeRequest,
    ) -> Result<pb::DeleteThemeResponse, Error> {
        let pb::DeleteThemeRequest { theme, etag, reason, validate_only } = request;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            let seen = state.themes_of(&tenant).item(&theme).ok_or_else(|| theme_not_found(&theme))?;
            check_etag(&etag, &seen.etag())?;
            Ok(Some(Change::theme_removed(&tenant, &theme)))
        };
        let state = self.journal.change_themes(caller.attempt(reason, validate_only)?, decide).await?;
        let (revision, overlay_revision) = state.themes_of(&tenant).revisions();
        Ok(pb::DeleteThemeResponse { revision, overlay_revision })
    }

    async fn restore(
        &self,
        caller: Caller,
        request: pb::RestoreThemeRequest,
    ) -> Result<pb::RestoreThemeResponse, Error> {
        let pb::RestoreThemeRequest { theme, etag, reason, validate_only } = request;
        let tenant = caller.tenant.clone();
        if tenant.is_empty() {
            return Err(Error::TenantMissing);
        }
        let decide = |state: &State| {
            let seen = state.themes_of(&tenant);
            let is_changed = sets::is_changed(&seen, (&theme, &etag), || theme_not_found(&theme))?;
            let change = TenantThemeChange::Restored { theme_id: theme.clone() };
            Ok(is_changed.then(|| change.of(&tenant)))
        };
        let state = self.journal.change_themes(caller.attempt(reason, validate_only)?, decide).await?;
        let theme = state.themes_of(&tenant).item(&theme).map(|seen| theme::theme(&seen));
        Ok(pb::RestoreThemeResponse { theme })
    }
}

#[tonic::async_trait]
impl ThemeService for Service {
    async fn list_themes(
        &self,
        request: Request<pb::ListThemesRequest>,
    ) -> Result<Response<pb::ListThemesResponse>, Status> {
        self.journal.ready().await;
        respond(self.list(&tenant(&request), request.get_ref()))
    }

    async fn get_theme(
        &self,
        request: Request<pb::GetThemeRequest>,
    ) -> Result<Response<pb::GetThemeResponse>, Status> {
        self.journal.ready().await;
        respond(self.get(&tenant(&request), request.get_ref()))
    }

    async fn create_theme(
        &self,
        request: Request<pb::CreateThemeRequest>,
    ) -> Result<Response<pb::CreateThemeResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.create(caller, request).await)
    }

    async fn update_theme(
        &self,
        request: Request<pb::UpdateThemeRequest>,
    ) -> Result<Response<pb::UpdateThemeResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.update(caller, request).await)
    }

    async fn delete_theme(
        &self,
        request: Request<pb::DeleteThemeRequest>,
    ) -> Result<Response<pb::DeleteThemeResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.delete(caller, request).await)
    }

    async fn restore_theme(
        &self,
        request: Request<pb::RestoreThemeRequest>,
    ) -> Result<Response<pb::RestoreThemeResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.restore(caller, request).await)
    }

    async fn list_theme_revisions(
        &self,
        request: Request<pb::ListThemeRevisionsRequest>,
    ) -> Result<Response<pb::ListThemeRevisionsResponse>, Status> {
        self.journal.ready().await;
        respond(self.revisions(&tenant(&request), request.get_ref()))
    }

    async fn rollback_themes(
        &self,
        request: Request<pb::RollbackThemesRequest>,
    ) -> Result<Response<pb::RollbackThemesResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.rollback(caller, request).await)
    }

    async fn replace_themes(
        &self,
        request: Request<pb::ReplaceThemesRequest>,
    ) -> Result<Response<pb::ReplaceThemesResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.replace(caller, request).await)
    }

    async fn export_themes(
        &self,
        request: Request<pb::ExportThemesRequest>,
    ) -> Result<Response<pb::ExportThemesResponse>, Status> {
        self.journal.ready().await;
        let state = self.journal.state();
        let mapping = Some(theme::mapping(&state.themes_of(&tenant(&request))));
        Ok(Response::new(pb::ExportThemesResponse { mapping }))
    }

    type WatchThemesStream = Watch<pb::WatchThemesResponse>;

    async fn watch_themes(
        &self,
        _: Request<pb::WatchThemesRequest>,
    ) -> Result<Response<Self::WatchThemesStream>, Status> {
        let mut sent = Sent::default();
        Ok(Response::new(watch(&self.journal, &self.draining, move |state| sent.next(state))))
    }

    async fn get_theme_overlay(
        &self,
        request: Request<pb::GetThemeOverlayRequest>,
    ) -> Result<Response<pb::GetThemeOverlayResponse>, Status> {
        self.journal.ready().await;
        respond(self.overlay(request.get_ref()).await)
    }
}

/// The wire form of one theme, as a caller of this tenant sees it.
fn theme_by_id(state: &State, tenant: &str, id: &str) -> Result<pb::Theme, Error> {
    let seen = state.themes_of(tenant).item(id).ok_or_else(|| theme_not_found(id))?;
    Ok(theme::theme(&seen))
}

/// Rewrites the field of an error of the mapping for the caller of a single theme: without the index of the theme.
fn relative_to_theme(error: Error, prefix: &str) -> Error {
    match error {
        Error::ThemeInvalid { field, problem } => {
            Error::ThemeInvalid { field: sets::field_of_item("themes", field, prefix), problem }
        }
        other => other,
    }
}

/// The error of a field within a message of the request.
fn within(error: Error, prefix: &str) -> Error {
    match error {
        Error::ThemeInvalid { field, problem } => {
            Error::ThemeInvalid { field: format!("{prefix}{field}"), problem }
        }
        other => other,
    }
}
