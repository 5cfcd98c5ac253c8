//! Makes a wait easier: "typing…" while a task runs, its place in line while it waits, what the plugin says of its
//! progress. For as long as this process lives; the answer does not depend on it.
//!
//! A word about the wait must not cover the answer: in the order of the message's changes it is older
//! ([`Revision::progress`]).

use std::time::Duration;

use queue::{Task, TaskStatus};
use tokio::time::Instant;

use super::status::{before, in_line};
use crate::chat::callback::view_name;
use crate::chat::question::{Question, ReplyTo};
use crate::chat::sanitize::shown;
use crate::conversation::handler::Performer;
use crate::telegram::send::{Edited, Revision, Urgency};

/// Most answers are there by then; looking earlier would be looking in vain.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Telegram shows "typing…" for 5 s (Bot API, `sendChatAction`).
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Least pause between two changes of a placeholder.
const EDIT_EVERY: Duration = Duration::from_secs(3);
/// As long as a task may live, and some more.
const AT_MOST: Duration = Duration::from_secs(180);
/// With an estimate, and without.
const IN_LINE: (&str, &str) = ("in-line", "in-line-only");
const MAX_PROGRESS_CHARS: usize = 200;

/// Stays with a task until it has ended. `message_id` is what may change meanwhile: the placeholder, or the message whose
/// button was pressed.
pub(crate) async fn accompany(
    performer: &Performer,
    task: &Task,
    reply_to: &ReplyTo,
    message_id: Option<i64>,
) {
    let until = Instant::now() + AT_MOST;
    let (mut wait, mut said, mut edited) = (FIRST_LOOK, None, Instant::now());
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
        let Some(message_id) = message_id.filter(|_| EDIT_EVERY <= edited.elapsed()) else {
            continue;
        };
        let words = words(performer, task, reply_to, live.status).await;
        if let Some(words) = words.filter(|words| said.as_ref() != Some(words)) {
            edited = Instant::now();
            match tell(performer, task, reply_to, message_id, &words).await {
                Told::Shown => said = Some(words),
                // Without room, for instance: the next look tries again.
                Told::Not => {}
                Told::Never => return,
            }
        }
    }
}

/// What became of a word about the wait.
enum Told {
    Shown,
    Not,
    /// No more are told: the message shows the answer, or something that was asked later.
    Never,
}

/// What there is to say about the wait; none leaves what stands there.
async fn words(
    performer: &Performer,
    task: &Task,
    reply_to: &ReplyTo,
    status: TaskStatus,
) -> Option<String> {
    let lang = reply_to.lang;
    match status {
        TaskStatus::Retrying => Some(lang.text("taking-up-again")),
        TaskStatus::Processing => match performer.queue.progress(&task.task_id).await.ok()? {
            Some(progress) => {
                let percent = progress.percent.map(|percent| format!(" · {percent} %"));
                let text = shown(&progress.text, MAX_PROGRESS_CHARS);
                Some(format!("⚙️ {text}{}", percent.unwrap_or_default()))
            }
            // A placeholder says so already.
            None => reply_to.message_id.map(|_| reply_to.question.waits_for(lang)),
        },
        _ if !performer.tempo.offered(&task.task_type) => Some(lang.text("nobody-there")),
        _ => match before(performer, &task.task_id).await? {
            0 => Some(lang.text("next-in-line")),
            before => Some(in_line(performer, lang, IN_LINE, &task.task_type, before)),
        },
    }
}

async fn tell(
    performer: &Performer,
    task: &Task,
    reply_to: &ReplyTo,
    message_id: i64,
    words: &str,
) -> Told {
    let view = view_name(&task.task_id);
    let screen = Question::waiting(reply_to.lang, &view, words.to_owned());
    let revision = Revision::progress(message_id, reply_to.turn);
    let (sender, place) = (&performer.sender, &reply_to.place);
    match sender.edit(place, revision, &screen, Urgency::Progress, false).await {
        Ok(Edited::Shown | Edited::Beside) => Told::Shown,
        Ok(Edited::Overtaken { .. }) => Told::Never,
        Ok(Edited::Busy) | Err(_) => Told::Not,
    }
}
