//! Modules of a crate do not import each other in circles: one that is read depends on others that can be read before
//! it.
//!
//! A module and those below it count as one, since a folder is read as a whole; within each folder the same holds
//! again. What the crate's root reexports does not count as an import of the root.

use std::collections::{BTreeMap, BTreeSet};

use crate::expect_none;
use crate::source::{SOURCES, Source, words};

/// Modules, as paths from their crate's root.
type Module = Vec<String>;

/// Imports, from and to.
type Imports = BTreeSet<(Module, Module)>;

#[test]
fn modules_do_not_import_each_other_in_circles() {
    assert_eq!(circles(&[("a/src/b.rs", "use crate::c::D;"), ("a/src/c.rs", "use super::b::E;")]).len(), 1);
    assert_eq!(circles(&[("a/src/b.rs", "use crate::c::D;"), ("a/src/c.rs", "use crate::d::E;")]).len(), 0);
    let through = [
        ("a/src/b.rs", "use crate::{c::D, e};"),
        ("a/src/c/f.rs", "fn g() { crate::h::i() }"),
        ("a/src/c.rs", "mod f;"),
        ("a/src/h.rs", "use crate::b;"),
        ("a/src/e.rs", ""),
    ];
    assert_eq!(circles(&through), ["a/src: b -> c -> h -> b"]);
    let below = [
        ("a/src/b.rs", "mod c;\nmod d;\nuse c::E;"),
        ("a/src/b/c.rs", "use super::F;\nuse super::d::G;"),
        ("a/src/b/d.rs", "use super::c::E;"),
    ];
    assert_eq!(circles(&below), ["a/src/b: c -> d -> c"]);

    let sources: Vec<_> = SOURCES.iter().map(|source| (source.path.as_str(), source.text.as_str())).collect();
    expect_none(
        &circles(&sources),
        "move what both need into a module of its own, which imports neither; or let the lower one take a trait, a \
         closure or a value.",
    );
}

/// The circles of all crates, each as the modules along it.
fn circles(sources: &[(&str, &str)]) -> Vec<String> {
    let mut crates = BTreeMap::<&str, Vec<(Module, Source)>>::new();
    for (path, text) in sources {
        let Some((folder, module)) = path.split_once("/src/") else { continue };
        let module = module.trim_end_matches(".rs");
        let is_left_out = module.starts_with("bin/") || path.split('/').any(|part| part.starts_with("tests"));
        if !is_left_out {
            let is_root = matches!(module, "lib" | "main");
            let module = if is_root { Vec::new() } else { module.split('/').map(str::to_owned).collect() };
            crates.entry(folder).or_default().push((module, Source::new(path, text)));
        }
    }
    let found = crates.into_iter().flat_map(|(folder, modules)| {
        let known: BTreeSet<_> = modules.iter().map(|(module, _)| module.clone()).collect();
        let imports: Imports = modules
            .iter()
            .flat_map(|(module, source)| {
                imports(module, source, &known).into_iter().map(|to| (module.clone(), to))
            })
            .collect();
        let folders: BTreeSet<&[String]> =
            known.iter().filter_map(|module| Some(module.split_last()?.1)).collect();
        let circles = folders.into_iter().filter_map(|inside| {
            let circle = circle(&among(&imports, inside))?;
            Some(format!(
                "{}: {}",
                [&[format!("{folder}/src")], inside].concat().join("/"),
                circle.join(" -> ")
            ))
        });
        circles.collect::<Vec<_>>()
    });
    found.collect()
}

/// The imports among the modules right below one, each with all that is below it.
fn among(imports: &Imports, inside: &[String]) -> BTreeSet<(String, String)> {
    let child = |module: &Module| module.strip_prefix(inside)?.first().cloned();
    let pairs = imports.iter().filter_map(|(from, to)| Some((child(from)?, child(to)?)));
    pairs.filter(|(from, to)| from != to).collect()
}

/// The shortest circle through the first module that lies on one.
fn circle(imports: &BTreeSet<(String, String)>) -> Option<Vec<String>> {
    let starts: BTreeSet<_> = imports.iter().map(|(from, _)| from).collect();
    starts.into_iter().find_map(|start| {
        let (mut paths, mut reached) = (vec![vec![start.clone()]], BTreeSet::new());
        while let Some(path) = (!paths.is_empty()).then(|| paths.remove(0)) {
            let last = path.last().expect("a path begins somewhere");
            for (_, to) in imports.iter().filter(|(from, _)| from == last) {
                let longer = [&path[..], std::slice::from_ref(to)].concat();
                if to == start {
                    return Some(longer);
                }
                if reached.insert(to.clone()) {
                    paths.push(longer);
                }
            }
        }
        None
    })
}

/// The modules of the same crate that a module names.
fn imports(module: &Module, source: &Source, known: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = source.code_without_tests();
    let mut paths = Vec::new();
    for at in words(code, "use ") {
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        expand("", &tree.split_whitespace().collect::<String>(), &mut paths);
    }
    for start in ["crate::", "super::", "self::"] {
        paths.extend(words(code, start).into_iter().map(|at| {
            let end = code[at..].find(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter));
            code[at..end.map_or(code.len(), |end| at + end)].to_owned()
        }));
    }
    paths.iter().filter_map(|path| resolve(module, path, known)).filter(|to| to != module).collect()
}

/// The paths in a tree of `use`, of which `prefix` stands before it.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((before, rest)) = tree.split_once('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let (prefix, mut depth, mut branch) = (format!("{prefix}{before}"), 0, String::new());
    for letter in rest.strip_suffix('}').unwrap_or(rest).chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if letter == ',' && depth == 0 {
            expand(&prefix, &std::mem::take(&mut branch), paths);
        } else {
            branch.push(letter);
        }
    }
    if !branch.is_empty() {
        expand(&prefix, &branch, paths);
    }
}

/// The module that a path leads to or through; none where that is another crate, or this crate's root.
fn resolve(module: &Module, path: &str, known: &BTreeSet<Module>) -> Option<Module> {
    let mut parts = path.split("::").peekable();
    let mut at = match parts.peek().copied()? {
        "crate" => Vec::new(),
        "self" => module.clone(),
        "super" => module.split_last()?.1.to_vec(),
        // A child, by its name alone.
        child if known.contains(&[&module[..], &[child.to_owned()]].concat()) => {
            [&module[..], &[child.to_owned()]].concat()
        }
        _ => return None,
    };
    parts.next();
    while parts.peek() == Some(&"super") {
        at.pop();
        parts.next();
    }
    for part in parts {
        let below = [&at[..], &[part.to_owned()]].concat();
        if !known.contains(&below) {
            break;
        }
        at = below;
    }
    Some(at).filter(|at| !at.is_empty())
}
