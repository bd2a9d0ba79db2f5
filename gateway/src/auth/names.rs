//! What may be a subject or a tenant, however the caller is authenticated. The beginning of a subject says how that
//! was: no token may have one of these, so that the audit tells callers apart.

/// The beginning of the subjects of API keys.
pub(crate) const KEY_SUBJECT: &str = "key:";

/// The beginning of the subjects of client certificates.
pub(super) const CERTIFICATE_SUBJECT: &str = "cert:";

/// The beginning of the subjects of peers that a proxy of the mesh has verified.
pub(super) const PEER_SUBJECT: &str = "peer:";

/// The most bytes of a subject.
pub(super) const MAX_SUBJECT: usize = 256;

/// The most characters of a tenant.
pub(super) const MAX_TENANT: usize = 63;

/// Whether a subject is one of callers that present no token.
pub(super) fn is_reserved(subject: &str) -> bool {
    [KEY_SUBJECT, CERTIFICATE_SUBJECT, PEER_SUBJECT].iter().any(|beginning| subject.starts_with(beginning))
}

/// Whether a text is a tenant. Its characters have no meaning in a path, a key or a pattern.
pub(super) fn is_tenant(text: &str) -> bool {
    text.len() <= MAX_TENANT
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
