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

/// The characters that the bytes of a folded text come from.
fn origins(text: &str) -> Vec<usize> {
    let (mut folded, mut anchors) = (Vec::new(), Vec::new());
    fold_anchored(text, SPACE, &mut folded, |anchor| anchors.push(anchor));
    (0..folded.len()).map(|at| text[..origin(text, &anchors, at)].chars().count()).collect()
}

#[test]
fn origins_are_characters_of_the_text() {
    let text = "L'e\u{300} così — \u{ad}più";
    assert_eq!(fold(text), " l e cosi piu ");
    assert_eq!(origins(text)[1..13], [0, 1, 2, 4, 5, 6, 7, 8, 9, 13, 14, 15]);
    let text = "e\u{300}Œ\u{ad}ßx ⑴";
    assert_eq!(fold(text), " eoessx 1 ");
    assert_eq!(origins(text)[1..9], [0, 2, 2, 4, 4, 5, 6, 7]);
}

#[test]
fn a_text_is_folded_run_by_run() {
    for length in RUN - 3..RUN + 3 {
        for c in ["a", "é", "—", "人", " "] {
            let text = "a".repeat(length) + c + "b";
            let folded: Vec<_> = text.chars().map(|c| fold(&c.to_string())).collect();
            let whole = folded.concat().replace("  ", "");
            assert_eq!(fold(&text).replace(' ', ""), whole.replace(' ', ""), "{length} {c}");
        }
    }
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
    fn a_folded_byte_comes_from_the_character_that_adds_it(
        text in "\\PC{0,40}|[a-c ,.]{0,40}|[ -~àßœ\u{300}\u{ad}\u{2010}\u{fdfa}⑴]{0,60}",
    ) {
        let (mut one_by_one, mut expected) = (vec![SPACE], vec![0]);
        for (number, c) in text.chars().enumerate() {
            push_unicode(c, SPACE, &mut one_by_one);
            expected.resize(one_by_one.len(), number);
        }
        prop_assert_eq!(&origins(&text)[1..expected.len()], &expected[1..]);
    }
}
