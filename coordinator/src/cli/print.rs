//! Tables that the subcommands print for people. Never a task's params: people typed them.

use std::io::{self, Write};

use ops::words::span_ms;
use queue::{DeadLetter, LiveTask, TypeStats, WorkerRecord};
use serde::Serialize;

/// One JSON value, readable.
pub(super) fn json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

pub(super) fn stats(
    out: &mut impl Write,
    types: &[TypeStats],
    workers: &[WorkerRecord],
) -> io::Result<()> {
    if types.is_empty() {
        writeln!(out, "no task types: nothing was submitted, and no worker offers any")?;
    } else {
        writeln!(
            out,
            "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}  state",
            "type", "oldest", "ready", "delayed", "active", "stuck", "replies", "dead"
        )?;
    }
    for row in types {
        let state = match (row.paused, row.offered) {
            (true, _) => "paused",
            (false, true) => "ok",
            (false, false) => "no worker",
        };
        let mut state = vec![state.to_owned()];
        state.extend(row.limits.rate.map(|rate| format!("at most {rate}")));
        state.extend(row.limits.max_active.map(|most| format!("at most {most} at once")));
        let state = state.join(", ");
        writeln!(
            out,
            "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}  {state}",
            row.task_type.as_str(),
            span_ms(row.oldest_ms),
            row.ready,
            row.delayed,
            row.active,
            row.stuck,
            row.replies,
            row.dead
        )?;
    }
    for row in types {
        let counts: Vec<String> =
            row.counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if !counts.is_empty() {
            writeln!(out, "\n{}: {}", row.task_type, counts.join(", "))?;
        }
    }
    writeln!(out)?;
    if workers.is_empty() {
        return writeln!(out, "no worker is alive");
    }
    for worker in workers {
        let plugins: Vec<String> = worker
            .plugins
            .iter()
            .map(|plugin| {
                let digest = plugin.digest.get(..12).unwrap_or_default();
                format!("{} {} ({digest})", plugin.name, plugin.version)
            })
            .collect();
        let name = &worker.worker;
        let running = worker.running;
        let room = worker.concurrency;
        let drained = if worker.drained { ", drained" } else { "" };
        writeln!(out, "{name}: {running} of {room} running{drained}; {}", plugins.join(", "))?;
    }
    Ok(())
}

pub(super) fn tasks(out: &mut impl Write, tasks: &[LiveTask]) -> io::Result<()> {
    for task in tasks {
        let running = match (&task.worker, task.running_ms) {
            (Some(worker), Some(ms)) => format!(" for {} on {worker}", span_ms(ms)),
            _ => String::new(),
        };
        let cancelled = if task.cancel_asked { ", cancel asked" } else { "" };
        writeln!(
            out,
            "{}  {}{running}, {} failures, {} crashes, {} left{cancelled}",
            task.task_id,
            task.status,
            task.failures,
            task.crashes,
            span_ms(task.left_ms)
        )?;
    }
    writeln!(out, "{} tasks", tasks.len())
}

pub(super) fn dead(out: &mut impl Write, letters: &[DeadLetter]) -> io::Result<()> {
    for letter in letters {
        let id = letter.task.as_ref().map_or("(unreadable)", |task| task.task_id.as_str());
        let code = letter.result.as_ref().and_then(queue::TaskResult::code).unwrap_or("unknown");
        writeln!(
            out,
            "{}  {id}  {code}, {} failures, {} crashes, last on {}",
            letter.entry, letter.failures, letter.crashes, letter.worker
        )?;
    }
    writeln!(out, "{} dead letters", letters.len())
}
