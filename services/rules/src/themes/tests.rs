//! The mapping of themes: what is valid, and what a theme means.

use super::*;
use crate::Overlay;

fn names(name: &str) -> Vec<(String, String)> {
    vec![("en".to_owned(), "Other".to_owned()), ("it".to_owned(), name.to_owned())]
}

fn theme(id: &str, scheme: &str, path: &[&str]) -> Theme {
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    Theme { id: id.to_owned(), scheme: scheme.parse().unwrap(), path, category: Category::Health }
}

fn mapping(themes: Vec<Theme>) -> Mapping {
    Mapping { revision: 0, themes }
}

#[test]
fn the_built_in_mapping_is_that_of_its_file() {
    let file = Mapping::parse(include_str!("../../sets/themes.yaml")).unwrap();
    assert_eq!(Mapping::built_in(), file);
}

#[test]
fn the_built_in_mapping_has_every_category() {
    let mapping = CompiledMapping::new(&Mapping::built_in());
    let check = |name: &str, expected| {
        let names = names(name);
        assert_eq!(mapping.category("IT1", "ANY", &[("6", &names)]), expected, "{name}");
        assert_eq!(mapping.category("IT1", "ANY", &[("6", &names), ("7", &[])]), expected, "{name}");
        assert_eq!(mapping.category("IT1", "ANY", &[("7", &[]), ("6", &names)]), None, "{name}");
        assert_eq!(mapping.category("IT2", "ANY", &[("6", &names)]), None, "{name}");
    };
    check("Popolazione e famiglie", Some(Category::Population));
    check("PREZZI", Some(Category::Economy));
    check("Commercio con l\u{2019}estero e internalizzazione", Some(Category::Economy));
    check("Lavoro e retribuzioni", Some(Category::Labour));
    check("Ambiente ed energia", Some(Category::Territory));
    check("Istruzione e formazione", Some(Category::Education));
    check("Salute e sanita", Some(Category::Health));
    check("Cultura, comunicazione, viaggi", Some(Category::Other));
    check("Enterprises", None);
    assert_eq!(Mapping::built_in().revision, 0);
}

#[test]
fn the_longest_path_decides_and_the_first_row_of_equal_ones() {
    let rows = "themes:\n- {themeId: a, scheme: 'A:S', path: [X], category: HEALTH}\n\
                - {themeId: b, scheme: 'A:*', path: [X, Y], category: LABOUR}\n\
                - {themeId: c, scheme: 'A:*', path: [X], category: OTHER}\n";
    let mapping = CompiledMapping::new(&Mapping::parse(rows).unwrap());
    let check = |scheme: &str, path: &[&str], expected| {
        let steps: Vec<Step<'_>> = path.iter().map(|id| (*id, &[][..])).collect();
        assert_eq!(mapping.category("A", scheme, &steps), expected, "{scheme} {path:?}");
    };
    check("S", &["X"], Some(Category::Health));
    check("T", &["X"], Some(Category::Other));
    check("S", &["X", "Y"], Some(Category::Labour));
    check("S", &["X", "Z"], Some(Category::Health));
    check("S", &["Y"], None);
    check("S", &[], None);
}

#[test]
fn an_id_and_a_name_lead_to_different_rows_of_which_the_first_decides() {
    let named = Theme { category: Category::Labour, ..theme("a", "A:*", &["Work"]) };
    let compiled = CompiledMapping::new(&mapping(vec![named.clone(), theme("b", "A:*", &["W"])]));
    let work = names("WORK");
    assert_eq!(compiled.category("A", "S", &[("W", &work)]), Some(Category::Labour));
    let compiled = CompiledMapping::new(&mapping(vec![theme("b", "A:*", &["W"]), named]));
    assert_eq!(compiled.category("A", "S", &[("W", &work)]), Some(Category::Health));
}

#[test]
fn an_invalid_file_is_told_where() {
    let check = |row: &str, expected: &str| {
        let error = Mapping::parse(&format!("themes:\n- {row}\n")).unwrap_err().to_string();
        assert!(error.contains(expected), "{row}: {error}");
    };
    check("{themeId: a, scheme: A, path: [X], category: HEALTH}", "AGENCY:*");
    check("{themeId: a, scheme: ':S', path: [X], category: HEALTH}", "AGENCY:*");
    check("{themeId: a, scheme: 'A:', path: [X], category: HEALTH}", "AGENCY:*");
    check("{themeId: a, scheme: 'A:S', path: [], category: HEALTH}", "themes[0].path");
    check("{themeId: a, scheme: 'A:S', path: [X], category: WEALTH}", "WEALTH");
    check("{themeId: a, scheme: 'A:S', path: [X], category: HEALTH, more: 1}", "more");
    check("{scheme: 'A:S', path: [X], category: HEALTH}", "themeId");
    let shape = Mapping::parse("rules: []\n").unwrap_err().to_string();
    assert!(shape.starts_with("not a mapping of themes: "), "{shape}");
}

