//! Queries and bodies about rules, and their results.

use serde_json::{Value as Json, json, to_value};

use super::*;

fn detail(invalid: &ValidationError) -> Json {
    match invalid {
        ValidationError::Unprocessable(wrong) => to_value(&wrong.detail).unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_query_filters_the_listed_rules() {
    let check = |query: &str, category: &str, active_only: bool| {
        let expected = RuleFilter { category: category.to_owned(), active_only };
        assert_eq!(RuleFilter::parse(query), Ok(expected), "{query}");
    };
    check("", "", true);
    check("category=salute&active_only=false&other=1", "salute", false);
    check("active%5Fonly=No&category=a+b%20%c3%a8", "a b è", false);
    check("active_only=0&active_only=1&category=%ff", "\u{fffd}", true);
    let wrong = json!([{
        "loc": ["query", "active_only"], "type": "bool_parsing",
        "msg": "Input should be a valid boolean, unable to interpret input",
    }]);
    for query in ["active_only=maybe", "active_only"] {
        assert_eq!(detail(&RuleFilter::parse(query).unwrap_err()), wrong, "{query}");
    }
}

#[test]
fn keywords_of_a_new_rule_are_lower_cased_and_trimmed() {
    let parse = |body: Json| Addition::parse(body.to_string().as_bytes());
    let expected = Addition {
        rule_id: "r".to_owned(),
        category: Category::Salute,
        keywords: ["università", "ab", "ab"].map(str::to_owned).to_vec(),
        priority: 5,
        description: String::new(),
    };
    let keywords = json!([" UNIVERSITÀ", "ab", " ", "Ab "]);
    let body = json!({"rule_id": "r", "category": "salute", "keywords": keywords, "more": {"a": [1]}});
    assert_eq!(parse(body), Ok(expected.clone()));
    let body = json!({
        "rule_id": "r", "category": "salute", "keywords": keywords, "priority": "1000", "description": null,
    });
    assert_eq!(parse(body), Ok(Addition { priority: 1000, ..expected }));
    let body = json!({"rule_id": "r", "category": "altri", "keywords": ["", "\t "]});
    assert_eq!(parse(body), Err(ValidationError::KeywordsBlank));
}

#[test]
fn every_invalid_value_of_a_rule_is_named() {
    let check = |body: Json, expected: &[(&str, &str)]| {
        let detail = detail(&Addition::parse(body.to_string().as_bytes()).unwrap_err());
        let found = detail.as_array().unwrap().iter().map(|wrong| {
            let place: Vec<_> =
                wrong["loc"].as_array().unwrap().iter().skip(1).map(Json::to_string).collect();
            (place.join(".").replace('"', ""), wrong["type"].as_str().unwrap().to_owned())
        });
        let expected = expected.iter().map(|(place, word)| ((*place).to_owned(), (*word).to_owned()));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{body}");
    };
    check(json!(null), &[("", "missing")]);
    check(json!([]), &[("", "model_attributes_type")]);
    check(json!({}), &[("rule_id", "missing"), ("category", "missing"), ("keywords", "missing")]);
    check(
        json!({"rule_id": "", "category": "sport", "keywords": [], "priority": 0, "description": 1}),
        &[
            ("rule_id", "string_too_short"),
            ("category", "enum"),
            ("keywords", "too_short"),
            ("priority", "greater_than_equal"),
            ("description", "string_type"),
        ],
    );
    check(
        json!({"rule_id": null, "category": 1, "keywords": ["a", 1, null, ["b"]], "priority": 1001}),
        &[
            ("rule_id", "string_type"),
            ("category", "enum"),
            ("keywords.1", "string_type"),
            ("keywords.2", "string_type"),
            ("keywords.3", "string_type"),
            ("priority", "less_than_equal"),
        ],
    );
    let many = json!({"rule_id": "r", "category": "altri", "keywords": vec![0; 1000], "priority": null});
    let Err(ValidationError::Unprocessable(wrong)) = Addition::parse(many.to_string().as_bytes()) else {
        panic!()
    };
    assert_eq!(wrong.detail.len(), crate::legacy::failure::MAX_INVALID_VALUES);
}

#[test]
fn a_change_lists_its_fields_and_must_not_be_empty() {
    let check = |body: &str, expected: &[&str]| {
        let changes = Changes::parse(body.as_bytes()).unwrap();
        assert_eq!(changes.fields().collect::<Vec<_>>(), expected, "{body}");
    };
    check(r#"{"is_active": "off"}"#, &["disabled"]);
    check(r#"{"description": "", "keywords": null}"#, &["description"]);
    check(r#"{"keywords": [" A "], "priority": 7}"#, &["keywords", "priority"]);
    for body in ["", "null", "{}", r#"{"category": "salute", "priority": null}"#] {
        assert_eq!(Changes::parse(body.as_bytes()), Err(ValidationError::NothingToChange), "{body}");
    }
    for body in [r#"{"keywords": []}"#, r#"{"keywords": [" "], "priority": 1}"#] {
        assert_eq!(Changes::parse(body.as_bytes()), Err(ValidationError::KeywordsBlank), "{body}");
    }
    let wrong = Changes::parse(br#"{"priority": -1, "is_active": 2}"#).unwrap_err();
    assert_eq!(detail(&wrong).as_array().unwrap().len(), 2);
}
