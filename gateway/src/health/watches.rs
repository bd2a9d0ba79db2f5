//! Watches of the upstreams' health: one for each service, shared by all callers that watch it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use dataflow_mesh::backoff::Backoff;
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::status::is_unknown_service;
use dataflow_mesh::tasks::Task;
use tokio::sync::watch;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The status of a service; none until the upstream has reported one.
type Status = Option<ServingStatus>;

/// The running watches, by service. Bounded by the number of services, which the descriptor set fixes.
#[derive(Debug, Clone, Default)]
pub(super) struct Watches(Arc<Mutex<HashMap<String, Weak<watch::Sender<Status>>>>>);

// === impl Watches ===

impl Watches {
    /// The status of a service, from the running watch or a new one, which ends with its last receiver.
    pub(super) fn of(&self, service: String, upstream: Outbound) -> watch::Receiver<Status> {
        let mut running = self.running();
        if let Some(sender) = running.get(&service).and_then(Weak::upgrade) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        running.insert(service.clone(), Arc::downgrade(&sender));
        let watches = self.clone();
        let following = async move {
            tokio::select! {
                () = follow(&service, &upstream, &sender) => {}
                () = watches.unused(&service, &sender) => {}
            }
        };
        Task::logged("health watch", following).detach();
        receiver
    }

    /// Resolves when no caller watches the service any more, after removing the watch.
    async fn unused(&self, service: &str, sender: &watch::Sender<Status>) {
        loop {
            sender.closed().await;
            let mut running = self.running();
            // Another caller may have come in between.
            if sender.receiver_count() == 0 {
                running.remove(service);
                return;
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Weak<watch::Sender<Status>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on what the upstream reports, for as long as there are callers.
async fn follow(service: &str, upstream: &Outbound, sender: &watch::Sender<Status>) {
    let mut backoff = Backoff::default();
    loop {
        let mut was_established = false;
        let request = HealthCheckRequest { service: service.to_owned() };
        let ended = match HealthClient::new(upstream.clone()).watch(request).await {
            Ok(answer) => {
                let mut statuses = answer.into_inner();
                loop {
                    match statuses.message().await {
                        Ok(Some(reported)) => {
                            backoff.reset();
                            was_established = true;
                            sender.send_replace(Some(reported.status()));
                        }
                        Ok(None) => break None,
                        Err(status) => break Some(status),
                    }
                }
            }
            Err(status) => Some(status),
        };
        let status = match ended {
            // The upstream has no health service, or does not know the name.
            Some(status) if is_unknown_service(&status) => ServingStatus::ServiceUnknown,
            // A stream ends by its age, or because one of several replicas stops: the next one tells.
            _ if was_established => {
                backoff.wait().await;
                continue;
            }
            _ => ServingStatus::NotServing,
        };
        sender.send_if_modified(|current| current.replace(status) != Some(status));
        backoff.wait().await;
    }
}
