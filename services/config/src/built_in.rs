//! The seeds of an empty store: the built-in rule sets, and the most requested providers.

use std::time::Duration;

use dataflow_rules::RuleSet;

use crate::change::Change;
use crate::provider::{Dialect, Provider, Quota, Terms};

/// The seeds: the given rule sets, and the built-in providers.
pub fn seeds(sets: impl IntoIterator<Item = RuleSet>) -> Vec<Change> {
    let sets = sets.into_iter().map(Change::RulesetSeeded);
    sets.chain(providers().into_iter().map(Change::ProviderSeeded)).collect()
}

/// The built-in providers, with the quotas that they publish or are known to enforce.
pub fn providers() -> Vec<Provider> {
    use Dialect::{SdmxRest21, SdmxRest30};
    let minute = |calls| Some(Quota { calls, period: Duration::from_secs(60) });
    let hour = |calls| Some(Quota { calls, period: Duration::from_secs(60 * 60) });
    let provider = |id: &str, name: &str, url: &str, dialect, agency: &str, data_quota| Provider {
        provider_id: id.to_owned(),
        display_name: name.to_owned(),
        base_url: url.to_owned(),
        dialect,
        agency: agency.to_owned(),
        data_quota,
        structure_quota: None,
        allow_plain_http: false,
        allow_private_address: false,
        disabled: false,
        terms: Terms::default(),
    };
    vec![
        provider("IT1", "ISTAT", "https://esploradati.istat.it/SDMXWS/rest", SdmxRest21, "IT1", minute(5)),
        provider(
            "ESTAT",
            "Eurostat",
            "https://ec.europa.eu/eurostat/api/dissemination/sdmx/2.1",
            SdmxRest21,
            "ESTAT",
            None,
        ),
        provider(
            "ECB",
            "European Central Bank",
            "https://data-api.ecb.europa.eu/service",
            SdmxRest21,
            "ECB",
            None,
        ),
        provider("OECD", "OECD", "https://sdmx.oecd.org/public/rest", SdmxRest21, "", hour(60)),
        provider("FR1", "INSEE", "https://bdm.insee.fr/series/sdmx", SdmxRest21, "FR1", minute(30)),
        provider(
            "ABS",
            "Australian Bureau of Statistics",
            "https://data.api.abs.gov.au/rest",
            SdmxRest21,
            "ABS",
            None,
        ),
        provider(
            "BIS",
            "Bank for International Settlements",
            "https://stats.bis.org/api/v2",
            SdmxRest30,
            "BIS",
            None,
        ),
        provider(
            "ILO",
            "International Labour Organization",
            "https://sdmx.ilo.org/rest",
            SdmxRest21,
            "ILO",
            None,
        ),
        provider(
            "IMF",
            "International Monetary Fund",
            "https://api.imf.org/external/sdmx/2.1",
            SdmxRest21,
            "",
            None,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_valid() {
        for provider in providers() {
            provider.validate().unwrap_or_else(|error| panic!("{}: {error}", provider.provider_id));
        }
    }
}
