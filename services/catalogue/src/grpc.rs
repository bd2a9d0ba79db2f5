//! The tonic adapter of CatalogueService.

use std::sync::{Arc, Mutex, PoisonError};

use dataflow_mesh::identity::Identity;
use dataflow_mesh::inbound::Claimant;
use dataflow_mesh::propagation::REQUEST_ID;
use dataflow_mesh::response::ResponseGuards;
use dataflow_mesh::status::respond;
use dataflow_proto::catalogue::v1 as pb;
use dataflow_proto::catalogue::v1::catalogue_service_server::CatalogueService;
use dataflow_proto::google::api::HttpBody;
use dataflow_uploads::budget::ResultMemory;
use dataflow_uploads::messages::{announced_digest, parts};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use crate::catalogues::{Catalogues, Compared, Upload, Verified};
use crate::{Error, convert};

/// Serves CatalogueService.
#[derive(Debug, Clone)]
pub struct Service {
    catalogues: Catalogues,
    /// Maximum size of a response, in bytes.
    max_message: usize,
}

impl Service {
    /// Serves these catalogues, with responses of at most `max_message` bytes.
    pub fn new(catalogues: Catalogues, max_message: usize) -> Self {
        Self { catalogues, max_message }
    }

    async fn create(
        &self,
        request: Request<Streaming<pb::CreateSnapshotRequest>>,
    ) -> Result<pb::CreateSnapshotResponse, Error> {
        let (head, extensions, mut messages) = request.into_parts();
        let request_id =
            head.get(REQUEST_ID.as_str()).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let digest = announced_digest(&head)?;
        let first = messages.message().await?.unwrap_or_default();
        let provider = convert::provider(&first.provider)?.to_owned();
        convert::source(&first.source)?;
        let claimant = Claimant::of(&extensions, false);
        let upload = Upload { claimant, provider: provider.clone(), request_id, digest };
        let sources = Arc::new(Mutex::new(Sources::default()));
        let (noted, taken) = (Arc::clone(&sources), sources);
        let parts = parts(first, messages, move |message| {
            let pb::CreateSnapshotRequest { source, document, .. } = message;
            noted.lock().unwrap_or_else(PoisonError::into_inner).note(source, document.as_ref());
            document
        });
        let sources =
            move || std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner)).begun;
        let (record, created) = self.catalogues.create(upload, parts, sources).await?;
        Ok(pb::CreateSnapshotResponse { snapshot: Some(convert::snapshot(&provider, &record)), created })
    }

    async fn list(
        &self,
        tenant: &str,
        request: &pb::ListSnapshotsRequest,
    ) -> Result<pb::ListSnapshotsResponse, Error> {
        let provider = convert::provider(&request.provider)?;
        let all = self.catalogues.snapshots().list(tenant, provider).await?;
        let (page, next_page_token) = convert::page(all, (request.page_size, &request.page_token))?;
        let snapshots = page.iter().map(|record| convert::snapshot(provider, record)).collect();
        Ok(pb::ListSnapshotsResponse { snapshots, next_page_token })
    }

    async fn get(
        &self,
        tenant: &str,
        request: &pb::GetSnapshotRequest,
    ) -> Result<pb::GetSnapshotResponse, Error> {
        let provider = convert::provider(&request.provider)?;
        let record = self.catalogues.snapshots().get(tenant, provider, &request.snapshot).await?;
        Ok(pb::GetSnapshotResponse { snapshot: Some(convert::snapshot(provider, &record)) })
    }

    async fn delete(
        &self,
        tenant: &str,
        request: &pb::DeleteSnapshotRequest,
    ) -> Result<pb::DeleteSnapshotResponse, Error> {
        let provider = convert::provider(&request.provider)?;
        self.catalogues.snapshots().delete(tenant, provider, &request.snapshot).await?;
        Ok(pb::DeleteSnapshotResponse {})
    }

    async fn verify(
        &self,
        tenant: &Arc<str>,
        request: &pb::VerifySnapshotRequest,
    ) -> Result<pb::VerifySnapshotResponse, Error> {
        let provider = convert::provider(&request.provider)?;
        let Verified { record, found } = self.catalogues.verify(tenant, provider, &request.snapshot).await?;
        Ok(pb::VerifySnapshotResponse {
            snapshot: Some(convert::snapshot(provider, &record)),
            found_hash: found.map(|found| convert::hash(&found)).unwrap_or_default(),
            intact: found == Some(record.hash),
        })
    }

    async fn diff(
        &self,
        tenant: &Arc<str>,
        request: &pb::DiffSnapshotsRequest,
    ) -> Result<(pb::DiffSnapshotsResponse, ResultMemory), Error> {
        let provider = convert::provider(&request.provider)?;
        let compared = self.catalogues.diff(tenant, provider, (&request.base, &request.head)).await?;
        let Compared { base, head, diff, mut memory } = compared;
        let diff = pb::Diff {
            provider: provider.to_owned(),
            base: base.snapshot_id(),
            head: head.snapshot_id(),
            suspicious: head.last().suspicious,
            ..convert::diff(diff)
        };
        let response = pb::DiffSnapshotsResponse { diff: Some(diff) };
        let size = response.encoded_len();
        if size > self.max_message {
            return Err(dataflow_uploads::Error::ResultTooLarge { limit: self.max_message }.into());
        }
        memory.take_up_to(size as u64)?;
        Ok((response, memory))
    }
}

