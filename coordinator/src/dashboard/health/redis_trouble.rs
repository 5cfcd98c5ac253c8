//! Redis does not answer, or refuses writes.

use super::problem::{Problem, Severity};
use crate::dashboard::figures::Snapshot;
use crate::dashboard::words::short;

pub(super) fn of(now: &Snapshot) -> Option<Problem> {
    if let Some(why) = &now.unread {
        let problem = Problem::new(Severity::Bad, "redis", "Redis does not answer");
        let why = format!(
            "{}. No question is answered until it does. Nothing that was accepted is lost.",
            short(why, 300)
        );
        return Some(problem.why(why));
    }
    let why = now.refused.as_ref()?;
    let problem = Problem::new(Severity::Bad, "refused", "Redis refuses writes");
    let why = format!(
        "{}. New questions wait at Telegram until it accepts them. Nothing that was accepted is lost.",
        short(why, 300)
    );
    Some(problem.why(why))
}
