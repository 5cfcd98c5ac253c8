//! Makes a wait easier: "typing…" while a task runs, its place in line while it waits, what the plugin says of its
//! progress. For as long as this process lives; the answer does not depend on it.
//!
//! A word about the wait must not cover the answer. It is only begun while the task has no result, and the ledger
//! knows of it until Telegram has taken it: whoever shows the answer meanwhile shows it once more afterwards.

use std::time::Duration;

use queue::{Task, TaskStatus};
use tokio::time::Instant;

use crate::flow;
use crate::perform::Performer;
use crate::question::{Question, ReplyTo};
use crate::render::shown;
use crate::send::Urgency;
use crate::text::Lang;
use crate::under_way::{before, in_line};

/// Most answers are there by then; looking earlier would be looking in vain.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Telegram shows "typing…" for 5 s (Bot API, `sendChatAction`).
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Least pause between two changes of a placeholder.
const EDIT_EVERY: Duration = Duration::from_secs(3);
/// A change that takes longer is given up: the ledger knows of it for a little longer than this.
const EDIT_AT_MOST: Duration = Duration::from_secs(5);
/// As long as a task may live, and some more.
const AT_MOST: Duration = Duration::from_secs(180);
const MAX_PROGRESS_CHARS: usize = 200;

/// Stays with a task until it has ended. `placeholder` is the message that may change meanwhile.
pub(crate) async fn accompany(
    performer: &Performer,
    task: &Task,
    reply_to: &ReplyTo,
    placeholder: Option<i64>,
) {
    let until = Instant::now() + AT_MOST;
    let (mut wait, mut said, mut edited) = (FIRST_LOOK, String::new(), Instant::now());
    while Instant::now() < until && performer.pause(wait).await.is_some() {
        wait = LOOK_EVERY;
        let live = match performer.queue.show(&task.task_id).await {
            Ok(Some(live)) => live,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(error = %error.source, "nothing to tell about a wait at the moment");
                continue;
            }
        };
        if live.status == TaskStatus::Processing {
            let _ = performer.sender.typing(&reply_to.place).await; // Nobody misses it.
        }
        let Some(message_id) = placeholder else { continue };
        let words = words(performer, task, reply_to.lang, live.status).await;
        let Some(words) = words.filter(|words| *words != said) else { continue };
        if edited.elapsed() < EDIT_EVERY {
            continue;
        }
        (said, edited) = (words.clone(), Instant::now());
        tell(performer, task, reply_to, message_id, words).await;
    }
}

/// What there is to say about the wait; none leaves what stands there.
async fn words(
    performer: &Performer,
    task: &Task,
    lang: Lang,
    status: TaskStatus,
) -> Option<String> {
    match status {
        TaskStatus::Retrying => Some(lang.text("taking-up-again")),
        TaskStatus::Processing => {
            let progress = performer.queue.progress(&task.task_id).await.ok()??;
            let percent = progress.percent.map(|percent| format!(" · {percent} %"));
            let text = shown(&progress.text, MAX_PROGRESS_CHARS);
            Some(format!("⚙️ {text}{}", percent.unwrap_or_default()))
        }
        _ if !performer.tempo.offered(&task.task_type) => Some(lang.text("nobody-there")),
        _ => match before(performer, &task.task_id).await? {
            0 => Some(lang.text("next-in-line")),
            before => Some(in_line(performer, lang, "in-line", &task.task_type, before)),
        },
    }
}

async fn tell(
    performer: &Performer,
    task: &Task,
    reply_to: &ReplyTo,
    message_id: i64,
    words: String,
) {
    let id = &task.task_id;
    if !matches!(performer.queue.begin_edit(id, EDIT_AT_MOST * 2).await, Ok(true)) {
        return;
    }
    let screen = Question::waiting(reply_to.lang, &flow::view_name(id), words);
    let edit = performer.sender.edit(&reply_to.place, message_id, &screen, Urgency::Progress);
    // Whether it worked does not matter: the next look says more. One that is given up may arrive yet, so its note stays
    // until it ends by itself.
    if tokio::time::timeout(EDIT_AT_MOST, edit).await.is_err() {
        return;
    }
    if let Err(error) = performer.queue.end_edit(id).await {
        tracing::debug!(error = %error.source, "the note about an edit ends by itself");
    }
}
