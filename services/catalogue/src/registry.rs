//! What the registry of providers states: the agency whose dataflows a catalogue must have, and the terms of its data.

use std::time::Duration;

use dataflow_mesh::outbound::{CallObserver, Outbound, Upstream};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::provider_service_client::ProviderServiceClient;
use tonic::Code;

use crate::Error;
use crate::stored::record::Terms;

/// The registry, in the config service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `None` without a config service.
    client: Option<ProviderServiceClient<Outbound>>,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its identifier.
    pub id: String,
    /// The agency of its dataflows.
    pub agency: String,
    /// Its terms.
    pub terms: Terms,
}

// === impl Registry ===

impl Registry {
    /// The registry of this config service, whose calls have this timeout.
    pub fn new(config: Option<(&Upstream, &CallObserver)>, timeout: Duration) -> Self {
        let client = config.map(|(upstream, observer)| {
            ProviderServiceClient::new(Outbound::new(upstream, timeout).observed(observer))
        });
        Self { client }
    }

    /// A provider as the tenant of the current call has it. One that is not registered, or without a config service, has
    /// its identifier as its agency.
    ///
    /// # Errors
    ///
    /// [`Error::RegistryUnavailable`].
    pub async fn provider(&self, id: &str) -> Result<Provider, Error> {
        let unregistered = || Provider { id: id.to_owned(), agency: id.to_owned(), terms: Terms::default() };
        let Some(mut client) = self.client.clone() else { return Ok(unregistered()) };
        let found = client.get_provider(pb::GetProviderRequest { provider: id.to_owned() }).await;
        let provider = match found {
            Ok(found) => found.into_inner().provider.unwrap_or_default(),
            Err(status) if status.code() == Code::NotFound => return Ok(unregistered()),
            Err(status) => {
                tracing::warn!(%status, provider = id, "registry: the provider is not known");
                return Err(Error::RegistryUnavailable);
            }
        };
        let (license, terms_url, attribution) = (provider.license, provider.terms_url, provider.attribution);
        let agency = Some(provider.agency).filter(|agency| !agency.is_empty());
        let agency = agency.unwrap_or_else(|| id.to_owned());
        Ok(Provider { id: id.to_owned(), agency, terms: Terms { license, terms_url, attribution } })
    }
}

// === impl Provider ===

impl Provider {
    /// Whether an agency is that of the provider, or a part of it (`OECD.ELS` of `OECD`). `all` means any.
    pub fn is_of(&self, agency: &str) -> bool {
        let own = self.agency.as_str();
        own.eq_ignore_ascii_case("all")
            || agency.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_its_agency_and_the_parts_of_it() {
        let check = |own: &str, agency: &str, expected: bool| {
            let provider = Provider { id: "X".to_owned(), agency: own.to_owned(), terms: Terms::default() };
            assert_eq!(provider.is_of(agency), expected, "{own} {agency}");
        };
        check("IT1", "IT1", true);
        check("IT1", "IT12", false);
        check("IT1", "it1", false);
        check("OECD", "OECD.ELS.SAE", true);
        check("OECD.ELS", "OECD", false);
        check("OECD", "", false);
        check("all", "anything", true);
        check("", "IT1", false);
        check("", "", true);
    }
}
