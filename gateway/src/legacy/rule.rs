//! The predecessor's rules: the rule set `legacy`, in its words. [`request`] is what its clients ask for, [`response`]
//! what they are answered.

pub mod request;
pub mod response;

/// A keyword as the predecessor kept it: lower case, without blanks around.
fn normalized(keyword: &str) -> String {
    keyword.trim().to_lowercase()
}
