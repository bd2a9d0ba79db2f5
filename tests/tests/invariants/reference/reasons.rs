//! `docs/reasons.md`: every reason of failures, with its code and status. The reasons are parsed from the source, since
//! there is no list at run time and private errors of a crate cannot be constructed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dataflow_mesh::status::{Kind, OF_MEMORY, OF_RATE};

use super::{read, root, rows, section};

/// All kinds, to find one by its name.
const KINDS: [Kind; 18] = [
    Kind::Invalid,
    Kind::NotFound,
    Kind::AlreadyExists,
    Kind::Precondition,
    Kind::Conflict,
    Kind::Denied,
    Kind::Unauthenticated,
    Kind::TooLarge,
    Kind::HeadersTooLarge,
    Kind::Overloaded,
    Kind::Unavailable,
    Kind::Timeout,
    Kind::Cancelled,
    Kind::Unimplemented,
    Kind::MethodNotAllowed,
    Kind::UnsupportedMediaType,
    Kind::PeerFault,
    Kind::Internal,
];

/// The errors of uploads, which pass on the reasons of document faults, and which these services pass on with their own
/// domains.
const UPLOADS: &str = "services/uploads/src/error.rs";
const OVER_UPLOADS: [&str; 2] = ["services/analysis/src/error.rs", "services/catalogue/src/error.rs"];
const FAULTS: &str = "services/sdmx/src/error.rs";
const DIAGNOSTICS: &str = "services/sdmx/src/diagnostic.rs";

/// The errors of the store, which these services pass on with their own domains.
const STORE: &str = "services/store/src/error.rs";
const OVER_STORE: [&str; 3] =
    ["services/cache/src/error.rs", "services/catalogue/src/error.rs", "services/config/src/error.rs"];

/// The heading of the page's tables of failures.
const FAILURES: &str = "| reason | gRPC | HTTP | when | what to do |";

/// Domain and reason.
type Reason = (String, String);

#[test]
fn refusals_are_told_apart_by_reasons_that_exist() {
    let reasons: BTreeSet<_> = in_source().into_keys().map(|(_, reason)| reason).collect();
    for reason in OF_MEMORY.into_iter().chain(OF_RATE) {
        assert!(reasons.contains(reason), "{reason}");
    }
}

#[test]
fn the_page_lists_every_reason_with_its_code_and_status() {
    let page = read("docs/reasons.md");
    let mut on_page = BTreeMap::new();
    let in_code = in_source();
    let domains: BTreeSet<_> = in_code.keys().map(|(domain, _)| domain).collect();
    for domain in domains {
        for row in rows(section(&page, &format!("## {domain}")), FAILURES) {
            let [reason, code, status, when, what] = row.try_into().unwrap();
            assert!(!when.is_empty() && !what.is_empty(), "{reason}");
            let before = on_page.insert((domain.clone(), reason), format!("{code} {status}"));
            assert_eq!(before, None, "a reason is listed twice in {domain}");
        }
    }
    assert_eq!(on_page.len(), rows(&page, FAILURES).len(), "a table is in the section of an unknown domain");
    agree(&on_page, &in_code);
}

#[test]
fn the_page_lists_every_diagnostic_with_its_severity() {
    let source = read(DIAGNOSTICS);
    let severities = arms(body(&source, "fn severity(self)"), "Severity");
    let words = arms(body(&source, "fn as_str("), "");
    let in_code = words.into_iter().map(|(variant, word)| {
        let severity = severities.get(&variant).or(severities.get("_"));
        let severity = severity.unwrap_or_else(|| panic!("{variant} has no severity"))[0].to_uppercase();
        (("diagnostics".to_owned(), word[0].clone()), severity)
    });
    let on_page = rows(&read("docs/reasons.md"), "| reason | severity | when | what to do |").into_iter();
    let on_page = on_page.map(|row| (("diagnostics".to_owned(), row[0].clone()), row[1].clone()));
    agree(&on_page.collect(), &in_code.collect());
}

#[test]
fn the_parser_finds_known_reasons() {
    let in_code = in_source();
    let check = |domain: &str, reason: &str, expected: &str| {
        let found = in_code.get(&(domain.to_owned(), reason.to_owned()));
        assert_eq!(found.map(String::as_str), Some(expected), "{domain} {reason}");
    };
    check("dataflow.mesh.v1", "CONCURRENCY_LIMIT", "RESOURCE_EXHAUSTED 429");
    check("dataflow.cache.v1", "TTL_INVALID", "INVALID_ARGUMENT 400");
    check("dataflow.cache.v1", "STORE_UNAVAILABLE", "UNAVAILABLE 503");
    check("dataflow.analysis.v1", "RULESET_UNUSABLE", "FAILED_PRECONDITION 400");
    check("dataflow.analysis.v1", "NOT_XML", "INVALID_ARGUMENT 400");
    check("dataflow.analysis.v1", "NESTED_TOO_DEEP", "RESOURCE_EXHAUSTED 413");
    assert!(!in_code.keys().any(|(domain, _)| domain == "dataflow.test.v1"), "unit tests are skipped");

    let source = "match self { A::B { .. } | A::C(_) if d(x) => Kind::E,\n A::F(g) => g.h(),\n A::I => { Kind::J } _ => Kind::K }";
    let expected = [("B", "E"), ("C", "E"), ("I", "J"), ("_", "K")];
    let expected = expected.map(|(variant, value)| (variant.to_owned(), vec![value.to_owned()]));
    assert_eq!(arms(source, "Kind"), expected.into());
    let source = "match self { Self::B => \"B_C\", Self::D(e) => e.reason(), Self::E => \"F\", }";
    let expected = [("B", "B_C"), ("E", "F")];
    let expected = expected.map(|(variant, value)| (variant.to_owned(), vec![value.to_owned()]));
    assert_eq!(arms(source, ""), expected.into());
}

