//! Bodies that the predecessor accepted or rejected, and their results here.

use serde_json::{Value as Json, json, to_value};

use super::super::failure::MAX_INVALID_VALUES;
use super::*;

fn parse(body: &Json) -> Result<Request, ValidationError> {
    Request::parse(body.to_string().as_bytes())
}

/// The request with only a document.
fn plain() -> Request {
    let filters = Filters::default();
    Request { document: "<a/>".into(), filters, include_tests: true, only_tableau_ready: false }
}

/// The only entry of the 422 to a body.
fn wrong(body: &[u8]) -> Json {
    match Request::parse(body) {
        Err(ValidationError::Unprocessable(unprocessable)) => {
            assert_eq!(unprocessable.detail.len(), 1, "{unprocessable:?}");
            to_value(&unprocessable.detail[0]).unwrap()
        }
        other => panic!("{} gives {other:?}", body.escape_ascii()),
    }
}

#[test]
fn absent_fields_have_defaults_and_unknown_ones_are_ignored() {
    let check = |body: Json| assert_eq!(parse(&body), Ok(plain()), "{body}");
    check(json!({"xml_content": "<a/>"}));
    check(json!({"xml_content": "<a/>", "xml_file_path": null, "categories": null}));
    check(json!({"xml_content": "<a/>", "categories": []}));
    check(json!({"xml_content": "<a/>", "xml_file_path": "/etc/passwd"}));
    check(json!({"more": {"xml_content": [1, {"a": null}]}, "xml_content": "<a/>", "": 1.5}));
}

#[test]
fn every_field_is_parsed() {
    let body = json!({
        "xml_content": "<a b=\"ü\">\n\u{1f600}</a>", "categories": ["salute", "economia"],
        "min_relevance_score": -5, "max_results": 2000, "include_tests": false, "only_tableau_ready": true,
    });
    let filters = Filters {
        categories: vec![Category::Salute, Category::Economia],
        min_relevance_score: -5,
        max_results: 2000,
    };
    let document = "<a b=\"ü\">\n\u{1f600}</a>".into();
    let expected = Request { document, filters, include_tests: false, only_tableau_ready: true };
    assert_eq!(parse(&body), Ok(expected));
}

#[test]
fn a_byte_order_mark_and_duplicate_fields_are_accepted() {
    let body = "\u{feff}{\"xml_content\": 1, \"xml_content\": \"<a/>\"}";
    assert_eq!(Request::parse(body.as_bytes()), Ok(plain()));
}

#[test]
fn a_request_without_a_document_is_a_400() {
    let check = |body: Json, expected: ValidationError| {
        assert_eq!(expected.status(), 400);
        assert_eq!(parse(&body), Err(expected), "{body}");
    };
    check(json!({}), ValidationError::DocumentMissing);
    check(json!({"xml_content": null}), ValidationError::DocumentMissing);
    check(json!({"xml_content": "", "xml_file_path": ""}), ValidationError::DocumentMissing);
    check(json!({"xml_file_path": "/etc/passwd"}), ValidationError::DocumentByPath);
    check(json!({"xml_content": "", "xml_file_path": "a.xml"}), ValidationError::DocumentByPath);
}

#[test]
fn the_declared_encoding_of_a_document_is_ignored() {
    let check = |document: &str, expected: &str| {
        let request = parse(&json!({ "xml_content": document })).unwrap();
        assert_eq!(request.document, expected);
        assert_eq!(document.len(), expected.len(), "offsets in {document}");
    };
    check("<?xml version='1.0' encoding='utf-16'?><é/>", "<?xml version='1.0'                  ?><é/>");
    check(
        "\u{feff}<?xml version=\"1.0\"\tencoding = \"ISO-8859-1\" standalone='yes' ?>",
        "\u{feff}<?xml version=\"1.0\"\t                        standalone='yes' ?>",
    );
    for same in [
        "<?xml version='1.0'?><a encoding='x'/>",
        "<?xml-stylesheet encoding='x'?>",
        "<a><?xml encoding='x'?></a>",
        "<?xml encoding='x",
        "<?xml encoding='x?>",
        "<?xml encoding ?>",
        "<?xml encoding=é?>",
        "not XML",
    ] {
        check(same, same);
    }
}

