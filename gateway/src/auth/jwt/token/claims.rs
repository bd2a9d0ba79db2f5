//! What a verified token says (RFC 7519, 4): for whom, by whom, until when. Separate from the signature, because these
//! checks depend on the time and on the operator's choices.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_mesh::rate::Rate;

use super::super::object::{Object, Value};
use super::{Expected, TokenError};
use crate::auth::names::{MAX_SUBJECT, is_reserved, is_tenant};

/// The most words of the scopes.
const MAX_SCOPES: usize = 64;

/// The seconds of a date, from 1970 to the end of the year 9999. Later ones are in other units, for instance
/// milliseconds.
const DATES: RangeInclusive<f64> = 0.0..=253_402_300_799.0;

/// The claim with the rate of the subject.
const RATE: &str = "dataflow_rate_limit";

const NOT_A_RATE: &str = "is not a number from 1 to 1000000 and a period, for instance 50/s";
const MISSING: &str = "is missing";
const NOT_TEXT: &str = "is not a string";

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Who makes the call.
    pub(crate) subject: String,
    /// The tenant, if the token has one.
    pub(crate) tenant: Option<String>,
    /// What the caller may do: words of RFC 6749 (3.3), in the order of the token, each once.
    pub(crate) scopes: Vec<String>,
    /// The rate of the subject, if the token states one.
    pub(crate) rate: Option<Rate>,
    /// When the token expires, by the clock of its issuer.
    pub(crate) expires: SystemTime,
}

// === impl Claims ===

impl Claims {
    /// Reads and checks the claims of a token whose signature is verified.
    pub(super) fn read(payload: &[u8], expected: &Expected, now: SystemTime) -> Result<Self, TokenError> {
        let claims =
            Object::parse(payload).map_err(|problem| TokenError::Malformed { part: "payload", problem })?;
        let expires = date(&claims, "exp")?.ok_or(invalid("exp", MISSING))?;
        let (not_before, _issued) = (date(&claims, "nbf")?, date(&claims, "iat")?);
        if is_expired(expires, now, expected.skew) {
            return Err(TokenError::Expired);
        }
        // Valid from `nbf` on (RFC 7519, 4.1.5).
        let early = not_before.and_then(|not_before| not_before.duration_since(now).ok());
        if early.is_some_and(|early| early > expected.skew) {
            return Err(TokenError::NotYetValid);
        }
        check_issuer(&claims, expected)?;
        check_audience(&claims, expected)?;
        let subject = subject(&claims)?;
        let tenant = tenant(&claims, expected)?;
        Ok(Self { subject, tenant, scopes: scopes(&claims)?, rate: rate(&claims)?, expires })
    }
}

/// Whether a token has expired: it is valid before `exp`, not at it (RFC 7519, 4.1.4). Computed without a sum, which
/// could overflow.
pub(crate) fn is_expired(expires: SystemTime, now: SystemTime, skew: Duration) -> bool {
    now.duration_since(expires).is_ok_and(|late| late >= skew)
}

/// A claim that is a `NumericDate` if it is present.
fn date(claims: &Object, claim: &'static str) -> Result<Option<SystemTime>, TokenError> {
    let seconds = match claims.get(claim) {
        None => return Ok(None),
        Some(Value::Number(seconds)) => *seconds,
        Some(_) => return Err(invalid(claim, "is not a number")),
    };
    if !DATES.contains(&seconds) {
        return Err(invalid(claim, "is not a number of seconds from 1970 to the year 9999"));
    }
    Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
}

fn check_issuer(claims: &Object, expected: &Expected) -> Result<(), TokenError> {
    let Some(issuer) = &expected.issuer else { return Ok(()) };
    if required_text(claims, "iss")? == issuer { Ok(()) } else { Err(TokenError::IssuerMismatch) }
}

