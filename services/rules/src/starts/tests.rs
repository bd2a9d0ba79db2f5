//! Searches, compared with one that tries each pattern at each position.

use proptest::prelude::*;

use super::*;

type Hits = Vec<(usize, usize, Vec<usize>)>;

fn search(patterns: &[&str], text: &str) -> Hits {
    let pairs = patterns.iter().enumerate().map(|(index, pattern)| (pattern.as_bytes().to_vec(), index));
    let mut hits = Hits::new();
    let starts = Starts::new(b' ', pairs);
    let padded = [text.as_bytes(), &[0; SLACK]].concat();
    starts.search(&padded, text.len(), |hit, entries| {
        assert!(hit.pattern < starts.patterns());
        hits.push((hit.start, hit.end, entries.to_vec()));
    });
    hits
}

/// Each pattern at each position.
fn reference(patterns: &[&str], text: &str) -> Hits {
    let mut hits = Hits::new();
    for start in 0..text.len() {
        let mut found: Vec<_> =
            (0..patterns.len()).filter(|index| text[start..].starts_with(patterns[*index])).collect();
        found.sort_by_key(|index| (patterns[*index].len(), *index));
        for same in found.chunk_by(|one, next| patterns[*one] == patterns[*next]) {
            hits.push((start, start + patterns[same[0]].len(), same.to_vec()));
        }
    }
    hits
}

#[test]
fn words_prefixes_and_phrases_are_found_where_words_start() {
    let patterns = [" labour ", " lab", " labour force ", " la ", " labour market", " tv ", " lab"];
    let check = |text: &str, expected: &[(usize, usize, &[usize])]| {
        let expected: Hits =
            expected.iter().map(|(start, end, found)| (*start, *end, found.to_vec())).collect();
        assert_eq!(search(&patterns, text), expected, "{text:?}");
    };
    check(" the labour force ", &[(4, 8, &[1, 6]), (4, 12, &[0]), (4, 18, &[2])]);
    check(" labour  force ", &[(0, 4, &[1, 6]), (0, 8, &[0])]);
    check(" la tv ", &[(0, 4, &[3]), (3, 7, &[5])]);
    check(" collabour marketla ", &[]);
    check(" ", &[]);
}

#[test]
fn without_patterns_nothing_is_found() {
    assert_eq!(search(&[], " text "), []);
}

#[test]
fn many_patterns_are_told_apart() {
    let patterns: Vec<String> = (0..20_000).map(|number| format!(" w{number} ")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    for number in [0, 7, 1_234, 19_999] {
        let text = patterns[number];
        assert_eq!(search(&patterns, text), [(0, text.len(), vec![number])]);
    }
    assert_eq!(search(&patterns, " w20000 "), []);
}

proptest! {
    #[test]
    fn every_pattern_is_found_at_every_start(
        patterns in prop::collection::vec(" [ab]{1,5}( [ab]{1,3}){0,2} ?", 0..12),
        text in "( {1,2}[ab]{1,6}){0,10} ",
    ) {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).filter(|pattern| pattern.len() > 2).collect();
        prop_assert_eq!(search(&patterns, &text), reference(&patterns, &text));
    }
}
