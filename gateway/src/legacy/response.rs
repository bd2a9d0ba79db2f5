//! The predecessor's response to a readable document: the envelope, the lists and the metrics.
//!
//! Everything is borrowed from the analysis: texts are copied once, into the JSON.

use std::time::Duration;

use dataflow_proto::analysis::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;

use super::category::Category;
use super::selection::{Filters, Lists};
use super::time::NaiveDateTime;

/// A successful reply.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response<'a> {
    success: bool,
    message: String,
    timestamp: NaiveDateTime,
    total_analyzed: i32,
    categorized_dataflows: Lists<ListedDataflow<'a>>,
    /// There are no access tests yet.
    test_results: [(); 0],
    tableau_ready_count: u32,
    analysis_timestamp: NaiveDateTime,
    performance_metrics: Metrics,
}

/// A dataflow in one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ListedDataflow<'a> {
    id: &'a str,
    name_it: &'a str,
    name_en: &'a str,
    display_name: &'a str,
    description: &'a str,
    category: Category,
    relevance_score: i32,
    created_at: NaiveDateTime,
}

/// The metrics of the analysis.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Metrics {
    analysis_duration_seconds: f64,
    /// All of the document's, whatever the filters.
    dataflows_processed: i32,
    /// Lists that the filters left something in.
    categories_found: usize,
    tests_performed: u32,
}

// === impl Response ===

impl<'a> Response<'a> {
    /// The reply to a request with these filters. The analysis uses the rule set `legacy`, lasted `took` and ended at
    /// `now`.
    pub fn new(analysis: &'a pb::Analysis, filters: &Filters, took: Duration, now: Timestamp) -> Self {
        let now = NaiveDateTime(now);
        let flows = analysis.dataflows.iter().map(|flow| (flow.category().into(), flow.score, flow));
        let lists: Lists<ListedDataflow<'a>> = filters
            .select(flows)
            .into_iter()
            .map(|(category, flows)| {
                (category, flows.into_iter().map(|flow| ListedDataflow::new(flow, category, now)).collect())
            })
            .collect();
        let performance_metrics = Metrics {
            analysis_duration_seconds: took.as_secs_f64(),
            dataflows_processed: analysis.total,
            categories_found: lists.values().filter(|list| !list.is_empty()).count(),
            tests_performed: 0,
        };
        Self {
            success: true,
            message: format!("Successfully analyzed {} dataflows", analysis.total),
            timestamp: now,
            total_analyzed: analysis.total,
            categorized_dataflows: lists,
            test_results: [],
            tableau_ready_count: 0,
            analysis_timestamp: now,
            performance_metrics,
        }
    }
}

// === impl ListedDataflow ===

impl<'a> ListedDataflow<'a> {
    fn new(flow: &'a pb::Dataflow, category: Category, created_at: NaiveDateTime) -> Self {
        // The rule set `legacy` always sets them; without them a dataflow is identified by its id.
        let (name_it, name_en, display_name, description) = match &flow.legacy {
            Some(texts) => (&*texts.name_it, &*texts.name_en, &*texts.display_name, &*texts.description),
            None => ("", "", &*flow.id, ""),
        };
        let (id, relevance_score) = (&*flow.id, flow.score);
        Self { id, name_it, name_en, display_name, description, category, relevance_score, created_at }
    }
}

#[cfg(test)]
mod tests {
    use dataflow_proto::r#type::v1 as types;
    use serde_json::{Value, json, to_string, to_value};

    use super::*;

    const NOW: &str = "2026-08-01T12:20:30.000001999+02:00";

    fn flow(id: &str, category: types::Category, score: i32) -> pb::Dataflow {
        pb::Dataflow { id: id.into(), category: category.into(), score, ..Default::default() }
    }

    fn answer(dataflows: Vec<pb::Dataflow>, filters: &Filters) -> Value {
        let total = i32::try_from(dataflows.len()).unwrap();
        let analysis = pb::Analysis { total, dataflows, ..Default::default() };
        let took = Duration::from_millis(1500);
        to_value(Response::new(&analysis, filters, took, NOW.parse().unwrap())).unwrap()
    }

    #[test]
    fn a_reply_has_the_predecessors_fields_in_its_order() {
        let texts = pb::LegacyFields {
            name_it: "Prezzi al «consumo»".into(),
            name_en: String::new(),
            display_name: "Prezzi al «consumo»".into(),
            description: " a\nb ".into(),
        };
        let flow = pb::Dataflow { legacy: Some(texts), ..flow("1_2", types::Category::Economy, 20) };
        let analysis = pb::Analysis { total: 1, dataflows: vec![flow], ..Default::default() };
        let filters =
            Filters { categories: vec![Category::Salute, Category::Economia], ..Filters::default() };
        let took = Duration::from_millis(250);
        let response = Response::new(&analysis, &filters, took, NOW.parse().unwrap());
        let expected = concat!(
            r#"{"success":true,"message":"Successfully analyzed 1 dataflows","#,
            r#""timestamp":"2026-08-01T10:20:30.000001","total_analyzed":1,"categorized_dataflows":{"economia":[{"#,
            r#""id":"1_2","name_it":"Prezzi al «consumo»","name_en":"","display_name":"Prezzi al «consumo»","#,
            r#""description":" a\nb ","category":"economia","relevance_score":20,"#,
            r#""created_at":"2026-08-01T10:20:30.000001"}],"salute":[]},"test_results":[],"tableau_ready_count":0,"#,
            r#""analysis_timestamp":"2026-08-01T10:20:30.000001","performance_metrics":{"#,
            r#""analysis_duration_seconds":0.25,"dataflows_processed":1,"categories_found":1,"tests_performed":0}}"#,
        );
        assert_eq!(to_string(&response).unwrap(), expected);
    }

    #[test]
    fn a_document_without_dataflows_has_seven_empty_lists() {
        let answer = answer(Vec::new(), &Filters::default());
        let words = "popolazione economia lavoro territorio istruzione salute altri";
        let lists = words.split(' ').map(|word| (word.to_owned(), json!([]))).collect();
        assert_eq!(answer["categorized_dataflows"], Value::Object(lists));
        assert_eq!(answer["message"], "Successfully analyzed 0 dataflows");
        assert_eq!(answer["performance_metrics"]["categories_found"], 0);
    }

    #[test]
    fn totals_are_before_the_filters_and_categories_found_after() {
        let (labour, health) = (types::Category::Labour, types::Category::Health);
        let flows = || vec![flow("a", labour, 5), flow("b", health, 30), flow("c", health, 10)];
        let check = |min_relevance_score, found| {
            let answer = answer(flows(), &Filters { min_relevance_score, ..Filters::default() });
            assert_eq!(answer["total_analyzed"], 3);
            let metrics = json!({
                "analysis_duration_seconds": 1.5, "dataflows_processed": 3, "categories_found": found,
                "tests_performed": 0,
            });
            assert_eq!(answer["performance_metrics"], metrics, "at least {min_relevance_score}");
        };
        for (least, found) in [(0, 2), (5, 2), (6, 1), (31, 0)] {
            check(least, found);
        }
    }
}