#[track_caller]
fn agree(on_page: &BTreeMap<Reason, String>, in_code: &BTreeMap<Reason, String>) {
    let only = |one: &BTreeMap<Reason, String>, other: &BTreeMap<Reason, String>| -> Vec<String> {
        let only = one.iter().filter(|(word, code_and_status)| other.get(*word) != Some(*code_and_status));
        only.map(|((domain, reason), code_and_status)| format!("{domain} {reason} {code_and_status}"))
            .collect()
    };
    let (surplus, missing) = (only(on_page, in_code), only(in_code, on_page));
    assert!(
        surplus.is_empty() && missing.is_empty(),
        "docs/reasons.md lists unknown reasons: {surplus:#?}\nand lacks: {missing:#?}"
    );
}

/// The gRPC code and HTTP status of every reason in the source.
fn in_source() -> BTreeMap<Reason, String> {
    let mut in_code = BTreeMap::new();
    for folder in ["mesh/src", "gateway/src", "services"] {
        visit(&root().join(folder), &mut |path| {
            let source = read(path);
            let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
            for describe in shipped.split("impl Describe for ").skip(1) {
                let domain = |source: &str| literal(body(source, "fn domain("));
                let domains = if path.ends_with(STORE) {
                    OVER_STORE.map(|service| domain(&read(service))).to_vec()
                } else if path.ends_with(UPLOADS) {
                    OVER_UPLOADS.map(|service| domain(&read(service))).to_vec()
                } else {
                    vec![domain(describe)]
                };
                let kinds = arms(body(describe, "fn kind("), "Kind");
                let reasons = arms(body(describe, "fn reason("), "");
                let passes_on = body(describe, "fn reason(").contains(".reason()");
                assert!(
                    !reasons.is_empty()
                        && (!passes_on
                            || path.ends_with(UPLOADS)
                            || OVER_UPLOADS.iter().chain(&OVER_STORE).any(|service| path.ends_with(service))),
                    "{}: this test does not know where its reasons are",
                    path.display()
                );
                for (variant, reason) in reasons {
                    let kind = kinds.get(&variant).or(kinds.get("_"));
                    let kind = kind.unwrap_or_else(|| panic!("{}: {variant} has no kind", path.display()));
                    for domain in &domains {
                        in_code.insert((domain.clone(), reason[0].clone()), code_and_status(&kind[0]));
                    }
                }
            }
        });
    }
    let errors = read(UPLOADS);
    let [too_large, otherwise] = arms(body(&errors, "fn kind("), "Kind")["Document"]
        .clone()
        .try_into()
        .expect("a document is too large or otherwise invalid");
    let limits = body(&errors, "fn exceeds_limit(");
    for (fault, reason) in arms(body(&read(FAULTS), "fn reason(&self) -> &'static str {\n        match"), "")
    {
        let kind = if limits.contains(&format!("Fault::{fault} ")) { &too_large } else { &otherwise };
        for service in OVER_UPLOADS {
            let domain = literal(body(&read(service), "fn domain("));
            in_code.insert((domain, reason[0].clone()), code_and_status(kind));
        }
    }
    in_code
}

/// The gRPC code and the HTTP status of a kind.
fn code_and_status(kind: &str) -> String {
    let found = KINDS.into_iter().find(|known| format!("{known:?}") == kind);
    let kind = found.unwrap_or_else(|| panic!("the kind {kind} is new: add it to KINDS in {}", file!()));
    let mut code = String::new();
    for letter in format!("{:?}", kind.code()).chars() {
        if letter.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    format!("{code} {}", kind.http().as_u16())
}

/// Calls `each` with every Rust file below a folder, except tests.
fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let path = entry.expect("and so can its entries").path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path);
        }
    }
}

/// The body of the function that begins like this.
#[track_caller]
fn body<'a>(source: &'a str, function: &str) -> &'a str {
    let start = source.find(function).unwrap_or_else(|| panic!("there is no {function:?}"));
    let start = start + source[start..].find('{').expect("a function has a body");
    let mut depth = 0;
    let end = source[start..].find(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        depth == 0
    });
    &source[start + 1..start + end.expect("a body has an end")]
}

/// The arms of a match over variants: the values of every variant, in order. A value is `TYPE::Value`, or a string
/// literal if `of_type` is empty; other arms are skipped.
fn arms(body: &str, of_type: &str) -> BTreeMap<String, Vec<String>> {
    let mut arms: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut pattern: Vec<&str> = Vec::new();
    let spaced = body.replace("=>", " => ");
    let mut words = spaced.split(|letter: char| !(letter.is_alphanumeric() || "_:\"=>".contains(letter)));
    while let Some(word) = words.next() {
        match word.split_once("::") {
            // Only as the whole pattern; the `_` in `A::B(_)` follows its variant.
            _ if word == "_" && pattern.is_empty() => pattern.push(word),
            Some((_, variant)) => pattern.push(variant),
            _ if word != "=>" => {}
            None => {
                let value = words.find(|word| !word.is_empty()).unwrap_or_default();
                let value = match value.split_once("::") {
                    Some((name, value)) if name == of_type => Some(value),
                    None if of_type.is_empty() => {
                        value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
                    }
                    _ => None,
                };
                for variant in pattern.drain(..) {
                    arms.entry(variant.to_owned()).or_default().extend(value.map(str::to_owned));
                }
            }
        }
    }
    arms.retain(|_, values| !values.is_empty());
    arms
}

/// The first string literal.
fn literal(code: &str) -> String {
    code.split('"').nth(1).expect("there is a text").to_owned()
}
