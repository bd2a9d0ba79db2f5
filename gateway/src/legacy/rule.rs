//! The predecessor's rules: the rule set `legacy` in its format. [`request`] parses requests, [`response`] writes
//! responses.

pub mod request;
pub mod response;

/// A keyword as the predecessor kept it: lower case, without blanks around.
fn normalized(keyword: &str) -> String {
    keyword.trim().to_lowercase()
}
