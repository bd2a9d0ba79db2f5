//! `docs/rules.md`: its rule sets compile and categorize the titles below them as documented; its keywords match as
//! documented; its limits are those of the code.

use dataflow_rules::limits::{
    MAX_COMPARISONS, MAX_KEYWORD, MAX_KEYWORD_BYTES, MAX_KEYWORDS, MAX_LANGUAGES, MAX_NAME, MAX_POINTS,
    MAX_RULE_ID, MAX_RULES,
};
use dataflow_rules::{Category, Compiled, MAX_EVIDENCE, Scratch, Subject, file};

use super::{read, rows, section};

#[test]
fn examples_categorize_titles_as_documented() {
    let page = read("docs/rules.md");
    let mut tried = 0;
    for example in page.split("```yaml\n").skip(1) {
        let (rules, below) = example.split_once("```\n").expect("a block has an end");
        let compiled = compile(rules);
        for row in rows(below, "| id | language | name | category | score | confidence | counted |") {
            let [id, language, name, category, score, confidence, counted] = row.try_into().unwrap();
            let names = [(language, name.clone())];
            let subject = Subject { id: &id, agency: "", names: &names, descriptions: &[], legacy: None };
            let mut scratch = Scratch::default();
            let verdict = compiled.categorize(&subject, &mut scratch);
            let evidence: Vec<_> = verdict.evidence.iter().map(|found| &*found.keyword.written).collect();
            assert_eq!(
                (verdict.category.name(), verdict.score.to_string(), format!("{:.2}", verdict.confidence)),
                (category.as_str(), score, confidence),
                "{name}: {evidence:?}"
            );
            assert_eq!(evidence.join(", "), counted, "{name}");
            tried += 1;
        }
    }
    assert_eq!(tried, 9, "titles under the examples");
}

#[test]
fn keywords_match_as_documented() {
    let page = read("docs/rules.md");
    let keywords = rows(section(&page, "## Mode WORDS"), "| keyword | finds | does not find |");
    assert_eq!(keywords.len(), 10);
    for row in keywords {
        let [keyword, found, other] = row.try_into().unwrap();
        let compiled = compile(&format!(
            "{{ruleset: one, mode: WORDS, rules: [{{ruleId: a, category: HEALTH, keywords: [\"{keyword}\"]}}]}}"
        ));
        let finds = |text: &str| {
            let names = [(String::new(), text.to_owned())];
            let (id, names) = if keyword.starts_with("id:") { (text, &[][..]) } else { ("", &names[..]) };
            let subject = Subject { id, agency: "", names, descriptions: &[], legacy: None };
            compiled.categorize(&subject, &mut Scratch::default()).score > 0
        };
        assert_eq!((finds(&found), finds(&other)), (true, false), "{keyword}: {found}, not {other}");
    }
}

#[test]
fn categories_and_limits_are_those_of_the_code() {
    let page = read("docs/rules.md");
    let categories = rows(section(&page, "## Categories"), "| category | covers |");
    let categories: Vec<_> = categories.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(categories, Category::ALL.map(Category::name));

    let expected = [
        ("bytes of a set's name", MAX_NAME),
        ("bytes of a rule's id", MAX_RULE_ID),
        ("bytes of a keyword", MAX_KEYWORD),
        ("priority, and weight", usize::try_from(MAX_POINTS).unwrap()),
        ("rules of a set", MAX_RULES),
        ("keywords of a rule", MAX_KEYWORDS),
        ("bytes of all keywords of a set, with one for the end of each", MAX_KEYWORD_BYTES),
        ("languages that a set names", MAX_LANGUAGES),
        ("matches that a result in mode WORDS lists; all of them count", MAX_EVIDENCE),
        (
            "comparisons in mode WORDS of keywords with the texts of one dataflow; further occurrences do not count",
            MAX_COMPARISONS,
        ),
    ];
    let expected = expected.map(|(limit, most)| [limit.to_owned(), most.to_string()]);
    assert_eq!(rows(section(&page, "## Limits"), "| limit | most |"), expected);
}

/// Parses a rule file and compiles it, as the binary does.
#[track_caller]
fn compile(text: &str) -> Compiled {
    let set = file::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Compiled::new(&set).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
