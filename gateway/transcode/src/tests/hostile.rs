//! JSON that is made to use memory, time or the stack.

use super::conformance::{LIMIT, rejected, round_trip, schema};
use crate::{Preset, Root, json_to_wire};

#[test]
fn the_paths_of_changes_have_a_limit() {
    let schema = schema();
    let id = schema.message_named("transcode.types.v1.Types").unwrap();
    let nested = schema.field_named(id, "nested").unwrap();
    let changes = |chain: usize, tree: u32| {
        let leaf = r#"{"optionalInt32": 1}"#.to_owned();
        let tree =
            (0..tree).fold(leaf, |inner, _| format!(r#"{{"nested": {inner}, "oneofNested": {inner}}}"#));
        let json = format!("{}{tree}{}", r#"{"nested":"#.repeat(chain), "}".repeat(chain));
        let (preset, mut out) = (Preset::new(&schema, id), Vec::new());
        json_to_wire(&preset, Root::Changes(nested), json.as_bytes(), LIMIT, &mut out)
    };
    assert_eq!(changes(80, 0).unwrap(), [format!("{}optional_int32", "nested.".repeat(80))]);
    assert_eq!(changes(1, 5).unwrap().len(), 32);
    let error = changes(80, 10).unwrap_err();
    assert!(error.to_string().starts_with("the message is larger than"), "{error}");
}

#[test]
fn hostile_texts() {
    let deep = |levels: usize| format!("{}{}", r#"{"nested":"#.repeat(levels) + "{}", "}".repeat(levels));
    assert!(round_trip(&deep(100)).is_ok());
    assert!(round_trip(&deep(101)).unwrap_err().1.contains("100 levels"));
    assert!(round_trip(&deep(100_000)).unwrap_err().1.contains("100 levels"));
    rejected("list[0][0][0][0][0]", &format!(r#"{{"list": [[[[[{}"#, "9".repeat(1_000_000)));
    let arrays = "[".repeat(10_000_000);
    assert!(round_trip(&format!(r#"{{"value": {arrays}"#)).unwrap_err().1.contains("100 levels"));
    assert!(round_trip(&arrays).is_err());
    let key = "k".repeat(1_000_000);
    let (field, problem) = round_trip(&format!(r#"{{"{key}": 1}}"#)).unwrap_err();
    assert!(field.len() <= 100 && problem.len() <= 200, "{field} {problem}");
    let (_, problem) = round_trip(&format!(r#"{{"optionalInt32": {}}}"#, "1".repeat(1_000_000))).unwrap_err();
    assert!(problem.len() <= 200, "{problem}");
    rejected("", "\u{feff}{}");
    // The type of an `Any` that comes last has all of it read twice: within each other, that would be quadratic.
    let nested = (0..40).fold("{}".to_owned(), |inner, _| {
        format!(r#"{{"any": {inner}, "@type": "a/transcode.types.v1.Types"}}"#)
    });
    let nested = format!(r#"{{"any": {nested}}}"#);
    assert!(round_trip(&nested).unwrap_err().1.contains("does not come first"), "{nested}");
}