#[test]
fn every_limit_of_a_row_holds_on_both_sides() {
    let check = |themes: Vec<Theme>, expected: Option<&str>| {
        let found = mapping(themes).validate().err().map(|error| error.field);
        assert_eq!(found.as_deref(), expected);
    };
    let id = |id: &str| vec![theme(id, "A:*", &["X"])];
    check(id(&"i".repeat(MAX_THEME_ID)), None);
    check(id(&"i".repeat(MAX_THEME_ID + 1)), Some("themes[0].themeId"));
    check(id(""), Some("themes[0].themeId"));
    check(id("revisions"), Some("themes[0].themeId"));
    let scheme = |length: usize| vec![theme("a", &format!("A:{}", "s".repeat(length)), &["X"])];
    check(scheme(MAX_THEME_SCHEME - 1), None);
    check(scheme(MAX_THEME_SCHEME), Some("themes[0].scheme"));
    check(vec![theme("a", "A:*", &["X"; MAX_THEME_PATH])], None);
    check(vec![theme("a", "A:*", &["X"; MAX_THEME_PATH + 1])], Some("themes[0].path"));
    check(vec![theme("a", "A:*", &[])], Some("themes[0].path"));
    check(vec![theme("a", "A:*", &["X", &"n".repeat(MAX_THEME_NAME)])], None);
    check(vec![theme("a", "A:*", &["X", &"n".repeat(MAX_THEME_NAME + 1)])], Some("themes[0].path[1]"));
    check(vec![theme("a", "A:*", &["X", " "])], Some("themes[0].path[1]"));
    check(vec![theme("a", "A:*", &["X"]), theme("a", "A:*", &["Y"])], Some("themes[1].themeId"));
    check(vec![theme("a", "A:*", &["X"]), theme("b", "A:*", &["X"])], Some("themes[1].path"));
    check(vec![theme("a", "A:*", &["X"]), theme("b", "A:S", &["X"])], None);
}

#[test]
fn every_limit_of_the_mapping_holds_on_both_sides() {
    let row = |index: usize| theme(&index.to_string(), "A:*", &[&index.to_string()]);
    let check = |themes: Vec<Theme>, expected: Option<&str>| {
        let found = mapping(themes).validate().err().map(|error| error.field);
        assert_eq!(found.as_deref(), expected);
    };
    check((0..MAX_THEMES).map(row).collect(), None);
    check((0..=MAX_THEMES).map(row).collect(), Some("themes"));
    // A row takes its identifier, its agency and its path.
    let (fixed, long) = (4 + 1 + 4, "n".repeat(MAX_THEME_NAME));
    let of = |index: usize, names: &[&str]| {
        let index = format!("{index:04}");
        theme(&index, "A:*", &[&[index.as_str()], names].concat())
    };
    let count = MAX_THEME_BYTES / (fixed + 2 * MAX_THEME_NAME);
    let sized = |rest: usize| {
        let rows = (0..count).map(|index| of(index, &[&long, &long]));
        rows.chain([of(count, &[&long[..rest - fixed]])]).collect()
    };
    let rest = MAX_THEME_BYTES - count * (fixed + 2 * MAX_THEME_NAME);
    check(sized(rest), None);
    check(sized(rest + 1), Some("themes"));
}

#[test]
fn the_largest_mapping_is_read_back() {
    let path: Vec<_> = (0..MAX_THEME_PATH).map(|step| format!("{step:02}")).collect();
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    let row = |index: usize| {
        let index = format!("{index:04}");
        theme(&index, "A:S", &[&[index.as_str()], &path[1..]].concat())
    };
    let largest = mapping((0..MAX_THEMES).map(row).collect());
    largest.validate().unwrap();
    assert_eq!(Mapping::parse(&largest.to_yaml()).unwrap(), largest);
    let odd = mapping(vec![theme("r: #1", "A:S:T", &["- yes", "null", " \"x\"", "1.0"])]);
    assert_eq!(Mapping::parse(&odd.to_yaml()).unwrap(), odd);
}

#[test]
fn a_tenant_changes_rows_like_rules() {
    let shared = Mapping { revision: 7, themes: vec![theme("a", "A:*", &["X"]), theme("b", "A:*", &["Y"])] };
    let own = Theme { category: Category::Labour, ..shared.themes[0].clone() };
    let overlay = Overlay { own: vec![own.clone()], removed: ["b".to_owned()].into() };
    assert_eq!(overlay.apply(&shared), Mapping { revision: 7, themes: vec![own] });
    assert!(overlay.changes("a") && overlay.changes("b") && !overlay.changes("c"));
    assert_eq!(overlay.bytes(), overlay.own[0].bytes() + 48 + 1);
}
