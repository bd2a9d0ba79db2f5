//! One audited read: of what is no secret itself, and tells a caller that plans something with secrets what there is.

use std::time::SystemTime;

/// What was done when keys were listed, as audit records name changes.
pub const KEYS_LISTED: &str = "KEYS_LISTED";

/// A read that the audit has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedRead {
    /// When it was.
    pub time: SystemTime,
    /// The subject of the caller; empty without authentication.
    pub subject: String,
    /// Its tenant; empty if it has none.
    pub tenant: String,
    /// The address from which its connection came to the gateway; empty if unknown.
    pub peer: String,
    /// The id of the request.
    pub request_id: String,
    /// What was done, for instance [`KEYS_LISTED`].
    pub action: String,
    /// What was read.
    pub resource: String,
    /// How many reads of the caller were left out before this one.
    pub left_out: u64,
}
