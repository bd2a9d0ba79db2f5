//! The tonic adapter of FlagService.

use std::sync::Arc;

use dataflow_mesh::status::respond;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::flag_service_server::FlagService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Caller, Watch, caller, check_etag, missing_field, watch};
use crate::Error;
use crate::change::Change;
use crate::convert::flag::{NEVER_SET, flag, from_wire, to_wire};
use crate::flag::{FLAGS, Flag, describe};
use crate::journal::Journal;
use crate::state::State;

/// Serves FlagService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    /// Ends the watches: an endless response stream would delay the drain.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves these flags until `draining` is canceled.
    pub fn new(journal: Arc<Journal>, draining: CancellationToken) -> Self {
        Self { journal, draining }
    }

    fn list(&self) -> pb::ListFlagsResponse {
        let state = self.journal.state();
        pb::ListFlagsResponse { flags: FLAGS.iter().map(|(id, _)| seen(&state, id)).collect() }
    }

    fn get(&self, request: &pb::GetFlagRequest) -> Result<pb::GetFlagResponse, Error> {
        describe(&request.flag)?;
        Ok(pb::GetFlagResponse { flag: Some(seen(&self.journal.state(), &request.flag)) })
    }

    async fn set(&self, caller: Caller, request: pb::SetFlagRequest) -> Result<pb::SetFlagResponse, Error> {
        let pb::SetFlagRequest { flag, reason } = request;
        let given = flag.ok_or_else(|| missing_field("flag"))?;
        let etag = given.etag.clone();
        let new = from_wire(given);
        new.validate()?;
        let decide = |state: &State| {
            let set = state.flags.get(&new.flag_id);
            let current = set.map_or_else(|| NEVER_SET.to_owned(), |set| set.version.etag());
            check_etag(&etag, &current)?;
            let is_same = set.is_some_and(|set| set.flag == new);
            Ok((!is_same).then(|| Change::FlagPut(new.clone())))
        };
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        Ok(pb::SetFlagResponse { flag: Some(seen(&state, &new.flag_id)) })
    }
}

/// The wire form of a flag, set or not.
fn seen(state: &State, id: &str) -> pb::Flag {
    match state.flags.get(id) {
        Some(set) => flag(&set.flag, Some(set)),
        None => flag(&Flag::off(id), None),
    }
}

#[tonic::async_trait]
impl FlagService for Service {
    async fn list_flags(
        &self,
        _: Request<pb::ListFlagsRequest>,
    ) -> Result<Response<pb::ListFlagsResponse>, Status> {
        self.journal.ready().await;
        Ok(Response::new(self.list()))
    }

    async fn get_flag(
        &self,
        request: Request<pb::GetFlagRequest>,
    ) -> Result<Response<pb::GetFlagResponse>, Status> {
        self.journal.ready().await;
        respond(self.get(request.get_ref()))
    }

    async fn set_flag(
        &self,
        request: Request<pb::SetFlagRequest>,
    ) -> Result<Response<pb::SetFlagResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.set(caller, request).await)
    }

    type WatchFlagsStream = Watch<pb::WatchFlagsResponse>;

    async fn watch_flags(
        &self,
        _: Request<pb::WatchFlagsRequest>,
    ) -> Result<Response<Self::WatchFlagsStream>, Status> {
        let mut sent = None;
        let news = move |state: &State| {
            // At position 0 the log is not read yet: a watcher must not take that for no flags.
            let is_news = state.position > 0 && sent.as_ref() != Some(&state.flags);
            is_news.then(|| {
                sent = Some(Arc::clone(&state.flags));
                let flags = state.flags.values().map(|set| to_wire(&set.flag)).collect();
                pb::WatchFlagsResponse { flags }
            })
        };
        Ok(Response::new(watch(&self.journal, &self.draining, news)))
    }
}
