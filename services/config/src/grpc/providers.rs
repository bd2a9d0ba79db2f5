//! The tonic adapter of ProviderService.

use std::sync::Arc;

use dataflow_mesh::status::respond;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::provider_service_server::ProviderService;
use tonic::{Request, Response, Status};

use super::mask::{self, Field, fields};
use super::{Caller, caller, check_etag, missing_field, tenant};
use crate::change::{Change, TenantChange};
use crate::journal::Journal;
use crate::provider::Provider;
use crate::state::{State, VersionedProvider};
use crate::{Error, convert};

/// The updatable fields.
static FIELDS: &[Field<pb::Provider>] = fields![
    display_name,
    base_url,
    dialect,
    agency,
    data_quota,
    data_quota.calls,
    data_quota.period,
    structure_quota,
    structure_quota.calls,
    structure_quota.period,
    allow_plain_http,
    allow_private_address,
    disabled,
    license,
    terms_url,
    attribution,
];

/// Serves ProviderService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
}

// === impl Service ===

impl Service {
    /// Serves these providers.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self { journal }
    }

    fn get(&self, tenant: &str, request: &pb::GetProviderRequest) -> Result<pb::GetProviderResponse, Error> {
        let state = self.journal.state();
        let provider = Some(convert::provider(&state.provider_of(tenant, &request.provider)?));
        Ok(pb::GetProviderResponse { provider })
    }

    async fn create(
        &self,
        caller: Caller,
        request: pb::CreateProviderRequest,
    ) -> Result<pb::CreateProviderResponse, Error> {
        let pb::CreateProviderRequest { provider_id, provider, reason, validate_only } = request;
        let given = provider.ok_or_else(|| missing_field("provider"))?;
        let provider: Provider = pb::Provider { provider_id, ..given }.try_into()?;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            if state.provider_of(&tenant, &provider.provider_id).is_ok() {
                return Err(Error::ProviderExists { provider: provider.provider_id.clone() });
            }
            Ok(Some(Change::provider_put(&tenant, provider.clone())))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let provider = Some(convert::provider(&state.provider_of(&tenant, &provider.provider_id)?));
        Ok(pb::CreateProviderResponse { provider })
    }

    async fn update(
        &self,
        caller: Caller,
        request: pb::UpdateProviderRequest,
    ) -> Result<pb::UpdateProviderResponse, Error> {
        let pb::UpdateProviderRequest { provider, update_mask, reason, validate_only } = request;
        let given = provider.ok_or_else(|| missing_field("provider"))?;
        let fields = mask::select(update_mask.as_ref(), FIELDS)?;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            let VersionedProvider { provider, version } =
                state.provider_of(&tenant, &given.provider_id)?.provider;
            check_etag(&given.etag, &version.etag())?;
            let new: Provider = mask::merge(pb::Provider::from(provider), &given, &fields).try_into()?;
            Ok((new != *provider).then(|| Change::provider_put(&tenant, new)))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let provider = Some(convert::provider(&state.provider_of(&tenant, &given.provider_id)?));
        Ok(pb::UpdateProviderResponse { provider })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteProviderRequest,
    ) -> Result<pb::DeleteProviderResponse, Error> {
        let pb::DeleteProviderRequest { provider, etag, reason, validate_only } = request;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            check_etag(&etag, &state.provider_of(&tenant, &provider)?.provider.version.etag())?;
            Ok(Some(Change::provider_removed(&tenant, &provider)))
        };
        self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        Ok(pb::DeleteProviderResponse {})
    }

    async fn restore(
        &self,
        caller: Caller,
        request: pb::RestoreProviderRequest,
    ) -> Result<pb::RestoreProviderResponse, Error> {
        let pb::RestoreProviderRequest { provider: id, etag, reason, validate_only } = request;
        let tenant = caller.tenant.clone();
        if tenant.is_empty() {
            return Err(Error::TenantMissing);
        }
        let decide = |state: &State| {
            let present = state.provider_of(&tenant, &id);
            let current = present.as_ref().map(|present| present.provider.version.etag());
            check_etag(&etag, &current.unwrap_or_default())?;
            let own = state.tenants.get(&tenant).and_then(|tenant| tenant.providers.get(&id));
            if own.is_none() {
                present?;
            }
            let change = TenantChange::ProviderRestored { provider_id: id.clone() };
            Ok(own.map(|_| change.of(&tenant)))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let provider = state.provider_of(&tenant, &id).ok().map(|seen| convert::provider(&seen));
        Ok(pb::RestoreProviderResponse { provider })
    }
}

#[tonic::async_trait]
impl ProviderService for Service {
    async fn list_providers(
        &self,
        request: Request<pb::ListProvidersRequest>,
    ) -> Result<Response<pb::ListProvidersResponse>, Status> {
        self.journal.ready().await;
        let (tenant, state) = (tenant(&request), self.journal.state());
        let providers = state.providers_of(&tenant).map(|seen| convert::provider(&seen)).collect();
        Ok(Response::new(pb::ListProvidersResponse { providers }))
    }

    async fn get_provider(
        &self,
        request: Request<pb::GetProviderRequest>,
    ) -> Result<Response<pb::GetProviderResponse>, Status> {
        self.journal.ready().await;
        respond(self.get(&tenant(&request), request.get_ref()))
    }

    async fn create_provider(
        &self,
        request: Request<pb::CreateProviderRequest>,
    ) -> Result<Response<pb::CreateProviderResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.create(caller, request).await)
    }

    async fn update_provider(
        &self,
        request: Request<pb::UpdateProviderRequest>,
    ) -> Result<Response<pb::UpdateProviderResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.update(caller, request).await)
    }

    async fn delete_provider(
        &self,
        request: Request<pb::DeleteProviderRequest>,
    ) -> Result<Response<pb::DeleteProviderResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.delete(caller, request).await)
    }

    async fn restore_provider(
        &self,
        request: Request<pb::RestoreProviderRequest>,
    ) -> Result<Response<pb::RestoreProviderResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.restore(caller, request).await)
    }
}
