//! Retired words: the private vocabulary of release 0.1.0. A reader must find the standard term that they search for;
//! `docs/glossary.md` has the terms.

use crate::expect_none;
use crate::source::{SOURCES, Source, TREE, read, words};

/// Words that no source, help text, log message, manifest or page may contain, in either case of the first letter, with
/// the term to use.
const RETIRED: [(&str, &str); 10] = [
    ("leash", "deadline watchdog"),
    ("OnLeash", "Watched"),
    ("CutBody", "TerminatedBody"),
    ("Surroundings", "Sources"),
    ("Told", "Report or Stats"),
    ("Keeping", "WriteLease"),
    ("patience", "timeout"),
    ("deaf", "what it is: closed, silent, ignoring its peer"),
    ("nobody", "who it is: no caller, no replica"),
    ("whoever", "who it is: the caller, the client"),
];

/// Retired names of types. The words themselves are free.
const TYPES: [&str; 4] = ["Several", "Place", "Places", "Hold"];

/// Retired modules, as they would end a path.
const MODULES: [&str; 4] = ["serve/door", "near", "near/trust", "layers"];

/// Texts that people read.
const READ: [&str; 8] = [".rs", ".md", ".proto", ".yaml", ".toml", "Makefile", "Dockerfile", ".txt"];

/// This file names them, and the changelog may have to.
const EXEMPT: [&str; 2] = ["tests/tests/invariants/vocabulary.rs", "CHANGELOG.md"];

#[test]
fn retired_words_are_not_used() {
    let violations = |path: &str, text: &str| -> Vec<String> {
        let source = Source::new(path, text);
        let found = RETIRED.iter().flat_map(|(word, term)| {
            // As it stands, and in the other case: `Told` is a type, while what somebody was told is free.
            let is_type = word.starts_with(char::is_uppercase);
            let spellings = if is_type { vec![(*word).to_owned()] } else { spellings(word) };
            let source = &source;
            let at = spellings.into_iter().flat_map(|spelling| words(&source.text, &spelling));
            at.map(move |at| source.at(at, &format!("{word}: write {term}"))).collect::<Vec<_>>()
        });
        found.collect()
    };
    assert_eq!(violations("a/src/b.rs", "// Nobody waits.\nconst PATIENCE: u8 = 1;").len(), 2);
    assert_eq!(violations("docs/a.md", "It was told to look near the layer.").len(), 0);
    let texts = TREE.iter().filter(|entry| {
        !entry.is_folder
            && READ.iter().any(|ending| entry.path.ends_with(ending))
            && !EXEMPT.contains(&entry.path.as_str())
    });
    let found: Vec<_> = texts.flat_map(|entry| violations(&entry.path, &read(&entry.path))).collect();
    expect_none(&found, "use the standard term; `docs/glossary.md` lists those of this project.");
}

/// A word in lower case, with an initial, and in capitals.
fn spellings(word: &str) -> Vec<String> {
    let (first, rest) = word.split_at(1);
    vec![word.to_owned(), first.to_ascii_uppercase() + rest, word.to_ascii_uppercase()]
}

#[test]
fn retired_types_and_modules_do_not_come_back() {
    let violations = |source: &Source| -> Vec<String> {
        let code = &source.code;
        let types = TYPES.iter().flat_map(|name| {
            let declared = ["struct", "enum", "trait", "type"].map(|kind| format!("{kind} {name}"));
            declared.into_iter().flat_map(|declared| {
                words(code, &declared).into_iter().map(move |at| source.at(at, &declared)).collect::<Vec<_>>()
            })
        });
        let module =
            source.path.strip_suffix(".rs").filter(|path| path.contains("/src/")).unwrap_or_default();
        let is_retired =
            |name: &&&str| module.ends_with(&format!("/{name}")) || module.contains(&format!("/{name}/"));
        let modules =
            MODULES.iter().filter(is_retired).map(|name| format!("{}: the module {name}", source.path));
        types.chain(modules).collect()
    };
    assert_eq!(violations(&Source::new("mesh/src/serve/door.rs", "struct Hold;")).len(), 2);
    assert_eq!(violations(&Source::new("mesh/src/a.rs", "struct Holder; // struct Hold")).len(), 0);
    expect_none(
        &SOURCES.iter().flat_map(violations).collect::<Vec<_>>(),
        "name it for what it is, in the words of the field.",
    );
}
