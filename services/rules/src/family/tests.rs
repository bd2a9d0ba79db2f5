//! Parents, siblings, and inputs that could make them slow.

use super::*;

/// The points of a dataflow, in tenths: of POPULATION and of ECONOMY.
fn points(population: u64, economy: u64) -> Points {
    let mut tallies = [(0, 0_u8); 7];
    tallies[Category::Population.index()].0 = population;
    tallies[Category::Economy.index()].0 = economy;
    Points::new(tallies)
}

/// A catalogue of (agency, id, points of POPULATION, points of ECONOMY), in tenths.
type Flows = [(&'static str, &'static str, u64, u64)];

/// `POPULATION points, ECONOMY points [key of members ...]` of one dataflow; empty if its families add nothing.
fn support_of(flows: &Flows, index: usize) -> String {
    let all: Vec<_> = flows.iter().map(|&(_, _, population, economy)| points(population, economy)).collect();
    let members = flows.iter().zip(&all).map(|(&(agency, id, ..), points)| Member { agency, id, points });
    let families = Families::new(members.collect());
    let Some(support) = families.support(index) else { return String::new() };
    let [population, economy] =
        [Category::Population, Category::Economy].map(|category| support.points[category.index()]);
    let mut shown = Vec::new();
    for category in Category::ALL {
        for Family { key, members } in support.families(category) {
            shown.push(format!("{category}:{key} of {members}"));
        }
    }
    format!("{population:.2} {economy:.2} {}", shown.join(" "))
}

#[track_caller]
fn check(flows: &Flows, index: usize, expected: &str) {
    assert_eq!(support_of(flows, index), expected, "{flows:?}");
}

#[test]
fn the_parent_is_the_longest_id_before_a_separator() {
    let alone = ("A", "X", 0, 0);
    let flows = |id: &'static str| [("A", "24_186", 100, 0), ("A", "24", 0, 50), ("A", id, 0, 0), alone];
    check(&flows("24_186_DF_1"), 2, "10.00 0.00 POPULATION:24_186 of 2");
    check(&flows("24_186@DF"), 2, "10.00 0.00 POPULATION:24_186 of 2");
    check(&flows("24_18"), 2, "0.00 5.00 ECONOMY:24 of 3");
    check(&flows("24_1860"), 2, "0.00 5.00 ECONOMY:24 of 3");
    check(&flows("240_186"), 2, "");
    // The parent itself is a part of another one.
    check(&flows("24_186_DF_1"), 0, "0.00 5.00 ECONOMY:24 of 2");
    // An id is not its own parent, nor is that of another agency.
    check(&[("A", "24", 100, 0), ("B", "24_1", 0, 0), alone], 1, "");
    check(&[("A", "24", 100, 0), ("A", "24", 0, 100), alone], 1, "");
    // A parent without points adds nothing.
    check(&[("A", "24", 0, 0), ("A", "24_1", 10, 0), alone], 1, "");
}

#[test]
fn siblings_add_points_if_most_of_theirs_agree() {
    // 60 % of 20 points over 20 + 4, from two others: 40 x (1.0 - 0.5) / 0.5 x 20 / 24.
    let others = |count: usize| vec![("A", "Z", 0, 0); count];
    let flows = |siblings: &Flows, rest: [&'static str; 2]| {
        let rest = rest.map(|id| ("A", id, 0, 0));
        [siblings, &rest].concat()
    };
    let agreed = [("A", "S_1", 0, 0), ("A", "S_2", 200, 0), ("A", "S_3", 200, 0)];
    check(&flows(&agreed, ["Y", "Z"]), 0, "33.33 0.00 POPULATION:S of 3");
    // Its own points do not count for a dataflow.
    check(&flows(&agreed, ["Y", "Z"]), 1, "16.67 0.00 POPULATION:S of 3");
    // 4 of 5 points agree: c = 0.8, weight 24; the mean is 20 / 54 and 5 / 54 of two.
    let mixed = [("A", "S_1", 0, 0), ("A", "S_2", 200, 50), ("A", "S_3", 200, 50)];
    check(&flows(&mixed, ["Y", "Z"]), 0, "16.55 4.14 POPULATION:S of 3 ECONOMY:S of 3");
    // Half agrees: nothing.
    let torn = [("A", "S_1", 0, 0), ("A", "S_2", 200, 0), ("A", "S_3", 0, 200)];
    check(&flows(&torn, ["Y", "Z"]), 0, "");
    // Too few, too large a part of the catalogue, definitions of one id counted once.
    check(&flows(&agreed[..2], ["Y", "Z"]), 0, "");
    check(&flows(&agreed, ["Y", "Y"]), 0, "");
    let twice = [("A", "S_1", 0, 0), ("A", "S_2", 200, 0), ("A", "S_2", 200, 0)];
    check(&flows(&twice, ["Y", "Z"]), 0, "");
    check(&[&agreed[..], &others(1)].concat(), 0, "");
    // No sibling has points.
    check(&flows(&[("A", "S_1", 50, 0), ("A", "S_2", 0, 0), ("A", "S_3", 0, 0)], ["Y", "Z"]), 0, "");
}

#[test]
fn a_second_definition_has_the_family_of_the_first() {
    let flows =
        [("A", "S_1", 0, 0), ("A", "S_2", 200, 0), ("A", "S_3", 200, 0), ("A", "Y", 0, 0), ("A", "Z", 0, 0)];
    let again = [&flows[..], &[("A", "S_2", 0, 200)]].concat();
    check(&again, 5, &support_of(&flows, 1));
    check(&again, 0, &support_of(&flows, 0));
}

#[test]
fn ids_without_a_token_have_no_family() {
    check(&[("A", "_", 200, 0), ("A", "__", 200, 0), ("A", "___", 200, 0), ("A", "", 200, 0)], 2, "");
    check(&[("A", "@-", 200, 0), ("A", "@-_1", 0, 0), ("A", "X", 0, 0)], 1, "");
}

#[test]
fn large_families_and_long_ids_are_fast() {
    let one = points(200, 0);
    fn members<'a>(ids: &'a [String], points: &'a Points) -> Families<'a> {
        Families::new(ids.iter().map(|id| Member { agency: "A", id, points }).collect())
    }
    // Two passes over a family for each of its members would be 10^10 steps.
    let mut ids: Vec<String> = (0..100_000).map(|number| format!("S_{number}")).collect();
    ids.extend((0..100_000).map(|number| number.to_string()));
    let families = members(&ids, &one);
    let support = families.support(7).expect("its siblings agree");
    let expected = 40.0 * 20.0 / 24.0;
    assert!((support.points[Category::Population.index()] - expected).abs() < 1e-3);
    assert_eq!(support.families(Category::Population).next(), Some(Family { key: "S", members: 100_000 }));
    // Each is a prefix of the next one: a search for each separator would hash gigabytes.
    for piece in ["_", "a_", "a"] {
        let ids: Vec<String> = (1..2_000).map(|length| piece.repeat(length)).collect();
        let families = members(&ids, &one);
        assert!((0..ids.len()).all(|index| families.support(index).is_none()), "{piece:?}");
    }
}
