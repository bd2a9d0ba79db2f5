//! The JSON cases of protobuf's conformance tests, and those in which other transcoders were found wrong.

use std::path::Path;
use std::sync::LazyLock;

use crate::{JsonWriter, Preset, Root, Schema, Style, json_to_wire};

pub(super) const LIMIT: usize = 1 << 20;

static SCHEMA: LazyLock<Schema> = LazyLock::new(schema);

/// The schema of `types.proto`.
pub(super) fn schema() -> Schema {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests");
    let mut compiler = protox::Compiler::new([&here]).unwrap();
    compiler.include_imports(true).open_file(here.join("types.proto")).unwrap();
    Schema::new(&compiler.encode_file_descriptor_set()).unwrap()
}

/// The JSON of the message that a JSON text is, without members that have their default; or the field of the error and
/// the error.
pub(super) fn round_trip(json: &str) -> Result<String, (String, String)> {
    let schema = &*SCHEMA;
    let id = schema.message_named("transcode.types.v1.Types").unwrap();
    let wire = wire_of(json)?;
    let write = |wire: &[u8]| {
        let mut writer = JsonWriter::new(schema, Style::default(), LIMIT);
        writer.message(id, wire).unwrap();
        serde_json::from_slice::<serde_json::Value>(&writer.take()).unwrap()
    };
    let (serde_json::Value::Object(found), defaults) = (write(&wire), write(b"")) else { unreachable!() };
    let set = found.into_iter().filter(|(name, value)| defaults.get(name) != Some(value));
    Ok(serde_json::Value::Object(set.collect()).to_string())
}

fn wire_of(json: &str) -> Result<Vec<u8>, (String, String)> {
    let schema = &*SCHEMA;
    let id = schema.message_named("transcode.types.v1.Types").unwrap();
    let (preset, mut wire) = (Preset::new(schema, id), Vec::new());
    json_to_wire(&preset, Root::Message, json.as_bytes(), LIMIT, &mut wire)
        .map_err(|error| (error.field(), error.to_string()))?;
    Ok(wire)
}

fn check(json: &str, expected: &str) {
    let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
    assert_eq!(round_trip(json), Ok(expected.to_string()), "{json}");
}

fn same(json: &str) {
    check(json, json);
}

/// The JSON is invalid, at this field.
pub(super) fn rejected(field: &str, json: &str) {
    match round_trip(json) {
        Err((found, _)) => assert_eq!(found, field, "{json}"),
        Ok(accepted) => panic!("{json} was accepted as {accepted}"),
    }
}

