//! What characters fold to, one by one and in runs, and where folded bytes come from.

use super::*;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

fn fold(text: &str) -> String {
    let mut out = Vec::new();
    fold_into(text, SPACE, &mut out);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(fold(text), expected, "{text:?}");
    assert_eq!(fold(&text.nfd().to_string()), expected, "{text:?} decomposed");
}

#[test]
fn letters_fold_and_everything_else_is_a_gap() {
    check("", " ");
    check("  - ", " ");
    check("Popolazione residente", " popolazione residente ");
    check("L'Università dell’Aquila", " l universita dell aquila ");
    check("Covid-19 (R&D)", " covid 19 r d ");
    check("Straße, Œuvre, ŁÓDŹ, Ísland", " strasse oeuvre lodz island ");
    check("İstanbul ΟΔΟΣ", " istanbul οδοσ ");
    check("CO₂, m², ﬁnance, Ⅳ", " co2 m2 finance iv ");
    check("sani\u{ad}tà dell\u{2bc}anno", " sanita dell anno ");
    check("人口 Население", " 人口 население ");
}

#[test]
fn the_tables_have_what_decomposition_gives() {
    for c in ('\0'..='\u{180}').chain('\u{2000}'..='\u{2030}') {
        for text in [format!("{c}"), format!("a{c}b"), format!("a {c}{c} b")] {
            let mut one_by_one = vec![SPACE];
            text.chars().for_each(|c| push_unicode(c, SPACE, &mut one_by_one));
            push_gap(SPACE, &mut one_by_one);
            assert_eq!(fold(&text).into_bytes(), one_by_one, "{c:?}");
        }
    }
}

#[test]
fn id_tokens_are_separated_by_underscores() {
    let mut out = Vec::new();
    fold_into("DSD_NAMAIN1@DF_QNA", UNDERSCORE, &mut out);
    assert_eq!(out, b"_dsd_namain1_df_qna_");
}

#[test]
fn offsets_count_scalar_values() {
    let text = "L'e\u{300} così — più";
    let mut offsets = Offsets::new(text, SPACE);
    assert_eq!(fold(text), " l e cosi piu ");
    assert_eq!([1, 3, 5, 8, 10].map(|at| offsets.at(at)), [0, 2, 5, 8, 12]);
}

proptest! {
    #[test]
    fn runs_and_single_characters_fold_the_same(text in "[ -~\u{80}-\u{180}àß\u{300}\u{2000}-\u{2030}]{0,40}") {
        let mut one_by_one = vec![SPACE];
        text.chars().for_each(|c| push_unicode(c, SPACE, &mut one_by_one));
        push_gap(SPACE, &mut one_by_one);
        prop_assert_eq!(fold(&text).into_bytes(), one_by_one);
    }

    #[test]
    fn folding_is_idempotent(text in "\\PC{0,40}") {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn composed_and_decomposed_fold_the_same(text in "\\PC{0,40}") {
        prop_assert_eq!(fold(&text.nfc().to_string()), fold(&text.nfd().to_string()));
    }

    #[test]
    fn an_offset_points_to_the_character_that_was_folded(text in "\\PC{0,40}") {
        let folded = fold(&text);
        let mut offsets = Offsets::new(&text, SPACE);
        for (at, c) in folded.char_indices().filter(|(_, c)| *c != ' ') {
            let source = text.chars().nth(offsets.at(at) as usize).unwrap();
            prop_assert!(fold(&source.to_string()).contains(c), "{source:?} for {c:?}");
        }
    }

    #[test]
    fn one_long_step_leads_where_short_ones_do(text in "[a-c ,.]{0,40}|[ -~àß\u{300}]{0,60}") {
        let folded = fold(&text);
        let mut by_byte = Offsets::new(&text, SPACE);
        for at in 0..folded.len() {
            prop_assert_eq!(Offsets::new(&text, SPACE).at(at), by_byte.at(at), "{} of {:?}", at, text);
        }
    }
}
