//! Matching, counting, ties, languages, evidence and confidence of the words engine.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::super::tests::{rule, set, texts};
use super::super::{Compiled, MAX_EVIDENCE, Mode};
use super::*;
use crate::fold::fold_into;

/// Names and descriptions in, `CATEGORY score [rule:keyword@field+offset ...]` out.
#[track_caller]
fn check(rules: &[Rule], id: &str, names: &[(&str, &str)], descriptions: &[(&str, &str)], expected: &str) {
    let compiled = Compiled::new(&set(Mode::Words, rules)).unwrap();
    let (names, descriptions) = (texts(names), texts(descriptions));
    let subject = Subject { id, agency: "", names: &names, descriptions: &descriptions, legacy: None };
    let mut scratch = super::super::Scratch::default();
    for _ in 0..2 {
        let verdict = compiled.categorize(&subject, &mut scratch);
        let evidence = verdict.evidence.iter();
        let evidence: Vec<_> = evidence
            .map(|m| format!("{}:{}@{}+{}", m.keyword.rule_id, m.keyword.written, m.field, m.offset))
            .collect();
        assert_eq!(format!("{} {} {evidence:?}", verdict.category, verdict.score).replace('"', ""), expected);
    }
}

#[test]
fn words_prefixes_and_phrases_match_whole_words() {
    let rules = [rule("r", Category::Labour, &["lavoro", "occupa*", "forz* di lavor*", "*losigkeit"])];
    let check = |name: &str, expected: &str| check(&rules, "", &[("", name)], &[], expected);
    check("Il lavoro", "LABOUR 5 [r:lavoro@name+3]");
    check("Lavoro lavoro LAVORO", "LABOUR 5 [r:lavoro@name+0]");
    check("Lavorone, collavoro", "OTHER 0 []");
    check("Disoccupazione, occupati", "LABOUR 5 [r:occupa*@name+16]");
    check("Forze – di  lavori", "LABOUR 5 [r:forz* di lavor*@name+0]");
    check("Forze del lavoro", "LABOUR 5 [r:lavoro@name+10]");
    check("Arbeitslosigkeit", "LABOUR 5 [r:*losigkeit@name+7]");
    check("Forze di", "OTHER 0 []");
}

#[test]
fn phrases_do_not_span_texts() {
    let rules = [rule("r", Category::Labour, &["forze di lavoro"])];
    check(&rules, "", &[("it", "Forze di"), ("it", "lavoro")], &[], "OTHER 0 []");
}

#[test]
fn accents_case_and_apostrophes_do_not_matter() {
    let rules = [rule("r", Category::Education, &["università", "ecole"])];
    let check = |name: &str, expected: &str| check(&rules, "", &[("", name)], &[], expected);
    check("L'Universita\u{300}", "EDUCATION 5 [r:università@name+2]");
    check("dell’UNIVERSITA", "EDUCATION 5 [r:università@name+5]");
    check("l’École", "EDUCATION 5 [r:ecole@name+2]");
}

#[test]
fn id_keywords_match_tokens_of_the_id_and_nothing_else() {
    let rules = [rule("r", Category::Health, &["id:hlth", "id:nama_10*", "cd"])];
    let check = |id: &str, name: &str, expected: &str| check(&rules, id, &[("", name)], &[], expected);
    check("HLTH_CD_ARO", "", "HEALTH 5 [r:id:hlth@id+0]");
    check("DSD_X@DF_HLTH", "", "HEALTH 5 [r:id:hlth@id+9]");
    check("hlthx", "hlth nama 10", "OTHER 0 []");
    check("nama_10r_gdp", "", "HEALTH 5 [r:id:nama_10*@id+0]");
}

#[test]
fn a_keyword_counts_once_and_a_category_adds_up_its_rules() {
    let weighted = Rule {
        priority: 3,
        weights: [("forze di lavoro".to_owned(), 4)].into(),
        ..rule("b", Category::Labour, &["forze di lavoro", "lavoro", "Lavoro"])
    };
    let rules = [weighted, rule("a", Category::Labour, &["lavoro"]), rule("c", Category::Health, &["forze"])];
    check(
        &rules,
        "",
        &[("it", "Forze di lavoro"), ("en", "lavoro")],
        &[("it", "lavoro, forze di lavoro")],
        "LABOUR 20 [b:forze di lavoro@name.it+0, a:lavoro@name.it+9, b:lavoro@name.it+9]",
    );
}

