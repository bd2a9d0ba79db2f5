//! The watch of the mapping: what was sent, and so what differs.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::watch_themes_response::Changed;

use super::super::{CHANGED_PER_MESSAGE, sets};
use crate::convert::theme;
use crate::state::{State, Tenant, VersionedMapping};

/// What a watcher has.
#[derive(Default)]
pub(super) struct Sent {
    /// None before the first batch.
    shared: Option<Arc<VersionedMapping>>,
    tenants: Option<Arc<BTreeMap<String, Arc<Tenant>>>>,
    /// The revisions of changes, by tenant.
    revisions: BTreeMap<String, i64>,
}

// === impl Sent ===

impl Sent {
    /// What differs from what was sent. Nothing before the log was read: a watcher must not take the built-in mapping for
    /// the present one, nor that for no changes of tenants.
    pub(super) fn next(&mut self, state: &State) -> Vec<pb::WatchThemesResponse> {
        if state.position == 0 {
            return Vec::new();
        }
        let mut parts = Vec::new();
        if !self.shared.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &state.themes)) {
            let sent = self.shared.replace(Arc::clone(&state.themes));
            if sent.is_none_or(|sent| sent.set != state.themes.set) {
                let mapping = Some(theme::mapping(&state.themes_of("")));
                parts.push(pb::WatchThemesResponse { mapping, ..pb::WatchThemesResponse::default() });
            }
        }
        if !self.tenants.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &state.tenants)) {
            self.tenants = Some(Arc::clone(&state.tenants));
            let present = state.tenants.iter().filter_map(|(tenant, own)| {
                let changes = own.themes.as_ref().filter(|changes| !changes.overlay.is_empty())?;
                Some((tenant.clone(), changes.history.latest()))
            });
            let sent = std::mem::replace(&mut self.revisions, present.collect());
            let changed = sets::changed_revisions(&sent, &self.revisions).into_iter();
            let changed: Vec<_> = changed.map(|(tenant, revision)| Changed { tenant, revision }).collect();
            parts.extend(changed.chunks(CHANGED_PER_MESSAGE).map(|changed| pb::WatchThemesResponse {
                changed: changed.to_vec(),
                ..pb::WatchThemesResponse::default()
            }));
        }
        if let Some(last) = parts.last_mut() {
            last.complete = true;
        }
        parts
    }
}