#[test]
fn numbers_are_accepted_in_all_forms_of_the_framework() {
    let check = |value: &str, expected: i64| {
        let body =
            format!(r#"{{"xml_content": "<a/>", "max_results": {value}, "min_relevance_score": {value}}}"#);
        let filters = Request::parse(body.as_bytes()).unwrap().filters;
        let score = expected.clamp(i32::MIN.into(), i32::MAX.into());
        assert_eq!((filters.max_results, filters.min_relevance_score.into()), (expected, score), "{value}");
    };
    for value in ["5", "5.0", r#""5""#, r#"" +5 ""#, "5e0"] {
        check(value, 5);
    }
    for (value, expected) in [("true", 1), ("false", 0), ("-0", 0), (r#""-7""#, -7)] {
        check(value, expected);
    }
    for value in ["9223372036854775808", "1e30", r#""123456789012345678901""#] {
        check(value, i64::MAX);
    }
    check("-123456789012345678901", i64::MIN);
}

#[test]
fn booleans_are_accepted_in_all_forms_of_the_framework() {
    let check = |value: &str, expected: bool| {
        let body = format!(r#"{{"xml_content": "<a/>", "only_tableau_ready": {value}}}"#);
        assert_eq!(Request::parse(body.as_bytes()).unwrap().only_tableau_ready, expected, "{value}");
    };
    for value in ["true", "1", "1.0", r#""1""#, r#""t""#, r#""TRUE""#, r#""y""#, r#""Yes""#, r#""on""#] {
        check(value, true);
    }
    for value in ["false", "0", "-0.0", r#""0""#, r#""f""#, r#""False""#, r#""n""#, r#""no""#, r#""OFF""#] {
        check(value, false);
    }
}

#[test]
fn an_invalid_value_has_the_frameworks_message() {
    let check = |field: &str, value: &str, word: &str, message: &str| {
        let expected =
            json!({"loc": ["body", field], "msg": format!("Input should be {message}"), "type": word});
        assert_eq!(wrong(format!(r#"{{"{field}": {value}}}"#).as_bytes()), expected, "{field}: {value}");
    };
    for value in ["5", "true", "[]", "{}", "0.5"] {
        check("xml_content", value, "string_type", "a valid string");
        check("xml_file_path", value, "string_type", "a valid string");
    }
    for value in [r#""economia""#, "{}", "1", "false"] {
        check("categories", value, "list_type", "a valid list");
    }
    for field in ["min_relevance_score", "max_results"] {
        for value in ["null", "[1]", r#"{"a": 1}"#] {
            check(field, value, "int_type", "a valid integer");
        }
        check(field, "5.5", "int_from_float", "a valid integer, got a number with a fractional part");
        for value in [r#""""#, r#""x""#, r#""5.5""#] {
            check(field, value, "int_parsing", "a valid integer, unable to parse string as an integer");
        }
    }
    for field in ["include_tests", "only_tableau_ready"] {
        for value in ["null", "[]", "{}", "0.5"] {
            check(field, value, "bool_type", "a valid boolean");
        }
        for value in ["2", "-1", r#""x""#, r#"" yes ""#] {
            check(field, value, "bool_parsing", "a valid boolean, unable to interpret input");
        }
    }
}

#[test]
fn a_body_that_is_not_an_object_is_one_error() {
    let check = |body: &str, loc: Json, word: &str| {
        let actual = wrong(body.as_bytes());
        assert_eq!((&actual["loc"], &actual["type"]), (&loc, &json!(word)), "{body}");
    };
    for body in ["", "null", " null\n"] {
        check(body, json!(["body"]), "missing");
    }
    for body in ["[]", r#"["<a/>"]"#, "5", r#""a""#, "true", "0.5"] {
        check(body, json!(["body"]), "model_attributes_type");
    }
    let nested = format!(r#"{{"categories": {}"#, "[".repeat(1000));
    for (body, offset) in [
        ("abc", 0),
        (r#"{"a":"#, 5),
        (r#"{"a": 1,}"#, 8),
        ("{\n\"a\": 1,\n  x}", 12),
        (" ", 1),
        ("{} x", 3),
        (nested.as_str(), 141),
    ] {
        check(body, json!(["body", offset]), "json_invalid");
    }
    for body in [&b"{\"xml_content\": \"\xff\"}"[..], br#"{"xml_content": "\ud800"}"#] {
        assert_eq!(wrong(body)["type"], "json_invalid");
    }
}

#[test]
fn invalid_values_are_listed_together_in_the_order_of_the_request() {
    let body = json!({
        "only_tableau_ready": 7, "max_results": "a", "categories": ["z", "lavoro", null, "Lavoro"],
        "xml_file_path": [],
    });
    let invalid = parse(&body).unwrap_err();
    assert_eq!(invalid.status(), 422);
    let ValidationError::Unprocessable(unprocessable) = invalid else { panic!("a 400") };
    let places: Vec<Json> = unprocessable.detail.iter().map(|wrong| to_value(&wrong.loc).unwrap()).collect();
    let expected = json!([
        ["body", "xml_file_path"],
        ["body", "categories", 0],
        ["body", "categories", 2],
        ["body", "categories", 3],
        ["body", "max_results"],
        ["body", "only_tableau_ready"],
    ]);
    assert_eq!(Json::from(places), expected);
    let stranger = &unprocessable.detail[1];
    let words = "'popolazione', 'economia', 'lavoro', 'territorio', 'istruzione', 'salute' or 'altri'";
    assert_eq!((&stranger.msg, stranger.r#type), (&format!("Input should be {words}"), "enum"));
}

#[test]
fn a_hostile_list_gets_a_short_response() {
    let body = json!({"categories": vec![0; 100_000], "max_results": null});
    let Err(ValidationError::Unprocessable(unprocessable)) = parse(&body) else { panic!("taken") };
    assert_eq!(unprocessable.detail.len(), MAX_INVALID_VALUES);
}