#[test]
fn ties_go_to_the_higher_priority_then_to_the_lower_rule_id() {
    let of = |id, priority, category, keywords: &[&str]| Rule { priority, ..rule(id, category, keywords) };
    let twice = of("a", 5, Category::Population, &["uno", "due"]);
    let once = of("b", 10, Category::Health, &["uno"]);
    check(&[twice, once], "", &[("", "uno due")], &[], "HEALTH 10 [b:uno@name+0]");
    for (first, second) in [("a", "b"), ("b", "a")] {
        let rules = [of(first, 5, Category::Population, &["uno"]), of(second, 5, Category::Health, &["uno"])];
        let winner = if first == "a" { "POPULATION 5 [a:uno@name+0]" } else { "HEALTH 5 [a:uno@name+0]" };
        check(&rules, "", &[("", "uno")], &[], winner);
    }
}

#[test]
fn a_rule_searches_texts_of_its_languages_and_untagged_ones() {
    let only = |languages: &[&str]| Rule {
        languages: languages.iter().map(|language| (*language).to_owned()).collect(),
        ..rule("r", Category::Labour, &["paro", "*losigkeit", "id:paro"])
    };
    let check = |rule: Rule, language: &str, id: &str, expected: &str| {
        check(&[rule], id, &[(language, "Paro")], &[(language, "Arbeitslosigkeit")], expected);
    };
    let both = "LABOUR 7 [r:paro@name+0, r:*losigkeit@description+7]";
    check(only(&["es"]), "", "", both);
    check(only(&["es"]), "it", "", "OTHER 0 []");
    check(
        only(&["es-MX", "IT"]),
        "it-IT",
        "",
        &both.replace("name", "name.it-IT").replace("description", "description.it-IT"),
    );
    check(only(&[]), "xx", "", &both.replace("name", "name.xx").replace("description", "description.xx"));
    check(only(&["es"]), "it", "X_PARO", "LABOUR 5 [r:id:paro@id+2]");
    // Tags that name no language, and codes of three letters for the same one.
    for (languages, tag) in
        [("es", "mul"), ("es", "x-default"), ("es", "und"), ("es", "spa"), ("SPA", "es-MX")]
    {
        let found = both.replace("name", &format!("name.{tag}"));
        check(only(&[languages]), tag, "", &found.replace("description", &format!("description.{tag}")));
    }
    check(only(&["es"]), "ita", "", "OTHER 0 []");
}

#[test]
fn the_id_is_the_name_of_a_dataflow_without_one() {
    let rules = [rule("r", Category::Labour, &["unemployment", "employment rate*", "id:un", "*quote"])];
    let check = |id: &str, names: &[(&str, &str)], expected: &str| {
        check(&rules, id, names, &[("en", "Unemployment by age")], expected);
    };
    check("UN_unemployment-rate", &[], "LABOUR 10 [r:id:un@id+0, r:unemployment@id+3]");
    check("employment_rates", &[], "LABOUR 7 [r:employment rate*@id+0, r:unemployment@description.en+0]");
    check("Arbeitslosenquote", &[], "LABOUR 7 [r:*quote@id+12, r:unemployment@description.en+0]");
    check("unemployment", &[("en", "Table 1")], "LABOUR 2 [r:unemployment@description.en+0]");
}

#[test]
fn evidence_is_bounded_while_every_match_counts() {
    let words: Vec<String> = (10..30).map(|number| format!("w{number}")).collect();
    let keywords: Vec<&str> = words.iter().map(String::as_str).collect();
    let compiled = Compiled::new(&set(Mode::Words, &[rule("r", Category::Labour, &keywords)])).unwrap();
    let (names, descriptions) = (texts(&[("", &words[10..].join(" "))]), texts(&[("", &words.join(" "))]));
    let subject = Subject { id: "", agency: "", names: &names, descriptions: &descriptions, legacy: None };
    let mut scratch = super::super::Scratch::default();
    let verdict = compiled.categorize(&subject, &mut scratch);
    assert_eq!((verdict.score, verdict.evidence.len()), (50 + 15, MAX_EVIDENCE));
    let found: Vec<_> = verdict.evidence.iter().map(|m| &*m.keyword.written).collect();
    assert_eq!(found, [&keywords[10..], &keywords[..6]].concat());
}

