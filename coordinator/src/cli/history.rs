//! `coordinator queue history`: finished tasks by any filter, and one task's timeline.

use std::io::{self, Write};
use std::time::Duration;

use ops::words::span_ms;
use queue::history::{Filter, FinishedTask, Timeline, TimelineKind};
use queue::task::now_ms;
use queue::{TaskId, TaskQueue, TaskStatus, TaskType};

use super::outcome::Outcome;
use super::print;

/// Finished tasks that are listed by default.
const LIST_AT_MOST: usize = 50;

/// Which finished tasks to show.
#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// The task's id: shows its timeline.
    task_id: Option<TaskId>,
    /// Only tasks of this person: the numeric user id.
    #[arg(long, allow_negative_numbers = true)]
    person: Option<i64>,
    /// Only tasks whose answer went to this chat.
    #[arg(long, allow_negative_numbers = true)]
    chat: Option<i64>,
    /// Only tasks of this type.
    #[arg(long = "type")]
    task_type: Option<TaskType>,
    /// Only tasks that ended so: completed, failed, timeout or cancelled.
    #[arg(long, value_parser = status)]
    status: Option<TaskStatus>,
    /// Only tasks that failed with this code.
    #[arg(long)]
    code: Option<String>,
    /// Only tasks that ran in this version of a plugin.
    #[arg(long = "plugin-version")]
    version: Option<String>,
    /// Only tasks that this worker held last.
    #[arg(long)]
    worker: Option<String>,
    /// Only tasks that ended in the last so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Only tasks with this in their question, answer or reason, where texts are kept (`HISTORY_TEXTS`).
    #[arg(long)]
    text: Option<String>,
    /// Most tasks to list.
    #[arg(long, default_value_t = LIST_AT_MOST)]
    limit: usize,
    /// Where the list begins: the mark at the end of another list.
    #[arg(long)]
    from: Option<String>,
}

fn status(word: &str) -> Result<TaskStatus, String> {
    let status = word.parse::<TaskStatus>().ok().filter(|status| status.final_state());
    status.ok_or_else(|| "it is completed, failed, timeout or cancelled".to_owned())
}

impl History {
    /// Lists the tasks, newest first, or shows one.
    pub(super) async fn run(
        self,
        queue: &TaskQueue,
        json: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<Outcome> {
        if let Some(id) = &self.task_id {
            return one(queue, id, json, out).await;
        }
        let ago = |minutes: u64| {
            now_ms()
                .saturating_sub(Duration::from_secs(minutes.saturating_mul(60)).as_secs() * 1_000)
        };
        let filter = Filter {
            task_id: None,
            user_id: self.person,
            chat_id: self.chat,
            task_type: self.task_type,
            status: self.status,
            code: self.code,
            version: self.version,
            worker: self.worker,
            from_ms: self.minutes.map(ago),
            to_ms: None,
            text: self.text,
        };
        let page = queue.history().find(&filter, self.limit.max(1), self.from.as_deref()).await?;
        if json {
            print::json(out, &page)?;
        } else {
            page.tasks.iter().try_for_each(|task| line(out, task))?;
            writeln!(out, "{} tasks, {} looked at", page.tasks.len(), page.looked_at)?;
            if let Some(next) = &page.next {
                writeln!(out, "older ones: --from {next}")?;
            }
        }
        Ok(Outcome::Done)
    }
}

async fn one(
    queue: &TaskQueue,
    id: &TaskId,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Outcome> {
    let timeline = queue.history().task(id).await?;
    if timeline.live.is_none() && timeline.finished.is_none() {
        writeln!(out, "the history has no task {id}")?;
        return Ok(Outcome::NotFound);
    }
    if json {
        print::json(out, &serde_json::json!({"task": timeline, "events": timeline.events()}))?;
    } else {
        show(out, &timeline)?;
    }
    Ok(Outcome::Done)
}

fn line(out: &mut impl Write, task: &FinishedTask) -> io::Result<()> {
    let code = task.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
    let chat = task.chat_id.map(|chat| format!(" in chat {chat}")).unwrap_or_default();
    let version = task.version.as_deref().map(|version| format!(", {version}"));
    writeln!(
        out,
        "{}  {}{code} after {}, person {}{chat}, on {}{}",
        task.task_id,
        task.status,
        span_ms(task.ended_at.saturating_sub(task.submitted_at)),
        task.user_id,
        task.worker.as_deref().unwrap_or("no worker"),
        version.unwrap_or_default(),
    )
}

/// A timeline, each line with the time since the first.
fn show(out: &mut impl Write, timeline: &Timeline) -> io::Result<()> {
    if let Some(task) = &timeline.finished {
        line(out, task)?;
    }
    let events = timeline.events();
    let first = events.first().map_or(0, |event| event.at);
    for event in &events {
        let at = span_ms(event.at.saturating_sub(first));
        let what = match &event.what {
            TimelineKind::Submitted => format!("submitted, at {} ms since 1970", event.at),
            TimelineKind::Claimed { worker, version } => {
                let version = version.as_deref().map(|version| format!(", version {version}"));
                format!("claimed by {worker}{}", version.unwrap_or_default())
            }
            TimelineKind::Ended { status, code, reason } => {
                let mut words = vec![format!("ended: {status}")];
                words.extend(code.clone());
                words.extend(reason.clone());
                words.join(", ")
            }
            TimelineKind::Step(step) => words(step),
        };
        writeln!(out, "{at:>8}  {what}")?;
    }
    Ok(())
}

fn words(step: &queue::history::StepKind) -> String {
    use queue::history::StepKind::{Delivered, Retried, Undeliverable, WorkerLost};
    match step {
        Retried { code, delay_ms, reason, .. } => {
            let why = [code, reason].into_iter().flatten().map(|why| format!(", {why}"));
            let why: String = why.collect();
            format!("the attempt failed{why}; another one after {}", span_ms(*delay_ms))
        }
        WorkerLost { worker, .. } => format!("{worker} died; it runs again"),
        Delivered { chat_id, message_id } => {
            let chat = chat_id.map(|chat| format!(" in chat {chat}")).unwrap_or_default();
            let message = message_id.map(|id| format!(", message {id}")).unwrap_or_default();
            format!("delivered{chat}{message}")
        }
        Undeliverable => "cannot be delivered: the chat is gone".to_owned(),
    }
}
