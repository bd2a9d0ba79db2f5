//! The tonic adapter of KeyService.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_mesh::status::respond;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::key_service_server::KeyService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Caller, Watch, caller, check_etag, invalid_page_token, page_size, watch};
use crate::audited_read::KEYS_LISTED;
use crate::audited_reads::AuditedReads;
use crate::change::Change;
use crate::journal::Journal;
use crate::key::{ID_PREFIX, Key, KeyRate, Secret, expiry, random_id};
use crate::key_uses::{KeyUses, MAX_REPORTED};
use crate::state::{State, VersionedKey};
use crate::{Error, convert};

/// Most keys in one message of a watch, so that it stays far below the limit of a message.
const WATCHED_PER_MESSAGE: usize = 1000;

/// Serves KeyService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    uses: Arc<KeyUses>,
    reads: Arc<AuditedReads>,
    /// Ends the watches: an endless response stream would delay the drain.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves these keys until `draining` is canceled.
    pub fn new(
        journal: Arc<Journal>,
        uses: Arc<KeyUses>,
        reads: Arc<AuditedReads>,
        draining: CancellationToken,
    ) -> Self {
        Self { journal, uses, reads, draining }
    }

    async fn list(&self, tenant: &str, request: &pb::ListKeysRequest) -> Result<pb::ListKeysResponse, Error> {
        let size = page_size(request.page_size)?;
        let state = self.journal.state();
        // A key that was deleted meanwhile still tells where the next page begins.
        let after = match request.page_token.as_str() {
            "" => Bound::Unbounded,
            last if last.starts_with(ID_PREFIX) => Bound::Excluded(last),
            _ => return Err(invalid_page_token()),
        };
        let mut keys = state
            .keys
            .range::<str, _>((after, Bound::Unbounded))
            .filter(|(_, known)| is_visible(&known.key, tenant));
        let page: Vec<_> = keys.by_ref().take(size).collect();
        let last = page.last().filter(|_| keys.next().is_some());
        let next_page_token = last.map(|(id, _)| (*id).clone()).unwrap_or_default();
        let ids: Vec<_> = page.iter().map(|(id, _)| id.as_str()).collect();
        let uses = self.uses.of(&ids).await;
        let key = |(id, known): (&String, &Arc<VersionedKey>)| pb::ApiKey {
            last_use_time: uses.get(id).map(|time| (*time).into()),
            ..convert::key::key(known)
        };
        let keys = page.into_iter().map(key).collect();
        Ok(pb::ListKeysResponse { keys, next_page_token })
    }

    async fn create(
        &self,
        caller: Caller,
        request: pb::CreateKeyRequest,
    ) -> Result<pb::CreateKeyResponse, Error> {
        let pb::CreateKeyRequest {
            display_name,
            scope,
            tenant,
            expire_time,
            ttl,
            reason,
            rate_limit,
            rate_burst,
        } = request;
        let at = expire_time.map(convert::key::time).transpose()?;
        let ttl = ttl.map(convert::key::ttl).transpose()?;
        let secret = Secret::random();
        let key = Key {
            key_id: random_id(),
            display_name,
            scope: convert::key::scope(scope)?,
            tenant: tenant_of(&caller, tenant)?,
            expires: expiry(at, ttl, SystemTime::now())?,
            rate: KeyRate::read(&rate_limit, rate_burst)?,
            creator: caller.subject.clone(),
            digest: secret.digest(),
        };
        let decide = |_: &State| Ok(Some(Change::KeyCreated(key.clone())));
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        let key = Some(convert::key::key(state.key(&key.key_id)?));
        Ok(pb::CreateKeyResponse { key, secret: secret.into_text() })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteKeyRequest,
    ) -> Result<pb::DeleteKeyResponse, Error> {
        let pb::DeleteKeyRequest { key: key_id, etag, reason } = request;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            let known = state.key(&key_id)?;
            if !is_visible(&known.key, &tenant) {
                return Err(Error::KeyNotFound { key: key_id.clone() });
            }
            check_etag(&etag, &known.version.etag())?;
            Ok(Some(Change::KeyRevoked { key_id: key_id.clone(), tenant: known.key.tenant.clone() }))
        };
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        self.uses.forget(&key_id, |id| state.keys.contains_key(id)).await;
        Ok(pb::DeleteKeyResponse {})
    }

    async fn report_uses(
        &self,
        request: pb::ReportKeyUsesRequest,
    ) -> Result<pb::ReportKeyUsesResponse, Error> {
        let count = request.uses.len();
        if !(1..=MAX_REPORTED).contains(&count) {
            let problem = format!("must be 1 to {MAX_REPORTED}, are {count}: send several reports");
            return Err(Error::FieldInvalid { field: "uses".to_owned(), problem });
        }
        let uses = request.uses.into_iter().enumerate();
        let uses = uses.map(|(index, used)| convert::refusal::key_use(used, index));
        let uses = uses.collect::<Result<_, _>>()?;
        // A state that lacks the newest keys would drop their uses.
        self.journal.catch_up().await?;
        let state = self.journal.writable().await?;
        self.uses.record(uses, SystemTime::now(), |id| state.keys.contains_key(id)).await?;
        Ok(pb::ReportKeyUsesResponse {})
    }
}