fn check_audience(claims: &Object, expected: &Expected) -> Result<(), TokenError> {
    if expected.audiences.is_empty() {
        return Ok(());
    }
    let is_expected = match claims.get("aud") {
        None => return Err(invalid("aud", MISSING)),
        Some(Value::Text(audience)) => expected.audiences.contains(audience),
        Some(Value::Texts(audiences)) => {
            audiences.iter().any(|audience| expected.audiences.contains(audience))
        }
        Some(_) => return Err(invalid("aud", "is not a string or an array of strings")),
    };
    if is_expected { Ok(()) } else { Err(TokenError::AudienceMismatch) }
}

fn subject(claims: &Object) -> Result<String, TokenError> {
    let subject = required_text(claims, "sub")?;
    if subject.is_empty() {
        return Err(invalid("sub", "is empty"));
    }
    if subject.len() > MAX_SUBJECT {
        return Err(invalid("sub", "has more than 256 bytes"));
    }
    if is_reserved(subject) {
        return Err(invalid(
            "sub",
            "begins with key:, cert: or peer:, as subjects of callers without a token do",
        ));
    }
    if subject.chars().any(char::is_control) {
        return Err(invalid("sub", "has a control character"));
    }
    Ok(subject.to_owned())
}

fn tenant(claims: &Object, expected: &Expected) -> Result<Option<String>, TokenError> {
    let Some(tenant) = claims.text(&expected.tenant_claim).map_err(|_| TokenError::TenantInvalid)? else {
        return Ok(None);
    };
    if is_tenant(tenant) { Ok(Some(tenant.to_owned())) } else { Err(TokenError::TenantInvalid) }
}

/// The rate that the issuer grants to the subject.
fn rate(claims: &Object) -> Result<Option<Rate>, TokenError> {
    let text = claims.text(RATE).map_err(|_| invalid(RATE, NOT_TEXT))?;
    text.map(|text| text.parse().map_err(|_| invalid(RATE, NOT_A_RATE))).transpose()
}

/// The words of `scope` (RFC 8693, 4.2) and of `scp`, which some providers send instead.
fn scopes(claims: &Object) -> Result<Vec<String>, TokenError> {
    let mut scopes = Vec::new();
    let scope = claims.text("scope").map_err(|_| invalid("scope", NOT_TEXT))?.unwrap_or_default();
    add_scopes(&mut scopes, "scope", words(scope))?;
    match claims.get("scp") {
        None => {}
        Some(Value::Text(text)) => add_scopes(&mut scopes, "scp", words(text))?,
        // Each is one word: a scope with a space would otherwise become two.
        Some(Value::Texts(texts)) => add_scopes(&mut scopes, "scp", texts.iter().map(String::as_str))?,
        Some(_) => return Err(invalid("scp", "is not a string or an array of strings")),
    }
    Ok(scopes)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn add_scopes<'a>(
    scopes: &mut Vec<String>,
    claim: &'static str,
    words: impl Iterator<Item = &'a str>,
) -> Result<(), TokenError> {
    for word in words {
        if word.is_empty() || !word.bytes().all(is_scope_byte) {
            return Err(invalid(claim, "has a word with characters that RFC 6749 does not allow"));
        }
        if scopes.iter().any(|scope| scope == word) {
            continue;
        }
        if scopes.len() == MAX_SCOPES {
            return Err(invalid(claim, "has more than 64 words"));
        }
        scopes.push(word.to_owned());
    }
    Ok(())
}

/// `NQCHAR` of RFC 6749 (appendix A): visible ASCII but for the quotation mark and the backslash.
fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

fn required_text<'a>(claims: &'a Object, claim: &'static str) -> Result<&'a str, TokenError> {
    claims.text(claim).map_err(|_| invalid(claim, NOT_TEXT))?.ok_or(invalid(claim, MISSING))
}

fn invalid(claim: &'static str, problem: &'static str) -> TokenError {
    TokenError::ClaimInvalid { claim, problem }
}

#[cfg(test)]
mod tests;
