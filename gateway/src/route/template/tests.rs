//! Valid and invalid templates, and their variables.

use super::*;

/// The variables as `field`, with `…` if they may cover several segments.
fn check(text: &str, variables: &str, verb: Option<&str>) {
    let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown = |variable: &Variable| {
        let open = if variable.is_single() { "" } else { "…" };
        format!("{}{open}", variable.field_path())
    };
    let shown: Vec<_> = template.variables().iter().map(shown).collect();
    assert_eq!((shown.join(" ").as_str(), template.verb.as_deref()), (variables, verb), "{text}");
    assert_eq!((template.to_string().as_str(), template.as_str()), (text, text));
}

#[test]
fn templates_have_variables_and_a_verb() {
    check("/v1/rulesets", "", None);
    check("/v1/rulesets:watch", "", Some("watch"));
    check("/v1/*/x/**:y", "", Some("y"));
    check("/{a}", "a", None);
    check("/{a}/{b.c_2}:d", "a b.c_2", Some("d"));
    check("/v1/{_a=*}", "_a", None);
    check("/v1/{a=x}/y", "a", None);
    check("/v1/{a=**}", "a…", None);
    check("/v1/{a=*/*}", "a…", None);
    check("/v1/{a=shelves/*}/{b=books/**}:c", "a… b…", Some("c"));
    check("/caffè/a=b;c", "", None);
    check("/", "", None);
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(Template::parse(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
}

#[test]
fn errors_name_the_expectation_and_the_position() {
    check_error("", "`/` expected at byte 0");
    check_error("v1", "`/` expected at byte 0");
    check_error("/v1//x", "a literal or a wildcard expected at byte 4");
    check_error("/v1/", "a literal or a wildcard expected at byte 4");
    check_error("/v1/..", "a literal or a wildcard expected at byte 4");
    check_error("/v1/x*", "a literal or a wildcard expected at byte 4");
    check_error("/***", "a literal or a wildcard expected at byte 1");
    check_error("/:x", "a literal or a wildcard expected at byte 1");
    check_error("/%41", "a literal or a wildcard expected at byte 1");
    check_error("/a:", "a verb or the end expected at byte 3");
    check_error("/a:b/c", "a verb or the end expected at byte 4");
    check_error("/a:b:c", "a verb or the end expected at byte 4");
    check_error("/a b", "a verb or the end expected at byte 2");
    check_error("/a?b", "a verb or the end expected at byte 2");
    check_error("/x{a}", "a verb or the end expected at byte 2");
    check_error("/{a}x", "a verb or the end expected at byte 4");
    check_error("/a}", "a verb or the end expected at byte 2");
    check_error("/**/a", "nothing after `**` expected at byte 4");
    check_error("/{a=**/b}", "nothing after `**` expected at byte 7");
    check_error("/{a=**}/{b}", "nothing after `**` expected at byte 8");
    check_error("/{a={b}}", "a literal or a wildcard expected at byte 4");
    check_error("/{a=}", "a literal or a wildcard expected at byte 4");
    check_error("/{a=b:c}", "`}` expected at byte 5");
    check_error("/{a", "`}` expected at byte 3");
    check_error("/{}", "a field path expected at byte 2");
    check_error("/{*}", "a field path expected at byte 2");
    check_error("/{.a}", "a field path expected at byte 2");
    check_error("/{a..b}", "a field path expected at byte 2");
    check_error("/{a.}", "a field path expected at byte 2");
    check_error("/{a.2b}", "a field path expected at byte 2");
    check_error("/{a-b}", "`}` expected at byte 3");
    check_error("/{a.b}/{a.b}", "second variable for field a.b at byte 8");
}