/// The tenant of a new key: a caller that has one can give no other.
fn tenant_of(caller: &Caller, requested: String) -> Result<String, Error> {
    match caller.tenant.as_str() {
        "" => Ok(requested),
        own if requested.is_empty() || requested == own => Ok(own.to_owned()),
        _ => Err(Error::TenantMismatch { tenant: requested }),
    }
}

/// Whether a caller of this tenant may know of a key.
fn is_visible(key: &Key, tenant: &str) -> bool {
    tenant.is_empty() || key.tenant == tenant
}

/// All valid keys, in messages of which the last is marked.
fn valid_keys(keys: &BTreeMap<String, Arc<VersionedKey>>) -> Vec<pb::WatchKeysResponse> {
    let now = SystemTime::now();
    let valid = keys.values().filter(|known| !known.key.is_expired(now));
    let valid: Vec<_> = valid.map(|known| convert::key::watched(&known.key)).collect();
    let part = |keys: &[pb::WatchedKey]| pb::WatchKeysResponse { keys: keys.to_vec(), complete: false };
    let mut parts: Vec<_> = valid.chunks(WATCHED_PER_MESSAGE).map(part).collect();
    match parts.last_mut() {
        Some(last) => last.complete = true,
        None => parts.push(pb::WatchKeysResponse { keys: Vec::new(), complete: true }),
    }
    parts
}

#[tonic::async_trait]
impl KeyService for Service {
    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Result<Response<pb::ListKeysResponse>, Status> {
        self.journal.ready().await;
        let (caller, request) = caller(request);
        let listed = self.list(&caller.tenant, &request).await;
        if listed.is_ok() {
            self.reads.record(caller.read(KEYS_LISTED, "keys")).await;
        }
        respond(listed)
    }

    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Result<Response<pb::CreateKeyResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.create(caller, request).await)
    }

    async fn delete_key(
        &self,
        request: Request<pb::DeleteKeyRequest>,
    ) -> Result<Response<pb::DeleteKeyResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.delete(caller, request).await)
    }

    async fn report_key_uses(
        &self,
        request: Request<pb::ReportKeyUsesRequest>,
    ) -> Result<Response<pb::ReportKeyUsesResponse>, Status> {
        respond(self.report_uses(request.into_inner()).await)
    }

    type WatchKeysStream = Watch<pb::WatchKeysResponse>;

    async fn watch_keys(
        &self,
        _: Request<pb::WatchKeysRequest>,
    ) -> Result<Response<Self::WatchKeysStream>, Status> {
        let mut sent = None;
        let news = move |state: &State| {
            // At position 0 the log is not read yet: a watcher must not take that for no keys.
            if state.position == 0 || sent.as_ref() == Some(&state.keys) {
                return Vec::new();
            }
            sent = Some(Arc::clone(&state.keys));
            valid_keys(&state.keys)
        };
        Ok(Response::new(watch(&self.journal, &self.draining, news)))
    }
}