#[test]
fn names_of_fields() {
    same(
        r#"{"fieldname1": "1", "fieldName2": "2", "FieldName3": "3", "fieldName4": "4", "field0name5": "5"}"#,
    );
    check(
        r#"{"field_name2": "2", "_field_name3": "3", "field__name4_": "4"}"#,
        r#"{"fieldName2": "2", "FieldName3": "3", "fieldName4": "4"}"#,
    );
    same(r#"{"FieldName8": "8", "the \"quoted\" name": "q"}"#);
    check(r#"{"optional\u0049nt32": 1}"#, r#"{"optionalInt32": 1}"#);
    rejected("unknown", r#"{"unknown": 1}"#);
    rejected("nested.unknown", r#"{"nested": {"unknown": 1}}"#);
    rejected("fieldName2", r#"{"field_name2": "1", "fieldName2": "1"}"#);
    rejected("fieldname1", r#"{"fieldname1": "", "fieldname1": ""}"#);
    rejected("fieldname1", r#"{"fieldname1": null, "fieldname1": ""}"#);
}

#[test]
fn integers() {
    same(r#"{"optionalInt32": -2147483648, "optionalUint32": 4294967295, "optionalSint32": -1}"#);
    same(r#"{"optionalInt64": "-9223372036854775808", "optionalUint64": "18446744073709551615"}"#);
    check(
        r#"{"optionalInt64": 9223372036854775807, "optionalFixed64": 1}"#,
        r#"{"optionalInt64": "9223372036854775807", "optionalFixed64": "1"}"#,
    );
    check(r#"{"optionalInt32": "2147483647"}"#, r#"{"optionalInt32": 2147483647}"#);
    check(r#"{"optionalInt32": "2\u003147483647"}"#, r#"{"optionalInt32": 2147483647}"#);
    check(
        r#"{"optionalInt32": 1e5, "optionalUint32": "1e5"}"#,
        r#"{"optionalInt32": 100000, "optionalUint32": 100000}"#,
    );
    check(r#"{"optionalInt32": 100000.000}"#, r#"{"optionalInt32": 100000}"#);
    check(r#"{"optionalInt32": 0, "optionalInt64": -0}"#, "{}");
    for value in [
        "2147483648",
        "-2147483649",
        "0.5",
        "1e-1",
        "\"0.5\"",
        "\"12abc\"",
        "\"abc\"",
        "\"\"",
        "\" 1\"",
        "\"1 \"",
        "true",
        "{}",
        "[]",
        "\"0x10\"",
        "\"NaN\"",
        "1e10",
    ] {
        rejected("optionalInt32", &format!(r#"{{"optionalInt32": {value}}}"#));
    }
    for value in ["01", "-01", "+1", "1.", ".1", "0x1", "1a", "NaN", "--1"] {
        rejected("optionalInt32", &format!(r#"{{"optionalInt32": {value}}}"#));
    }
    rejected("optionalUint32", r#"{"optionalUint32": -1}"#);
    // Beyond 2^53, a number that a program wrote from a double is not the one that it had.
    rejected("optionalUint64", r#"{"optionalUint64": 18446744073709552000}"#);
    rejected("optionalInt64", r#"{"optionalInt64": 9.223372036854775807e18}"#);
    rejected("optionalInt64", r#"{"optionalInt64": "9223372036854775808"}"#);
}

#[test]
fn floating_point_numbers() {
    same(r#"{"optionalFloat": 3.4028235e38, "optionalDouble": 1.7976931348623157e308}"#);
    same(r#"{"optionalFloat": "NaN", "optionalDouble": "-Infinity"}"#);
    check(
        r#"{"optionalFloat": "Infinity", "optionalDouble": "1.5"}"#,
        r#"{"optionalFloat": "Infinity", "optionalDouble": 1.5}"#,
    );
    check(
        r#"{"optionalFloat": 1.17549e-38, "optionalDouble": 1}"#,
        r#"{"optionalFloat": 1.17549e-38, "optionalDouble": 1.0}"#,
    );
    same(r#"{"optionalFloat": 0.1}"#);
    assert!(
        wire_of(r#"{"optionalDouble": -0.0}"#).is_ok_and(|wire| wire.len() == 9),
        "it is not the default"
    );
    for value in [
        "3.502823e+38",
        "-3.502823e+38",
        "\"1e400\"",
        "\"nan\"",
        "\"inf\"",
        "\"\"",
        "true",
        "NaN",
        "Infinity",
    ] {
        rejected("optionalFloat", &format!(r#"{{"optionalFloat": {value}}}"#));
    }
    rejected("optionalDouble", r#"{"optionalDouble": 1.89769e+308}"#);
}

#[test]
fn texts_and_bytes() {
    same(r#"{"optionalString": "Hello, World! 谷歌 😁 \" \\ \n", "optionalBytes": "AQI="}"#);
    check(r#"{"optionalString": "\ud83d\ude01\u8c37"}"#, r#"{"optionalString": "😁谷"}"#);
    check(r#"{"optionalBytes": "-_"}"#, r#"{"optionalBytes": "+w=="}"#);
    check(r#"{"optionalBytes": "AQI"}"#, r#"{"optionalBytes": "AQI="}"#);
    check(r#"{"optionalString": "", "optionalBytes": ""}"#, "{}");
    same(r#"{"explicit": ""}"#);
    for value in ["1", "true", "{}", r#""\ud83d""#, r#""\ude01\ud83d""#, "\"\u{1}\""] {
        rejected("optionalString", &format!(r#"{{"optionalString": {value}}}"#));
    }
    for value in ["1", "\"!\"", "\"A\"", "\"AQI==\"", "\"+_==\""] {
        rejected("optionalBytes", &format!(r#"{{"optionalBytes": {value}}}"#));
    }
    rejected("optionalBool", r#"{"optionalBool": "true"}"#);
    rejected("optionalBool", r#"{"optionalBool": 1}"#);
}

#[test]
fn enums() {
    check(r#"{"optionalColour": "CRIMSON"}"#, r#"{"optionalColour": "RED"}"#);
    check(
        r#"{"optionalColour": 2, "repeatedColour": [0, "RED", -1, 123, 2.0]}"#,
        r#"{"optionalColour": "GREEN", "repeatedColour": ["COLOUR_UNSPECIFIED", "RED", "BELOW", 123, "GREEN"]}"#,
    );
    for value in ["\"red\"", "\"1\"", "1.5", "2147483648", "true", "\"\""] {
        rejected("optionalColour", &format!(r#"{{"optionalColour": {value}}}"#));
    }
    let (_, problem) = round_trip(r#"{"optionalColour": "null"}"#).unwrap_err();
    assert_eq!(problem, r#"expected one of BELOW, RED, GREEN, found "null""#);
}

#[test]
fn null_is_absence() {
    check(
        r#"{"optionalInt32": null, "nested": null, "repeatedInt32": null, "mapBool": null, "timestamp": null,
        "wrappedInt32": null, "any": null, "explicit": null, "oneofString": null}"#,
        "{}",
    );
    rejected("repeatedInt32[0]", r#"{"repeatedInt32": [null]}"#);
    rejected("repeatedNested[1]", r#"{"repeatedNested": [{}, null]}"#);
    rejected("repeatedWrapped[0]", r#"{"repeatedWrapped": [null]}"#);
    rejected("mapString.a", r#"{"mapString": {"a": null}}"#);
    rejected("mapInt32.1", r#"{"mapInt32": {"1": null}}"#);
    rejected("", "null");
    // Two types have it as a value.
    same(r#"{"value": null, "repeatedValue": [null, 1.0], "oneofNull": null}"#);
    same(r#"{"mapValue": {"a": null}}"#);
    check(r#"{"nullValue": null}"#, "{}");
    check(r#"{"nullValue": "NULL_VALUE"}"#, "{}");
}

#[test]
fn lists_and_messages() {
    same(r#"{"repeatedInt32": [1, 2, 3], "repeatedString": ["", "a"], "unpackedInt32": [0, 1]}"#);
    check(r#"{"repeatedInt32": [], "repeatedNested": []}"#, "{}");
    for value in ["1", "{}", "\"\"", "[1,]", "[,1]", "[1 2]", "[\"x\"]", "[[1]]"] {
        let field = match value {
            "[,1]" | "[\"x\"]" | "[[1]]" => "repeatedInt32[0]",
            "[1,]" => "repeatedInt32[1]",
            _ => "repeatedInt32",
        };
        rejected(field, &format!(r#"{{"repeatedInt32": {value}}}"#));
    }
    rejected("nested", r#"{"nested": []}"#);
    rejected("nested", r#"{"nested": 1}"#);
    rejected("", "[]");
    rejected("", "");
    rejected("", "{} {}");
    rejected("", "{\"optionalInt32\": 1,}");
}

#[test]
fn maps() {
    same(
        r#"{"mapInt32": {"-1": 1, "0": 0}, "mapInt64": {"9223372036854775807": "a"}, "mapBool": {"true": false}}"#,
    );
    check(r#"{"mapInt32": {"1e1": 1, "-0": 2}}"#, r#"{"mapInt32": {"10": 1, "0": 2}}"#);
    rejected("mapInt32.01", r#"{"mapInt32": {"01": 1}}"#);
    rejected("mapInt32.x", r#"{"mapInt32": {"x": 1}}"#);
    rejected("mapInt32.1e0", r#"{"mapInt32": {"1": 1, "1e0": 1}}"#);
    rejected("mapBool.TRUE", r#"{"mapBool": {"TRUE": true}}"#);
    rejected("mapString.a", r#"{"mapString": {"a": {}, "a": {}}}"#);
    rejected("mapString.a.unknown", r#"{"mapString": {"a": {"unknown": 1}}}"#);
    let many: Vec<String> = (0..1000).map(|key| format!("\"{key}\":1")).collect();
    assert!(round_trip(&format!(r#"{{"mapInt32": {{{}}}}}"#, many.join(","))).is_ok());
    rejected("mapInt32.7", &format!(r#"{{"mapInt32": {{{},"7":1}}}}"#, many.join(",")));
}

#[test]
fn oneofs() {
    check(r#"{"oneofUint32": null, "oneofString": "a"}"#, r#"{"oneofString": "a"}"#);
    same(r#"{"oneofUint32": 0}"#);
    rejected("oneofString", r#"{"oneofUint32": 0, "oneofString": ""}"#);
    rejected("oneofNull", r#"{"oneofUint32": 0, "oneofNull": null}"#);
}

#[test]
fn wrappers_and_times() {
    same(r#"{"wrappedInt32": 0, "wrappedString": "", "wrappedBytes": "AQI=", "repeatedWrapped": [0, 1]}"#);
    rejected("wrappedInt32", r#"{"wrappedInt32": {"value": 1}}"#);
    same(r#"{"timestamp": "0001-01-01T00:00:00Z", "duration": "-315576000000.999999999s"}"#);
    check(
        r#"{"timestamp": "1993-02-10T00:00:00.010+09:00", "duration": "1.5s"}"#,
        r#"{"timestamp": "1993-02-09T15:00:00.010Z", "duration": "1.500s"}"#,
    );
    for value in ["0000-01-01T00:00:00Z", "2023-01-01T00:00:60Z", "2023-01-01t00:00:00Z", "1", ""] {
        rejected("timestamp", &format!(r#"{{"timestamp": "{value}"}}"#));
    }
    for value in ["-315576000001s", "1", "1 s", "0x1s", ""] {
        rejected("duration", &format!(r#"{{"duration": "{value}"}}"#));
    }
    rejected("timestamp", r#"{"timestamp": {"seconds": 1}}"#);
    same(r#"{"mask": "foo,barBaz.qux"}"#);
    same(r#"{"mask": ""}"#);
    rejected("mask", r#"{"mask": "foo_bar"}"#);
    rejected("mask", r#"{"mask": ["a"]}"#);
}

#[test]
fn any_json() {
    same(r#"{"struct": {"a": null, "b": 1.5, "c": "x", "d": true, "e": {"f": []}, "g": [[], {}]}}"#);
    same(r#"{"value": {"a": [1.0]}, "list": [null, "x", [1.0]], "struct": {}}"#);
    same(r#"{"value": "x"}"#);
    same(r#"{"value": false}"#);
    same(r#"{"value": 0.0, "list": []}"#);
    rejected("struct.a", r#"{"struct": {"a": 1, "a": 2}}"#);
    rejected("struct", r#"{"struct": []}"#);
    rejected("list", r#"{"list": {}}"#);
    rejected("value", r#"{"value": 1e400}"#);
    rejected("struct.a.b[1]", r#"{"struct": {"a": {"b": [1, tru]}}}"#);
}

#[test]
fn messages_of_any_type() {
    same(r#"{"any": {}}"#);
    same(r#"{"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}}"#);
    same(r#"{"any": {"@type": "example.org/google.protobuf.Value", "value": null}}"#);
    check(
        r#"{"any": {"value": {}, "@type": "a/google.protobuf.Empty"}}"#,
        r#"{"any": {"@type": "a/google.protobuf.Empty", "value": {}}}"#,
    );
    check(
        r#"{"any": {"@type": "a/google.protobuf.Empty"}}"#,
        r#"{"any": {"@type": "a/google.protobuf.Empty", "value": {}}}"#,
    );
    let inner =
        round_trip(r#"{"any": {"optionalInt32": 7, "@type": "a/transcode.types.v1.Types"}}"#).unwrap();
    assert!(
        inner.contains(r#""optionalInt32":7"#) && inner.contains(r#""@type":"a/transcode.types.v1.Types""#)
    );
    let nested = r#"{"any": {"@type": "a/google.protobuf.Any", "value": {"@type": "a/google.protobuf.Int32Value", "value": 1}}}"#;
    same(nested);
    rejected("any.@type", r#"{"any": {"value": 1}}"#);
    rejected("any.@type", r#"{"any": {"@type": "a/unknown.Type"}}"#);
    rejected("any.@type", r#"{"any": {"@type": "google.protobuf.Empty"}}"#);
    rejected("any.@type", r#"{"any": {"@type": 1}}"#);
    rejected(
        "any.@type",
        r#"{"any": {"@type": "a/google.protobuf.Empty", "@type": "a/google.protobuf.Empty"}}"#,
    );
    rejected(
        "any.@type",
        r#"{"any": {"@type": "a/transcode.types.v1.Types", "@type": "a/transcode.types.v1.Types"}}"#,
    );
    rejected("any", r#"{"any": {"@type": "a/google.protobuf.Duration"}}"#);
    rejected("any.value", r#"{"any": {"@type": "a/google.protobuf.Duration", "value": 1}}"#);
    rejected("any.x", r#"{"any": {"@type": "a/google.protobuf.Duration", "value": "1s", "x": 1}}"#);
    rejected("any.x", r#"{"any": {"@type": "a/transcode.types.v1.Types", "x": 1}}"#);
    same(r#"{"empty": {}}"#);
    rejected("empty.a", r#"{"empty": {"a": 1}}"#);
}
