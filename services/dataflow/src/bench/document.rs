//! A small catalogue for benchmarks that send many, so that they need no file.

use std::fmt::Write;

/// An SDMX 2.1 structure message with this many dataflows. The same number gives the same bytes.
pub(super) fn document(dataflows: usize) -> String {
    const SUBJECTS: [&str; 8] = [
        "Unemployment rate",
        "Resident population",
        "Consumer prices",
        "Hospital beds",
        "Students enrolled",
        "Land use",
        "Gross domestic product",
        "Road accidents",
    ];
    const BREAKDOWNS: [&str; 5] =
        ["by region", "by age group", "by sex", "by country of birth", "monthly data"];
    let mut text = String::from(
        "<m:Structure xmlns:m=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message\" \
         xmlns:s=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure\" \
         xmlns:c=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common\"><m:Structures><s:Dataflows>",
    );
    for index in 0..dataflows {
        let (subject, breakdown) = (SUBJECTS[index % SUBJECTS.len()], BREAKDOWNS[index % BREAKDOWNS.len()]);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "<s:Dataflow id=\"DF_{index}\" agencyID=\"BENCH\" version=\"1.0\"><c:Name xml:lang=\"en\">{subject} \
             {breakdown}, table {index}</c:Name></s:Dataflow>"
        );
    }
    text + "</s:Dataflows></m:Structures></m:Structure>"
}