#[test]
fn the_strongest_evidence_is_first() {
    let of = |id: &str, priority, keyword: &str| Rule { priority, ..rule(id, Category::Labour, &[keyword]) };
    let rules =
        [of("weak", 2, "jobs"), of("strong", 9, "wages"), of("rated", 5, "id:lfs"), of("deep", 30, "pay")];
    check(
        &rules,
        "X_LFS",
        &[("en", "Jobs and wages"), ("fr", "jobs by pay")],
        &[],
        "LABOUR 31 [deep:pay@name.fr+8, strong:wages@name.en+9, rated:id:lfs@id+2, weak:jobs@name.en+0]",
    );
    // Of more than are listed, the weakest are omitted, wherever they are.
    let many: Vec<_> =
        (0..20).map(|number| of(&format!("r{number}"), 1 + number, &format!("w{number}"))).collect();
    let compiled = Compiled::new(&set(Mode::Words, &many)).unwrap();
    let words: Vec<_> = (0..20).map(|number| format!("w{number}")).collect();
    let names = texts(&[("", &words.join(" "))]);
    let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
    let verdict = compiled.categorize(&subject, &mut super::super::Scratch::default());
    let found: Vec<_> = verdict.evidence.iter().map(|found| found.keyword.written.to_string()).collect();
    assert_eq!(found, words.iter().rev().take(MAX_EVIDENCE).cloned().collect::<Vec<_>>());
}

#[test]
fn confidence_rises_with_the_evidence_and_with_the_margin() {
    let rules = [
        rule("l", Category::Labour, &["uno", "due", "tre"]),
        rule("h", Category::Health, &["mezzo", "altro"]),
    ];
    let compiled = Compiled::new(&set(Mode::Words, &rules)).unwrap();
    let confidence = |name: &str| {
        let names = texts(&[("", name)]);
        let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
        compiled.categorize(&subject, &mut super::super::Scratch::default()).confidence
    };
    let rising =
        ["", "uno mezzo", "uno due mezzo altro", "uno", "uno due tre mezzo", "uno due", "uno due tre"];
    assert!(rising.map(confidence).is_sorted(), "{:?}", rising.map(confidence));
    assert!(confidence("") == calibration::NO_EVIDENCE && confidence("uno due tre") < 1.0);
}

#[test]
fn a_keyword_counts_where_it_weighs_most() {
    let rules = [rule("r", Category::Labour, &["jobs", "pay", "jobs by branch"])];
    let check = |names: &[(&str, &str)], descriptions: &[(&str, &str)], expected: &str| {
        check(&rules, "", names, descriptions, expected);
    };
    // 5 in a name, 2.5 in its breakdown, 1.5 in a description; sums are rounded.
    check(&[("", "Jobs")], &[], "LABOUR 5 [r:jobs@name+0]");
    check(&[("", "Firms by jobs")], &[], "LABOUR 3 [r:jobs@name+9]");
    check(&[("", "Firms")], &[("", "jobs")], "LABOUR 2 [r:jobs@description+0]");
    check(&[("", "Firms")], &[("", "jobs by pay")], "LABOUR 3 [r:jobs@description+0, r:pay@description+8]");
    check(&[("en", "Firms by jobs"), ("fr", "Jobs")], &[("", "jobs")], "LABOUR 5 [r:jobs@name.fr+0]");
    check(&[("en", "Firms by pay, jobs by pay")], &[], "LABOUR 5 [r:pay@name.en+9, r:jobs@name.en+14]");
    // A phrase that begins before the breakdown is not a part of it.
    check(&[("", "Jobs by branch")], &[], "LABOUR 10 [r:jobs@name+0, r:jobs by branch@name+0]");
    // Of a breakdown, in every language.
    for word in ["per", "par", "selon", "nach", "por", "según"] {
        check(
            &[("", &format!("Firms {word} pay"))],
            &[],
            &format!("LABOUR 3 [r:pay@name+{}]", 7 + word.chars().count()),
        );
    }
    check(&[("", "Standby pay")], &[], "LABOUR 5 [r:pay@name+8]");
}

#[test]
fn breakdown_words_may_be_keywords() {
    let rules = [rule("r", Category::Labour, &["by", "per*"])];
    check(&rules, "", &[("", "Work by person")], &[], "LABOUR 8 [r:by@name+5, r:per*@name+8]");
}

