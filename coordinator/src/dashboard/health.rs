//! What is wrong, in words, the worst first.

mod problem;
mod redis_trouble;
mod tasks;
#[cfg(test)]
mod tests;
mod workers;

use super::figures::Snapshot;
use super::past::Past;
use super::trend::Trend;
use super::words::{count, short};
use problem::CHATS;

pub(super) use problem::{Problem, Severity};

/// Answers that wait to be sent: more than two seconds' worth of Telegram's limit.
const UNSENT: u64 = 60;

/// What is wrong now, the worst first. `updates` says why no updates arrive. `trend` remembers since when.
pub(super) fn judge(
    now: &Snapshot,
    past: &Past,
    updates: Option<&str>,
    trend: &mut Trend,
) -> Vec<Problem> {
    let mut found: Vec<Problem> = redis_trouble::of(now).into_iter().collect();
    if let Some(why) = updates {
        let problem = Problem::new(Severity::Bad, "updates", "No messages arrive from Telegram");
        found.push(problem.why(short(why, 300)));
    }
    if now.unread.is_none() {
        found.extend(workers::of(now, past, trend));
        found.extend(tasks::of(now, past, trend));
        let unsent = now.sum(|of| of.replies);
        if unsent > UNSENT {
            let what = format!("{} to be sent", count(unsent, "answer waits", "answers wait"));
            let why = "Telegram limits how fast the bot writes, or does not answer.";
            found.push(Problem::new(Severity::Warn, "unsent", what).why(why).page(CHATS));
        }
    }
    // Stable: of equal ones the first stays first.
    found.sort_by_key(|problem| problem.severity);
    let keys: Vec<String> = found.iter().map(|problem| problem.key.clone()).collect();
    let since = trend.note(&keys, now.at, now.unread.is_some());
    for (problem, noticed) in found.iter_mut().zip(since) {
        problem.since = problem.began.unwrap_or(noticed);
    }
    found
}
