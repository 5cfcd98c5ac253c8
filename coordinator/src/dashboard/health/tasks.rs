//! Task types: paused, without a worker, stuck, failing, slow, growing, and new dead letters.

use queue::TypeStats;
use queue::history::TypeCounts;

use super::problem::{DEAD, PLUGINS, Problem, Severity, TASKS, TYPES};
use crate::dashboard::figures::Snapshot;
use crate::dashboard::past::{Past, failures};
use crate::dashboard::trend::{LastDead, NEWS_FOR, Trend};
use crate::dashboard::words::{count, number, short, span};

/// A task that waits for longer is slow: a person has looked away by then.
const SLOW_MS: u64 = 20_000;
/// A share of failures above this is not chance.
const FAILING_PERCENT: u64 = 20;
/// Fewer ended tasks say nothing.
const FAILING_AT_LEAST: u64 = 5;
/// How far back failures are counted, in minutes.
const RECENT_MINUTES: u64 = 5;
/// A queue that is shorter does not count as growing.
const GROWN_AT_LEAST: u64 = 100;
/// How far back its length is compared, in ms.
pub(super) const GROWN_OVER: u64 = 5 * 60_000;

pub(super) fn of(now: &Snapshot, past: &Past, trend: &Trend) -> Vec<Problem> {
    let mut found = Vec::new();
    for of in &now.types {
        let name = of.task_type.as_str();
        let dead = trend.dead.get(&of.task_type);
        let dead = dead.filter(|last| last.at + NEWS_FOR > now.at);
        let failing = failing(name, past, dead);
        // One cause, one sentence: what fails is also slow and becomes dead letters.
        let has_said = failing.is_some();
        found.extend(failing);
        let state = state(of, !now.workers.is_empty());
        let is_slow = !has_said && state.is_none();
        found.extend(state);
        if is_slow {
            found.extend(slow(of, past, dead));
        }
        if !has_said {
            found.extend(dead.map(|last| new_dead(of, last)));
        }
    }
    found.extend(growing(now, trend));
    found
}