#[test]
fn points_do_not_saturate() {
    let most = Rule { priority: 1000, ..rule("r", Category::Labour, &["a"]) };
    let keywords: Vec<String> = (0..1000).map(|number| format!("w{number}")).collect();
    let weights = keywords.iter().map(|keyword| (keyword.clone(), 1000)).collect();
    let rules = [Rule { keywords: keywords.clone(), weights, ..most }];
    check_score(&rules, &keywords.join(" "), 1_000_000_000);
}

#[track_caller]
fn check_score(rules: &[Rule], name: &str, expected: i32) {
    let compiled = Compiled::new(&set(Mode::Words, rules)).unwrap();
    let names = texts(&[("", name)]);
    let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
    assert_eq!(compiled.categorize(&subject, &mut super::super::Scratch::default()).score, expected);
}

#[test]
fn id_keywords_of_an_agency_search_its_ids() {
    let compiled =
        Compiled::new(&set(Mode::Words, &[rule("r", Category::Health, &["id:ESTAT/hlth"])])).unwrap();
    for (agency, score) in [("ESTAT", 5), ("ESTAT.C1", 5), ("", 5), ("XX", 0), ("ESTATX", 0)] {
        let subject = Subject { id: "HLTH_CD", agency, names: &[], descriptions: &[], legacy: None };
        assert_eq!(
            compiled.categorize(&subject, &mut super::super::Scratch::default()).score,
            score,
            "{agency}"
        );
    }
}

#[test]
fn evidence_names_positions_of_the_text_as_written() {
    let rules = [rule("r", Category::Health, &["santé"])];
    check(
        &rules,
        "",
        &[("", "Table X2")],
        &[("fr", "<p class=\"sante\">D&eacute;penses de sant&eacute;</p>")],
        "HEALTH 2 [r:santé@description.fr+36]",
    );
}

proptest! {
    #[test]
    fn composed_and_decomposed_texts_get_one_verdict(name in "(università|età|né|x| |'){0,12}") {
        let compiled = Compiled::new(&set(Mode::Words, &[rule("r", Category::Education, &["universita*", "età"])])).unwrap();
        let mut scratch = super::super::Scratch::default();
        let mut verdict_of = |name: String| {
            let names = texts(&[("it", &name)]);
            let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
            let verdict = compiled.categorize(&subject, &mut scratch);
            (verdict.category, verdict.score, verdict.evidence.iter().map(|m| m.keyword.written.clone()).collect::<Vec<_>>())
        };
        prop_assert_eq!(verdict_of(name.nfc().to_string()), verdict_of(name.nfd().to_string()));
    }

    #[test]
    fn an_offset_points_to_text_that_folds_to_the_keyword(name in "(Élève|élèves|œuvre|Straße|-| |’|x){0,12}") {
        let compiled = Compiled::new(&set(Mode::Words, &[rule("r", Category::Other, &["eleve", "oeuvre", "strasse"])])).unwrap();
        let names = texts(&[("fr", &name)]);
        let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
        for found in compiled.categorize(&subject, &mut super::super::Scratch::default()).evidence {
            let mut folded = Vec::new();
            let rest: String = name.chars().skip(found.offset as usize).collect();
            fold_into(&rest, SPACE, &mut folded);
            prop_assert!(folded.starts_with(format!(" {} ", found.keyword.written).as_bytes()), "{rest:?}");
        }
    }
}

#[test]
fn the_cost_of_repeated_words_does_not_depend_on_the_number_of_rules() {
    // 2,000 rules times 200,000 occurrences would be minutes of comparisons.
    let text = "ab ".repeat(200_000);
    let many = |keyword: &dyn Fn(usize) -> String| -> Vec<_> {
        (0..2_000).map(|index| rule(&format!("r{index}"), Category::Health, &[&keyword(index)])).collect()
    };
    let categorize = |rules: &[Rule], text: &str| {
        let compiled = Compiled::new(&set(Mode::Words, rules)).unwrap();
        let names = texts(&[("", text)]);
        let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
        compiled.categorize(&subject, &mut super::super::Scratch::default()).score
    };
    assert_eq!(categorize(&many(&|_| "ab".to_owned()), &text), 2_000 * 5, "each counts once");
    // None matches, so that each occurrence would be compared with all of them.
    let phrases = many(&|index| format!("ab* cd{index}"));
    assert_eq!(categorize(&phrases, &text), 0);
    assert_eq!(categorize(&phrases, &format!("ab cd7 {text}")), 5, "within the limit");
    assert_eq!(categorize(&phrases, &format!("{text} ab cd7")), 0, "beyond it");
}
