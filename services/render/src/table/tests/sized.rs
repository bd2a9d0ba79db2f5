//! The columns of size and freshness: where there is room, and never wider than the terminal.

use super::*;

/// A dataflow with these observations, last changed on 22 July 2026.
fn sized(id: &str, name: &str, observations: pb::Estimate) -> pb::Dataflow {
    let size = pb::Size { observations: Some(observations), ..Default::default() };
    let last_update = Some("2026-07-22T08:34:26Z".parse().unwrap());
    pb::Dataflow { size: Some(size), last_update, ..flow(id, name) }
}

#[test]
fn size_and_last_update_are_shown_where_there_is_room() {
    let name = "Employed and unemployed persons by sex, age and region of residence";
    let known = sized("22_289", name, pb::Estimate { low: 1, likely: Some(435_951), high: 9 });
    let bounded = sized("22_290", name, pb::Estimate { low: 1, likely: None, high: 27_390_000 });
    let flows = [known, bounded, flow("22_291", name)];
    let check = |width: Option<u16>, expected: &str| {
        let text = columns(&flows, width);
        assert_eq!(text, expected, "{width:?} of\n{text}");
        let is_within = |line: &str| width.is_none_or(|width| line.chars().count() <= width.into());
        assert!(text.lines().all(is_within), "{width:?} of\n{text}");
    };
    check(
        None,
        "\
\x20 ID      NAME                                                             OBS  UPDATED     SCORE  CONF  BY     WHY
  22_289  Employed and unemployed persons by sex, age and region of residence  435951  2026-07-22     20  0.87  rules  labour force in name
  22_290  Employed and unemployed persons by sex, age and region of residence  ≤27.3M  2026-07-22     20  0.87  rules  labour force in name
  22_291  Employed and unemployed persons by sex, age and region of residence       -  -              20  0.87  rules  labour force in name",
    );
    check(
        Some(120),
        "\
\x20 ID      NAME                                                 OBS  UPDATED     SCORE  CONF  BY     WHY
  22_289  Employed and unemployed persons by sex, age and…  435951  2026-07-22     20  0.87  rules  labour force in name
  22_290  Employed and unemployed persons by sex, age and…  ≤27.3M  2026-07-22     20  0.87  rules  labour force in name
  22_291  Employed and unemployed persons by sex, age and…       -  -              20  0.87  rules  labour force in name",
    );
    check(
        Some(110),
        "\
\x20 ID      NAME                                                   OBS  SCORE  CONF  BY     WHY
  22_289  Employed and unemployed persons by sex, age and r…  435951     20  0.87  rules  labour force in name
  22_290  Employed and unemployed persons by sex, age and r…  ≤27.3M     20  0.87  rules  labour force in name
  22_291  Employed and unemployed persons by sex, age and r…       -     20  0.87  rules  labour force in name",
    );
    check(
        Some(100),
        "\
\x20 ID      NAME                                         OBS  SCORE  CONF  BY     WHY
  22_289  Employed and unemployed persons by sex,…  435951     20  0.87  rules  labour force in name
  22_290  Employed and unemployed persons by sex,…  ≤27.3M     20  0.87  rules  labour force in name
  22_291  Employed and unemployed persons by sex,…       -     20  0.87  rules  labour force in name",
    );
    check(
        Some(90),
        "\
\x20 ID      NAME                                    SCORE  CONF  BY     WHY
  22_289  Employed and unemployed persons by se…     20  0.87  rules  labour force in name
  22_290  Employed and unemployed persons by se…     20  0.87  rules  labour force in name
  22_291  Employed and unemployed persons by se…     20  0.87  rules  labour force in name",
    );
}

#[test]
fn in_80_columns_no_line_is_wider_whatever_is_known() {
    let names = ["Births", "Employed and unemployed persons by sex, age and region of residence"];
    for name in names {
        for high in [7, i64::MAX] {
            let flows = [sized("22_289", name, pb::Estimate { low: 0, likely: None, high })];
            for width in 20..=140 {
                let text = columns(&flows, Some(width));
                assert!(text.lines().all(|line| line.chars().count() <= width.into()), "{width}:\n{text}");
                assert!(text.contains("22_289"), "{width}:\n{text}");
            }
            let text = columns(&flows, Some(80));
            assert_eq!(text.contains("UPDATED"), name == "Births", "{text}");
        }
    }
}