/// More than chance failed lately.
fn failing(name: &str, past: &Past, dead: Option<&LastDead>) -> Option<Problem> {
    let recent = past.last(RECENT_MINUTES);
    let counts = recent.get(name)?;
    let ended = counts.completed + failures(counts);
    if ended < FAILING_AT_LEAST || !fails(counts) {
        return None;
    }
    let what = format!("{name} fails: {} of the last {}", number(failures(counts)), number(ended));
    let (at, or_earlier) = failing_since(name, past);
    let code = counts.codes.iter().max_by_key(|(_, count)| **count);
    let code = code.map(|(code, _)| format!("Most have the code {}.", short(code, 60)));
    let why = [code, dead.and_then(refused_by)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let problem = Problem::new(Severity::Bad, format!("failing:{name}"), what);
    let reason = dead.map(|last| last.reason.as_str());
    Some(problem.why(why).reason(reason).page(DEAD).began(at, or_earlier))
}

/// The server that refused the last request, and what helps.
fn refused_by(last: &LastDead) -> Option<String> {
    let server = short(last.failed_request.as_deref()?, 200);
    if server.ends_with(" 429") {
        let helps = "it wants fewer requests, so set a rate limit on the page Types";
        return Some(format!("{server}: {helps}."));
    }
    Some(format!("{server}."))
}

fn fails(counts: &TypeCounts) -> bool {
    let failed = failures(counts);
    failed * 100 > (counts.completed + failed) * FAILING_PERCENT
}

/// The first minute of the failures that go on until now, and whether the hour before is not known to be better.
fn failing_since(name: &str, past: &Past) -> (u64, bool) {
    let mut since = past.at;
    for bucket in past.minutes.iter().rev() {
        // Where nothing ended, nothing changed.
        let Some(counts) = bucket.types.get(name) else { continue };
        if counts.completed + failures(counts) == 0 {
            continue;
        }
        if !fails(counts) {
            return (since, false);
        }
        since = bucket.at;
    }
    let is_first = past.minutes.first().is_some_and(|first| first.at == since);
    (since, is_first)
}

/// Paused, without a worker, or stuck.
fn state(of: &TypeStats, has_workers: bool) -> Option<Problem> {
    use Severity::{Bad, Warn};
    let name = &of.task_type;
    let waiting = of.ready + of.delayed;
    let waits = || match waiting {
        0 => "Nothing waits for it.".to_owned(),
        waiting => format!("{} for it.", count(waiting, "task waits", "tasks wait")),
    };
    if of.paused {
        let problem = Problem::new(Warn, format!("paused:{name}"), format!("{name} is paused"));
        return Some(problem.why(format!("{} An operator has paused it.", waits())).page(TYPES));
    }
    if !of.offered && waiting > 0 && has_workers {
        let what = format!("No worker offers {name}");
        let why =
            format!("{} Start a worker with its plugin, or look why it was refused.", waits());
        return Some(Problem::new(Bad, format!("offer:{name}"), what).why(why).page(PLUGINS));
    }
    if of.stuck > 0 {
        let what = format!("{} of {name}", count(of.stuck, "task is stuck", "tasks are stuck"));
        let why = "Running for longer than 35 s. Cancel them if they do not end.";
        return Some(Problem::new(Warn, format!("stuck:{name}"), what).why(why).page(TASKS));
    }
    None
}

/// The oldest task waits for too long.
fn slow(of: &TypeStats, past: &Past, dead: Option<&LastDead>) -> Option<Problem> {
    let name = of.task_type.as_str();
    let waiting = of.ready + of.delayed;
    if of.oldest_ms <= SLOW_MS || waiting + of.active == 0 {
        return None;
    }
    let recent = past.last(RECENT_MINUTES);
    let retried = recent.get(name).map_or(0, |counts| counts.retried);
    let is_limited = of.limits.max_active.is_some_and(|most| of.active >= most);
    let cause = if of.delayed > 0 || retried > 0 {
        let tries = count(retried, "attempt", "attempts");
        format!("Attempts fail and are repeated: {tries} within {RECENT_MINUTES} min.")
    } else if is_limited {
        "As many run as its limit allows.".to_owned()
    } else {
        "The workers do not keep up.".to_owned()
    };
    let why = format!(
        "A question has no answer after {}. {cause} {} and {}.",
        span(of.oldest_ms),
        count(waiting, "waits", "wait"),
        count(of.active, "runs", "run")
    );
    let problem = Problem::new(Severity::Warn, format!("slow:{name}"), format!("{name} is slow"));
    Some(problem.why(why).page(TYPES).reason(dead.map(|last| last.reason.as_str())))
}

fn new_dead(of: &TypeStats, last: &LastDead) -> Problem {
    let name = &of.task_type;
    let dead = count(of.dead, "dead letter", "dead letters");
    let problem =
        Problem::new(Severity::Warn, format!("dead:{name}"), format!("{name} has {dead}"));
    let code = format!("The newest has the code {}.", short(&last.code, 60));
    let why = [Some(code), refused_by(last)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    problem.why(why).reason(Some(&last.reason)).page(DEAD).began(last.at, false)
}

/// More tasks wait than a few minutes ago.
fn growing(now: &Snapshot, trend: &Trend) -> Option<Problem> {
    let waiting = now.waiting();
    let before = trend.waited(now.at, GROWN_OVER)?;
    if waiting < GROWN_AT_LEAST || waiting < before + before / 2 {
        return None;
    }
    let what = format!("The queue grows: {} wait", number(waiting));
    let why = format!(
        "{} waited 5 min ago. More workers, or a higher limit, would help.",
        number(before)
    );
    Some(Problem::new(Severity::Warn, "growing", what).why(why).page(TYPES))
}