#[tonic::async_trait]
impl CatalogueService for Service {
    async fn create_snapshot(
        &self,
        request: Request<Streaming<pb::CreateSnapshotRequest>>,
    ) -> Result<Response<pb::CreateSnapshotResponse>, Status> {
        respond(self.create(request).await)
    }

    async fn list_snapshots(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Result<Response<pb::ListSnapshotsResponse>, Status> {
        respond(self.list(&tenant(&request), request.get_ref()).await)
    }

    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<pb::GetSnapshotResponse>, Status> {
        respond(self.get(&tenant(&request), request.get_ref()).await)
    }

    async fn delete_snapshot(
        &self,
        request: Request<pb::DeleteSnapshotRequest>,
    ) -> Result<Response<pb::DeleteSnapshotResponse>, Status> {
        respond(self.delete(&tenant(&request), request.get_ref()).await)
    }

    async fn verify_snapshot(
        &self,
        request: Request<pb::VerifySnapshotRequest>,
    ) -> Result<Response<pb::VerifySnapshotResponse>, Status> {
        respond(self.verify(&tenant(&request), request.get_ref()).await)
    }

    async fn diff_snapshots(
        &self,
        request: Request<pb::DiffSnapshotsRequest>,
    ) -> Result<Response<pb::DiffSnapshotsResponse>, Status> {
        let (response, memory) = respond(self.diff(&tenant(&request), request.get_ref()).await)?.into_inner();
        let mut guards = ResponseGuards::default();
        guards.set_message(response.encoded_len());
        guards.keep(Arc::new(memory));
        let mut response = Response::new(response);
        response.extensions_mut().insert(guards);
        Ok(response)
    }
}

/// The names of the documents that have begun.
#[derive(Debug, Default)]
struct Sources {
    begun: Vec<String>,
    /// The name that a message before the first document states.
    first: String,
}

// === impl Sources ===

impl Sources {
    /// The most names that are kept: more documents than a call may have.
    const MOST: usize = 1024;

    /// Notes the name in a message, which may begin a document. A long name of a further document is cut: it is for people.
    fn note(&mut self, mut source: String, document: Option<&HttpBody>) {
        source.truncate(source.floor_char_boundary(convert::MAX_SOURCE));
        let begins = document.is_some_and(|document| !document.content_type.is_empty());
        let has_data = document.is_some_and(|document| !document.data.is_empty());
        if self.begun.is_empty() && !source.is_empty() {
            self.first = source;
        } else if begins && !self.begun.is_empty() && self.begun.len() < Self::MOST {
            self.begun.push(source);
            return;
        }
        if self.begun.is_empty() && (begins || has_data) {
            self.begun.push(std::mem::take(&mut self.first));
        }
    }
}

/// The tenant of the caller; empty if it belongs to none.
fn tenant<T>(request: &Request<T>) -> Arc<str> {
    Identity::of(request.extensions()).tenant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_has_the_name_of_the_message_that_begins_it() {
        let check = |messages: &[(&str, &str, &str)], expected: &[&str]| {
            let mut sources = Sources::default();
            for (source, content_type, data) in messages {
                let data = data.as_bytes().to_vec().into();
                let document =
                    HttpBody { content_type: (*content_type).to_owned(), data, ..Default::default() };
                sources.note((*source).to_owned(), Some(&document));
            }
            assert_eq!(sources.begun, expected, "{messages:?}");
        };
        check(&[], &[]);
        check(&[("", "", ""), ("a", "xml", ""), ("", "", "x"), ("b", "xml", "y")], &["a", "b"]);
        // Over REST the first message has the name, with a content type or without one.
        check(&[("a", "xml", ""), ("", "", "x")], &["a"]);
        check(&[("a", "", ""), ("", "", "x")], &["a"]);
        check(&[("a", "xml", "x"), ("", "xml", "y")], &["a", ""]);
        check(&[("", "", "x"), ("b", "xml", "y")], &["", "b"]);
        check(&[("", "xml", "x"), ("b", "", "y")], &[""]);
        // As many bytes as a name may have, and not half of a character.
        let (whole, longer) =
            ("x".repeat(convert::MAX_SOURCE), "x".repeat(convert::MAX_SOURCE - 1) + "\u{e0}");
        check(&[("", "xml", "x"), (&whole, "xml", "y")], &["", &whole]);
        check(&[("", "xml", "x"), (&longer, "xml", "y")], &["", &whole[1..]]);
    }
}
