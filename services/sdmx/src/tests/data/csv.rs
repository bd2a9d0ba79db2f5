//! What SDMX-CSV allows.

use super::*;

#[test]
fn rows_that_follow_each_other_are_of_one_series() {
    let first = |rows: &str| format!("DATAFLOW,K,L,TIME_PERIOD,OBS_VALUE,NOTE\n{rows}");
    check(&first(""), "0 0 0 0 0 - -");
    check(&first("A:F(1.0),a,b,2001,1,x\nA:F(1.0),a,b,2002,,y"), "1 0 1 2 1 2001 2002");
    check(
        &first("A:F(1.0),a,b,2001,1,\nA:F(1.0),ab,,2002,1,\nA:F(1.0),a,b,2003,1,\n"),
        "1 0 3 3 0 2001 2003",
    );
    // A label is not a part of a code, and a line break within quotes does not end a row.
    check(
        "DATAFLOW,K: Key,TIME_PERIOD: Time,OBS_VALUE: Value\nA:F(1.0): x,a: b,2001: 2001,NaN: none\n\
         A:F(1.0): x,\"a\n\",2001-01-01T00:00:00,1\n\n",
        "1 0 2 2 1 2001 2001",
    );
    check(
        "STRUCTURE,STRUCTURE_ID,SERIES_KEY,OBS_KEY,K,TIME_PERIOD,OBS_VALUE\ndataflow,A:F(1.0),a.b,1,x,2001,1\n\
         dataflow,A:F(1.0),a.b,2,y,2002,1\ndataflow,A:F(1.0),a.c,3,y,2003,1",
        "1 0 2 3 0 2001 2003",
    );
}

#[test]
fn without_a_period_each_row_is_a_series() {
    check("DATAFLOW,K,OBS_VALUE\nA:F(1.0),a,1\nA:F(1.0),a,#N/A\nA:F(1.0),,\n", "1 0 2 2 1 - -");
    // The measures of SDMX 3 have any name; those of 1.0 do not.
    check(
        "STRUCTURE,STRUCTURE_ID,ACTION,K,M\ndataflow,A:F(1.0),I,a,1\ndataflow,A:F(1.0),I,b,\n",
        "1 0 2 2 ? - -",
    );
    check("DATAFLOW,K,M\nA:F(1.0),a,1\n", "1 0 1 1 1 - -");
}

#[test]
fn rows_of_one_structure_and_action_are_a_data_set() {
    let second = |rows: &[&str]| {
        format!("STRUCTURE,STRUCTURE_ID,STRUCTURE_NAME,ACTION,K,TIME_PERIOD,OBS_VALUE\n{}", rows.join("\n"))
    };
    let row = "dataflow,A:F(1.0),n,I,a,2001,1";
    check(&second(&[row, row]), "1 0 1 2 0 2001 2001");
    check(&second(&[row, "dataflow,A:F(1.0),n,D,a,2002,"]), "2 0 2 2 1 2001 2002");
    check(&second(&[row, "datastructure,A:F(1.0),n,I,a,2001,1", row]), "3 0 3 3 0 2001 2001");
    // Without a period a row has attributes of a series, or says what to delete.
    check(&second(&["dataflow,A:F(1.0),n,D,,,", "dataflow,A:F(1.0),n,I,a,,", row]), "2 0 1 1 0 2001 2001");
}

#[test]
fn the_structure_that_a_message_names() {
    let check = |document: &str, expected: &str| {
        assert_eq!(named(&count(document.as_bytes()).unwrap()), expected, "{document}");
    };
    check("DATAFLOW,K\n\"A:F(1.0): a name\",x", "Dataflow A:F(1.0)");
    check("STRUCTURE[;],STRUCTURE_ID,K\nDATASTRUCTURE,A.B:F(1.0.0),x", "DataStructure A.B:F(1.0.0)");
    check("STRUCTURE,STRUCTURE_ID\ncodelist,A:F(1.0)\ndataflow,A:G(1.0)", "Dataflow A:G(1.0)");
    check("DATAFLOW,K\n,x", "");
    check("DATAFLOW", "");
}

#[test]
fn other_rows_have_a_position() {
    let check = |document: &str, reason: &str, words: &str| {
        let error = count(document.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}\n{document}");
        assert!(error.to_string().contains(words), "{error}\n{document}");
    };
    let malformed = "MALFORMED_CSV";
    check("DATAFLOW,K\nA:F(1.0),\"x\n", "UNCLOSED_QUOTE", "byte 20, line 2: ");
    check(
        "DATAFLOW,K\nA:F(1.0)\nA:F(1.0),x",
        malformed,
        "byte 11, line 2: found 1 fields in a row; expected 2",
    );
    check("DATAFLOW,K\nA:F(1.0),x,y", malformed, "byte 20, line 2: found more fields");
    check(
        "DATAFLOW,K\nA:F(1.0),x\nA:F(1.0)",
        "TRUNCATED_DOCUMENT",
        "byte 22, line 3: the document ends in a row",
    );
    check("DATAFLOW,K\nA:F(1.0),x\"", malformed, "byte 21, line 2: found a quote within");
    check(
        "DATAFLOW;K\nA:F(1.0);x",
        malformed,
        "byte 0, line 1: found the first column \"DATAFLOW;K\"; expected ','",
    );
    check("DATAFLOW\tK\n", malformed, "the only delimiter of SDMX-CSV");
    check(
        "STRUCTURE,K\n",
        malformed,
        "byte 10, line 1: found the column \"K\" after STRUCTURE; expected STRUCTURE_ID",
    );
    check("STRUCTURE\n", malformed, "found STRUCTURE as the only column");
}
