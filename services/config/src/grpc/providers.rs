//! The tonic adapter of ProviderService.

use std::sync::Arc;

use dataflow_mesh::status::to_status;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::provider_service_server::ProviderService;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::{answered, matching, missing, origin};
use crate::change::Change;
use crate::journal::Journal;
use crate::provider::Provider;
use crate::state::State;
use crate::{Error, convert, mask};

/// What an update may change.
const FIELDS: &[&str] = &[
    "display_name",
    "base_url",
    "dialect",
    "agency",
    "data_quota",
    "structure_quota",
    "allow_plain_http",
    "allow_private_address",
    "disabled",
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

    async fn create(
        &self,
        metadata: &MetadataMap,
        request: pb::CreateProviderRequest,
    ) -> Result<pb::CreateProviderResponse, Error> {
        let pb::CreateProviderRequest { provider_id, provider, reason } = request;
        let given = provider.ok_or_else(|| missing("provider"))?;
        let provider: Provider = pb::Provider { provider_id, ..given }.try_into()?;
        let decide = |state: &State| {
            if state.providers.contains_key(&provider.provider_id) {
                return Err(Error::ProviderExists { provider: provider.provider_id.clone() });
            }
            Ok(Some(Change::ProviderPut(provider.clone())))
        };
        let state = self.journal.change(origin(metadata, reason)?, decide).await?;
        let provider = Some(convert::provider(state.provider(&provider.provider_id)?));
        Ok(pb::CreateProviderResponse { provider })
    }

    async fn update(
        &self,
        metadata: &MetadataMap,
        request: pb::UpdateProviderRequest,
    ) -> Result<pb::UpdateProviderResponse, Error> {
        let pb::UpdateProviderRequest { provider, update_mask, reason } = request;
        let given = provider.ok_or_else(|| missing("provider"))?;
        let fields = mask::fields(update_mask.as_ref().map(|mask| mask.paths.as_slice()), FIELDS)?;
        let decide = |state: &State| {
            let present = state.provider(&given.provider_id)?;
            matching(&given.etag, &present.stamp.etag())?;
            let new = merged(&present.provider, &given, &fields)?;
            Ok((new != present.provider).then_some(Change::ProviderPut(new)))
        };
        let state = self.journal.change(origin(metadata, reason)?, decide).await?;
        let provider = Some(convert::provider(state.provider(&given.provider_id)?));
        Ok(pb::UpdateProviderResponse { provider })
    }

    async fn delete(
        &self,
        metadata: &MetadataMap,
        request: pb::DeleteProviderRequest,
    ) -> Result<pb::DeleteProviderResponse, Error> {
        let pb::DeleteProviderRequest { provider, etag, reason } = request;
        let decide = |state: &State| {
            matching(&etag, &state.provider(&provider)?.stamp.etag())?;
            Ok(Some(Change::ProviderRemoved { provider_id: provider.clone() }))
        };
        self.journal.change(origin(metadata, reason)?, decide).await?;
        Ok(pb::DeleteProviderResponse {})
    }
}

#[tonic::async_trait]
impl ProviderService for Service {
    async fn list_providers(
        &self,
        _: Request<pb::ListProvidersRequest>,
    ) -> Result<Response<pb::ListProvidersResponse>, Status> {
        self.journal.settled().await;
        let state = self.journal.state();
        let providers = state.providers.values().map(|provider| convert::provider(provider)).collect();
        Ok(Response::new(pb::ListProvidersResponse { providers }))
    }

    async fn get_provider(
        &self,
        request: Request<pb::GetProviderRequest>,
    ) -> Result<Response<pb::GetProviderResponse>, Status> {
        self.journal.settled().await;
        let state = self.journal.state();
        let found = state.provider(&request.get_ref().provider).map_err(|error| to_status(&error))?;
        Ok(Response::new(pb::GetProviderResponse { provider: Some(convert::provider(found)) }))
    }

    async fn create_provider(
        &self,
        request: Request<pb::CreateProviderRequest>,
    ) -> Result<Response<pb::CreateProviderResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answered(self.create(&metadata, request).await)
    }

    async fn update_provider(
        &self,
        request: Request<pb::UpdateProviderRequest>,
    ) -> Result<Response<pb::UpdateProviderResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answered(self.update(&metadata, request).await)
    }

    async fn delete_provider(
        &self,
        request: Request<pb::DeleteProviderRequest>,
    ) -> Result<Response<pb::DeleteProviderResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answered(self.delete(&metadata, request).await)
    }
}

/// A provider with the named fields of another.
fn merged(provider: &Provider, given: &pb::Provider, fields: &[&str]) -> Result<Provider, Error> {
    let mut merged = pb::Provider::from(provider);
    for field in fields {
        match *field {
            "display_name" => merged.display_name.clone_from(&given.display_name),
            "base_url" => merged.base_url.clone_from(&given.base_url),
            "dialect" => merged.dialect = given.dialect,
            "agency" => merged.agency.clone_from(&given.agency),
            "data_quota" => merged.data_quota = given.data_quota,
            "structure_quota" => merged.structure_quota = given.structure_quota,
            "allow_plain_http" => merged.allow_plain_http = given.allow_plain_http,
            "allow_private_address" => merged.allow_private_address = given.allow_private_address,
            _ => merged.disabled = given.disabled,
        }
    }
    merged.try_into()
}
