//! The tonic adapter of CacheService.

use std::time::Duration;

use dataflow_mesh::identity::Identity;
use dataflow_mesh::status::respond;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::CacheService;
use futures_util::{StreamExt, stream};
use tonic::{Request, Response, Status};

use crate::Error;
use crate::args::CacheArgs;
use crate::convert;
use crate::entries::{Entries, Written};
use crate::entry::{Lookup, Read};
use crate::key::{Caller, Key};
use crate::lease::LeaseOutcome;
use crate::permits::Permits;

/// Concurrent reads of one batch.
const MAX_CONCURRENT_READS: usize = 8;

/// Serves CacheService.
#[derive(Debug, Clone)]
pub struct Service {
    entries: Entries,
    permits: Permits,
    args: CacheArgs,
    /// The response size limit, in bytes.
    max_response: usize,
}

impl Service {
    /// Serves these entries and permits within the limits of `args`, with responses of at most `max_response` bytes.
    pub fn new(entries: Entries, permits: Permits, args: CacheArgs, max_response: usize) -> Self {
        Self { entries, permits, args, max_response }
    }

    /// A fresh entry, and whether the store was unreachable.
    async fn fresh(&self, caller: &Caller, key: &str) -> Result<(pb::Entry, bool), Error> {
        let key = convert::key(caller, key, "key")?;
        match self.entries.get(&key).await {
            Read { lookup: Lookup::Fresh(entry), degraded } => Ok((convert::entry(&key, entry), degraded)),
            Read { degraded, .. } => Err(Error::EntryNotFound { key: key.to_string(), degraded }),
        }
    }

    async fn get(&self, caller: Caller, request: pb::GetEntryRequest) -> Result<pb::GetEntryResponse, Error> {
        let (entry, degraded) = self.fresh(&caller, &request.key).await?;
        Ok(pb::GetEntryResponse { entry: Some(entry), degraded })
    }

    async fn batch_get(
        &self,
        caller: Caller,
        request: pb::BatchGetEntriesRequest,
    ) -> Result<pb::BatchGetEntriesResponse, Error> {
        let keys = convert::keys(&caller, &request.keys, self.args.max_batch)?;
        let reads = stream::iter(keys).map(|key| {
            let entries = self.entries.clone();
            async move {
                let read = entries.get(&key).await;
                (key, read)
            }
        });
        let mut reads = std::pin::pin!(reads.buffered(MAX_CONCURRENT_READS));
        let (mut response, mut size) = (pb::BatchGetEntriesResponse::default(), 0);
        while let Some((key, Read { lookup, degraded })) = reads.next().await {
            match lookup {
                Lookup::Fresh(entry) => {
                    size += entry.value.len();
                    response.entries.push(convert::entry(&key, entry));
                }
                Lookup::Stale(_) | Lookup::Miss => response.missing.push(key.to_string()),
            }
            response.degraded |= degraded;
            // Checked before further reads: values may be large, and many.
            if size > self.max_response {
                return Err(Error::ResponseTooLarge { limit: self.max_response });
            }
        }
        Ok(response)
    }

    async fn lease(
        &self,
        caller: Caller,
        request: pb::LeaseEntryRequest,
    ) -> Result<pb::LeaseEntryResponse, Error> {
        let key = convert::key(&caller, &request.key, "key")?;
        let tags = convert::tags(key.namespace(), &request.tags, "tags", &self.args)?;
        let options = convert::lease_options(&request, &self.args)?;
        let (entry, lease, degraded) = match self.entries.lease(&key, &tags, options).await? {
            LeaseOutcome::Fresh(entry) => (Some(convert::entry(&key, entry)), None, false),
            LeaseOutcome::Stale(entry) => {
                let ttl = convert::wire_duration(Duration::ZERO);
                (Some(pb::Entry { stale: true, ttl, ..convert::entry(&key, entry) }), None, false)
            }
            LeaseOutcome::Granted { token, generations } => {
                let generations = convert::generations(&tags, &generations);
                let hold = convert::wire_duration(options.hold);
                (None, Some(pb::Lease { token: token.to_string(), generations, hold }), false)
            }
            LeaseOutcome::Busy => (None, None, false),
            LeaseOutcome::Degraded => (None, None, true),
        };
        Ok(pb::LeaseEntryResponse { entry, lease, degraded })
    }

    async fn release(
        &self,
        caller: Caller,
        request: pb::ReleaseLeaseRequest,
    ) -> Result<pb::ReleaseLeaseResponse, Error> {
        let key = convert::key(&caller, &request.key, "key")?;
        let released = self.entries.release(&key, convert::token(&request.token)?).await?;
        Ok(pb::ReleaseLeaseResponse { released })
    }

    async fn generations(
        &self,
        caller: Caller,
        request: pb::GetGenerationsRequest,
    ) -> Result<pb::GetGenerationsResponse, Error> {
        let namespace = convert::namespace(&caller, &request.namespace)?;
        let tags = convert::tags(&namespace, &request.tags, "tags", &self.args)?;
        let generations = self.entries.generations(&tags).await?;
        Ok(pb::GetGenerationsResponse { generations: convert::generations(&tags, &generations) })
    }

    async fn set(&self, caller: Caller, request: pb::SetEntryRequest) -> Result<pb::SetEntryResponse, Error> {
        let convert::Write { key, new, generations, over } = convert::write(&caller, request, &self.args)?;
        Ok(match self.entries.set(&key, new, generations, over).await? {
            Written::Stored(version) => {
                pb::SetEntryResponse { stored: true, etag: version.to_string(), degraded: false }
            }
            Written::LeaseEnded => pb::SetEntryResponse::default(),
            Written::Degraded => pb::SetEntryResponse { degraded: true, ..Default::default() },
        })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteEntryRequest,
    ) -> Result<pb::DeleteEntryResponse, Error> {
        let key = convert::key(&caller, &request.key, "key")?;
        let deleted = self.entries.delete(&key, convert::version(&request.etag, "etag")?).await?;
        Ok(pb::DeleteEntryResponse { deleted })
    }

