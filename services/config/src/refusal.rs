//! Refused writes: what a gateway reports of a call that it, or a service behind it, refused.

use std::time::SystemTime;

use crate::Error;

/// The most refusals of one report.
pub const MAX_REPORTED: usize = 100;

/// The longest text of a refusal, in bytes.
const MAX_TEXT: usize = 1024;

/// The longest identifier of a report, in bytes.
const MAX_REPORT_ID: usize = 64;

/// One refused write of an authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When the call was refused.
    pub time: SystemTime,
    /// The subject of the caller.
    pub subject: String,
    /// Its tenant; empty if it has none.
    pub tenant: String,
    /// The identifier of its API key; empty without one.
    pub key_id: String,
    /// Address and port from which the connection came.
    pub peer: String,
    /// The id of the request.
    pub request_id: String,
    /// The full name of the method.
    pub method: String,
    /// The name of the gRPC code.
    pub code: String,
    /// The reason of the error; empty without one.
    pub reason: String,
    /// How many refusals of the caller were left out before this one.
    pub left_out: u64,
}

/// What a gateway reports at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Identifies it, so that it is recorded once.
    pub id: String,
    /// The refusals.
    pub refusals: Vec<Refusal>,
}

// === impl Report ===

impl Report {
    /// The report, with no time after `now`: a refusal that claims to be of the future would never be too old.
    ///
    /// # Errors
    ///
    /// [`Error::FieldInvalid`].
    pub fn validated(mut self, now: SystemTime) -> Result<Self, Error> {
        let Self { id, refusals } = &mut self;
        if !(1..=MAX_REPORT_ID).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem = format!("must be 1 to {MAX_REPORT_ID} visible ASCII characters");
            return Err(Error::FieldInvalid { field: "report_id".to_owned(), problem });
        }
        if !(1..=MAX_REPORTED).contains(&refusals.len()) {
            let problem =
                format!("must be 1 to {MAX_REPORTED}, are {}: send several reports", refusals.len());
            return Err(Error::FieldInvalid { field: "refusals".to_owned(), problem });
        }
        for (index, refusal) in refusals.iter_mut().enumerate() {
            refusal.time = refusal.time.min(now);
            refusal.check(index)?;
        }
        Ok(self)
    }
}

// === impl Refusal ===

impl Refusal {
    /// Whether each text is short enough to be stored. `index` is that of the refusal in its report.
    fn check(&self, index: usize) -> Result<(), Error> {
        let Self { subject, tenant, key_id, peer, request_id, method, code, reason, .. } = self;
        let texts = [
            ("subject", subject),
            ("tenant", tenant),
            ("key_id", key_id),
            ("peer", peer),
            ("request_id", request_id),
            ("method", method),
            ("code", code),
            ("reason", reason),
        ];
        match texts.into_iter().find(|(_, text)| text.len() > MAX_TEXT) {
            None => Ok(()),
            Some((name, text)) => {
                let problem = format!("must be at most {MAX_TEXT} bytes, is {}", text.len());
                Err(Error::FieldInvalid { field: format!("refusals[{index}].{name}"), problem })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn refusal(subject: &str) -> Refusal {
        let [tenant, key_id, peer, request_id, method, code, reason] = [const { String::new() }; 7];
        let subject = subject.to_owned();
        Refusal { time: NOW, subject, tenant, key_id, peer, request_id, method, code, reason, left_out: 0 }
    }

    #[test]
    fn a_report_has_bounds_and_the_error_names_the_field() {
        let check = |id: &str, refusals: Vec<Refusal>, expected: Option<&str>| {
            let field = match (Report { id: id.to_owned(), refusals }).validated(NOW) {
                Ok(_) => None,
                Err(Error::FieldInvalid { field, .. }) => Some(field),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(field.as_deref(), expected, "{id}");
        };
        let some = |count: usize| vec![refusal("ada"); count];
        check("a", some(1), None);
        check(&"x".repeat(MAX_REPORT_ID), some(MAX_REPORTED), None);
        check("", some(1), Some("report_id"));
        check("a b", some(1), Some("report_id"));
        check(&"x".repeat(MAX_REPORT_ID + 1), some(1), Some("report_id"));
        check("a", some(0), Some("refusals"));
        check("a", some(MAX_REPORTED + 1), Some("refusals"));
        check("a", vec![refusal(&"x".repeat(MAX_TEXT))], None);
        check("a", vec![refusal("ada"), refusal(&"x".repeat(MAX_TEXT + 1))], Some("refusals[1].subject"));
        let long = Refusal { reason: "X".repeat(MAX_TEXT + 1), ..refusal("ada") };
        check("a", vec![long], Some("refusals[0].reason"));
    }

    #[test]
    fn no_refusal_is_of_the_future() {
        let second = Duration::from_secs(1);
        let times = [NOW, NOW + second, NOW + 2 * second];
        let refusals = times.map(|time| Refusal { time, ..refusal("ada") });
        let report = Report { id: "a".to_owned(), refusals: refusals.into() };
        let read = report.validated(NOW + second).unwrap();
        let times: Vec<_> = read.refusals.into_iter().map(|refusal| refusal.time).collect();
        assert_eq!(times, [NOW, NOW + second, NOW + second]);
    }
}
