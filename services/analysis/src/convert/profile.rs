//! Conversion of profiles and data structures to the wire.

use std::collections::BTreeMap;

use dataflow_proto::analysis::v1 as pb;
use dataflow_sdmx::{Dimension, Flag, Period, Role, Timestamp};

use crate::catalogue::{Catalogue, CatalogueStructure};
use crate::profile::{Contents, Estimate, FORMATS, Freshness, Method, QualityFlag, Size};

/// The number of dataflows by flag and by flag of quality.
pub(super) fn flag_counts(catalogue: &Catalogue) -> BTreeMap<String, i32> {
    let mut counts = BTreeMap::new();
    for known in Flag::ALL {
        counts.insert(flag(known).as_str_name().to_owned(), 0);
    }
    for known in QualityFlag::ALL {
        counts.insert(quality_flag(known).as_str_name().to_owned(), 0);
    }
    for analyzed in &catalogue.dataflows {
        let flags = analyzed.dataflow.facts.flags.iter().map(|found| flag(*found).as_str_name());
        let quality = analyzed.profile.quality.iter().map(|found| quality_flag(*found).as_str_name());
        for name in flags.chain(quality) {
            if let Some(count) = counts.get_mut(name) {
                *count += 1;
            }
        }
    }
    counts
}

pub(super) fn flag(flag: Flag) -> pb::dataflow::Flag {
    match flag {
        Flag::Hidden => pb::dataflow::Flag::Hidden,
        Flag::NonProduction => pb::dataflow::Flag::NonProduction,
        Flag::FileOnly => pb::dataflow::Flag::FileOnly,
        Flag::External => pb::dataflow::Flag::External,
    }
}

pub(super) fn quality_flag(flag: QualityFlag) -> pb::dataflow::QualityFlag {
    match flag {
        QualityFlag::DateAmbiguous => pb::dataflow::QualityFlag::DateAmbiguous,
        QualityFlag::WithoutEnglishName => pb::dataflow::QualityFlag::WithoutEnglishName,
        QualityFlag::WithoutDescription => pb::dataflow::QualityFlag::WithoutDescription,
        QualityFlag::WithoutStructure => pb::dataflow::QualityFlag::WithoutStructure,
        QualityFlag::StructureMissing => pb::dataflow::QualityFlag::StructureMissing,
        QualityFlag::GarbledText => pb::dataflow::QualityFlag::GarbledText,
        QualityFlag::MarkupInText => pb::dataflow::QualityFlag::MarkupInText,
        QualityFlag::NotFinal => pb::dataflow::QualityFlag::NotFinal,
    }
}

pub(super) fn timestamp(Timestamp { seconds, nanos }: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or_default() }
}

/// `None` if nothing is known.
pub(super) fn contents(contents: Contents) -> Option<pb::Contents> {
    if contents == Contents::default() {
        return None;
    }
    let Contents { periods, frequencies, series_count, value_counts, constraint } = contents;
    let period = |period: Option<Period>| period.map_or_else(String::new, |period| period.to_string());
    Some(pb::Contents {
        first_period: period(periods.first),
        last_period: period(periods.last),
        frequencies: frequencies.iter().map(ToString::to_string).collect(),
        series_count,
        value_counts: value_counts.into_iter().collect(),
        constraint,
    })
}

impl From<Size> for pb::Size {
    fn from(Size { method, source, observations }: Size) -> Self {
        let method = match method {
            Method::Stated => pb::size::Method::Stated,
            Method::Constraint => pb::size::Method::Constraint,
            Method::Series => pb::size::Method::Series,
            Method::Cube => pb::size::Method::Cube,
        };
        let [csv, json, generic, structure_specific] =
            FORMATS.map(|format| Some(observations.bytes(format).into()));
        Self {
            method: method.into(),
            source,
            observations: Some(observations.into()),
            csv_bytes: csv,
            json_bytes: json,
            generic_bytes: generic,
            structure_specific_bytes: structure_specific,
        }
    }
}

impl From<Estimate> for pb::Estimate {
    fn from(Estimate { low, likely, high }: Estimate) -> Self {
        Self { low, likely, high }
    }
}

impl From<Freshness> for pb::Freshness {
    fn from(Freshness { frequency, due, is_overdue }: Freshness) -> Self {
        Self { frequency: frequency.to_string(), due_time: Some(timestamp(due)), overdue: is_overdue }
    }
}

impl From<CatalogueStructure> for pb::DataStructure {
    fn from(CatalogueStructure { data_structure, codes }: CatalogueStructure) -> Self {
        let dimensions = data_structure.dimensions.into_iter().zip(codes);
        Self {
            agency_id: data_structure.identity.agency_id,
            id: data_structure.identity.id,
            version: data_structure.identity.version,
            dimensions: dimensions.map(|(dimension, codes)| self::dimension(dimension, codes)).collect(),
        }
    }
}

fn dimension(Dimension { id, role, codelist }: Dimension, codes: Option<u64>) -> pb::Dimension {
    let role = match role {
        Role::Other => pb::dimension::Role::Other,
        Role::Time => pb::dimension::Role::Time,
        Role::Frequency => pb::dimension::Role::Frequency,
        Role::Geography => pb::dimension::Role::Geography,
        Role::Measure => pb::dimension::Role::Measure,
    };
    pb::Dimension {
        id,
        role: role.into(),
        codelist: if codelist.id.is_empty() { String::new() } else { codelist.to_string() },
        code_count: codes.map(|codes| i64::try_from(codes).unwrap_or(i64::MAX)),
    }
}
