//! Small catalogues for tests of snapshots.

use std::fmt::Write;

/// The opening tag of a structure message of SDMX 2.1.
const OPEN: &str = "<m:Structure xmlns:m='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message' \
     xmlns:s='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure' \
     xmlns:c='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common'>";

/// A catalogue with dataflows of these identifiers and names, of one agency. `header` is its identifier, as a service
/// writes a new one into each response.
pub fn catalogue(header: &str, agency: &str, dataflows: &[(&str, &str)]) -> String {
    let mut text = format!("{OPEN}<m:Header><m:ID>{header}</m:ID></m:Header><m:Structures><s:Dataflows>");
    for (id, name) in dataflows {
        write!(
            text,
            "<s:Dataflow id='{id}' agencyID='{agency}' version='1.0'><c:Name xml:lang='en'>{name}</c:Name></s:Dataflow>"
        )
        .expect("a string takes any text");
    }
    text + "</s:Dataflows></m:Structures></m:Structure>"
}

/// A catalogue with so many dataflows, whose names end with `ending`.
pub fn numbered(agency: &str, count: usize, ending: &str) -> String {
    let dataflows: Vec<_> =
        (0..count).map(|number| (format!("DF_{number}"), format!("Dataflow {number} {ending}"))).collect();
    let dataflows: Vec<_> = dataflows.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    catalogue(ending, agency, &dataflows)
}