    async fn delete_prefix(
        &self,
        caller: Caller,
        request: pb::DeletePrefixRequest,
    ) -> Result<pb::DeletePrefixResponse, Error> {
        let prefix: Result<Key, _> = caller.prefix(&request.prefix);
        let prefix = prefix.map_err(|problem| Error::KeyInvalid { field: "prefix".to_owned(), problem })?;
        let deleted = self.entries.delete_prefix(&prefix).await?;
        Ok(pb::DeletePrefixResponse { deleted: i32::try_from(deleted).unwrap_or(i32::MAX) })
    }

    async fn invalidate(
        &self,
        caller: Caller,
        request: pb::InvalidateTagsRequest,
    ) -> Result<pb::InvalidateTagsResponse, Error> {
        let namespace = convert::namespace(&caller, &request.namespace)?;
        let tags = convert::tags(&namespace, &request.tags, "tags", &self.args)?;
        self.entries.invalidate(&tags).await?;
        Ok(pb::InvalidateTagsResponse {})
    }

    async fn exists(
        &self,
        caller: Caller,
        request: pb::EntryExistsRequest,
    ) -> Result<pb::EntryExistsResponse, Error> {
        let (exists, degraded) = match self.fresh(&caller, &request.key).await {
            Ok((_, degraded)) => (true, degraded),
            Err(Error::EntryNotFound { degraded, .. }) => (false, degraded),
            Err(error) => return Err(error),
        };
        Ok(pb::EntryExistsResponse { exists, degraded })
    }

    async fn ttl(
        &self,
        caller: Caller,
        request: pb::GetEntryTtlRequest,
    ) -> Result<pb::GetEntryTtlResponse, Error> {
        let (entry, degraded) = self.fresh(&caller, &request.key).await?;
        Ok(pb::GetEntryTtlResponse { ttl: entry.ttl, degraded })
    }

    async fn take(&self, request: &pb::TakePermitsRequest) -> Result<pb::TakePermitsResponse, Error> {
        self.permits.take(convert::take(request)?).await.map(convert::taken)
    }

    fn stats(&self, caller: &Caller) -> pb::GetStatsResponse {
        convert::stats(self.entries.stats(caller))
    }
}

/// The caller and the message of a request.
fn parts<T>(request: Request<T>) -> (Caller, T) {
    let (_, extensions, request) = request.into_parts();
    (convert::caller(Identity::of(&extensions)), request)
}

#[tonic::async_trait]
impl CacheService for Service {
    async fn get_entry(
        &self,
        request: Request<pb::GetEntryRequest>,
    ) -> Result<Response<pb::GetEntryResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.get(caller, request).await)
    }

    async fn batch_get_entries(
        &self,
        request: Request<pb::BatchGetEntriesRequest>,
    ) -> Result<Response<pb::BatchGetEntriesResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.batch_get(caller, request).await)
    }

    async fn lease_entry(
        &self,
        request: Request<pb::LeaseEntryRequest>,
    ) -> Result<Response<pb::LeaseEntryResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.lease(caller, request).await)
    }

    async fn release_lease(
        &self,
        request: Request<pb::ReleaseLeaseRequest>,
    ) -> Result<Response<pb::ReleaseLeaseResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.release(caller, request).await)
    }

    async fn get_generations(
        &self,
        request: Request<pb::GetGenerationsRequest>,
    ) -> Result<Response<pb::GetGenerationsResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.generations(caller, request).await)
    }

    async fn set_entry(
        &self,
        request: Request<pb::SetEntryRequest>,
    ) -> Result<Response<pb::SetEntryResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.set(caller, request).await)
    }

    async fn delete_entry(
        &self,
        request: Request<pb::DeleteEntryRequest>,
    ) -> Result<Response<pb::DeleteEntryResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.delete(caller, request).await)
    }

    async fn delete_prefix(
        &self,
        request: Request<pb::DeletePrefixRequest>,
    ) -> Result<Response<pb::DeletePrefixResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.delete_prefix(caller, request).await)
    }

    async fn invalidate_tags(
        &self,
        request: Request<pb::InvalidateTagsRequest>,
    ) -> Result<Response<pb::InvalidateTagsResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.invalidate(caller, request).await)
    }

    async fn entry_exists(
        &self,
        request: Request<pb::EntryExistsRequest>,
    ) -> Result<Response<pb::EntryExistsResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.exists(caller, request).await)
    }

    async fn get_entry_ttl(
        &self,
        request: Request<pb::GetEntryTtlRequest>,
    ) -> Result<Response<pb::GetEntryTtlResponse>, Status> {
        let (caller, request) = parts(request);
        respond(self.ttl(caller, request).await)
    }

    async fn get_stats(
        &self,
        request: Request<pb::GetStatsRequest>,
    ) -> Result<Response<pb::GetStatsResponse>, Status> {
        let (caller, _) = parts(request);
        Ok(Response::new(self.stats(&caller)))
    }

    async fn take_permits(
        &self,
        request: Request<pb::TakePermitsRequest>,
    ) -> Result<Response<pb::TakePermitsResponse>, Status> {
        respond(self.take(request.get_ref()).await)
    }
}
