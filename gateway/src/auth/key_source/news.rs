//! Which outcomes of reading a document are worth a log record: it is read every second, or for hours in vain.

use super::super::jwt::key_set::Origin;
use super::problem::Problem;

/// The last outcome that was logged.
pub(super) struct News {
    origin: Origin,
    /// The problem that was logged since the last success.
    logged: Option<String>,
}

/// What an outcome means for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// There is a problem that the log does not have.
    Failed,
    /// The problem goes on.
    FailedAgain,
    /// The problem that the log has is over.
    Recovered,
}

// === impl News ===

impl News {
    pub(super) fn of(origin: Origin) -> Self {
        Self { origin, logged: None }
    }

    /// None for a success like the one before.
    pub(super) fn severity(&mut self, outcome: &Result<(), Problem>) -> Option<Severity> {
        let Err(problem) = outcome else {
            return self.logged.take().map(|_| Severity::Recovered);
        };
        let problem = problem.to_string();
        let is_known = match (self.origin, &self.logged) {
            // Another problem of a file is another attempt to write it; those of a server vary while it is down.
            (Origin::File, Some(logged)) => *logged == problem,
            (Origin::Url, Some(_)) => true,
            (_, None) => false,
        };
        if is_known {
            return Some(Severity::FailedAgain);
        }
        self.logged = Some(problem);
        Some(Severity::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_logged_once_and_so_is_its_end() {
        use Severity::{Failed, FailedAgain, Recovered};
        let check = |origin, outcomes: &[Result<(), Problem>], expected: &[Option<Severity>]| {
            let mut news = News::of(origin);
            let severities: Vec<_> = outcomes.iter().map(|outcome| news.severity(outcome)).collect();
            assert_eq!(severities, expected, "{origin:?} {outcomes:?}");
        };
        let one = || Err(Problem::NotAFile);
        let other = || Err(Problem::TooLong);
        for origin in [Origin::File, Origin::Url] {
            check(origin, &[Ok(()), Ok(())], &[None, None]);
            let expected = [Some(Failed), Some(FailedAgain), Some(Recovered), None, Some(Failed)];
            check(origin, &[one(), one(), Ok(()), Ok(()), one()], &expected);
        }
        let outcomes = [one(), other(), one(), Ok(())];
        check(Origin::File, &outcomes, &[Some(Failed), Some(Failed), Some(Failed), Some(Recovered)]);
        check(Origin::Url, &outcomes, &[Some(Failed), Some(FailedAgain), Some(FailedAgain), Some(Recovered)]);
    }
}
