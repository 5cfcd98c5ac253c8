//! Dead letters: replayed, discarded, exported.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::IntoResponse;
use queue::admin::ReplayError;
use queue::{DeadLetter, TaskType};

use super::change::{COUNTED_AT_MOST, Done, Refused, ask, queue, record, task_type, told};
use crate::dashboard::guard::Asked;
use crate::dashboard::layout::encoded;
use crate::dashboard::letters::{self, Group};
use crate::dashboard::plans::Work;
use crate::dashboard::state::State;

/// What a form means: one dead letter, those of a group, or all of a type.
struct Chosen {
    task_type: TaskType,
    letters: Vec<DeadLetter>,
    /// In words.
    of: String,
}

async fn chosen(state: &State, asked: &Asked) -> Result<Chosen, Refused> {
    let task_type = task_type(asked)?;
    let queue = queue(state)?;
    let entry = asked.field("entry");
    if !entry.is_empty() {
        let letters = queue.dead_letter(&task_type, entry).await?.into_iter().collect();
        let of = format!("A dead letter of {task_type}");
        return Ok(Chosen { task_type, letters, of });
    }
    let mut letters = letters::newest(queue, &task_type, COUNTED_AT_MOST).await?;
    let of = if asked.field("grouped") == "1" {
        let code = asked.field("code").to_owned();
        let wanted = Group { code, version: asked.field("version").to_owned() };
        letters.retain(|letter| Group::of(letter) == wanted);
        let Group { code, version } = wanted;
        format!("Dead letters of {task_type} with the reason {code} and the version {version}")
    } else {
        format!("Dead letters of {task_type}")
    };
    Ok(Chosen { task_type, letters, of })
}

/// Counts dead letters, to be replayed or discarded.
pub(crate) async fn choose(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let Chosen { task_type, letters, of } = chosen(&state, &asked).await?;
    let back = format!("/dead?type={task_type}");
    let entries = letters.into_iter().map(|letter| (task_type.clone(), letter.entry)).collect();
    let work = match asked.field("do") {
        "replay" => Work::Replay(entries),
        "discard" => Work::Discard(entries),
        _ => return Err(Refused::Form("Replay or discard?")),
    };
    Ok(ask(&state, &asked, work, of, back))
}

/// Sends dead letters as a file with one JSON object in each line. Recorded, because they contain what people typed.
pub(crate) async fn export(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let Chosen { task_type, letters, of } = chosen(&state, &asked).await?;
    let target = format!("{of}: {}", letters.len());
    record(&state, &asked, "export", &target).await?;
    let mut lines = String::new();
    for letter in &letters {
        lines.push_str(&serde_json::to_string(letter).unwrap_or_default());
        lines.push('\n');
    }
    let named = format!("attachment; filename=\"dead-letters-{task_type}.jsonl\"");
    let kind = "application/x-ndjson".to_owned();
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, named)];
    Ok((headers, lines).into_response())
}

/// Replays one dead letter.
pub(crate) async fn replay(Shared(state): Shared<Arc<State>>, asked: Asked) -> Done {
    let task_type = task_type(&asked)?;
    let entry = asked.field("entry");
    let queue = record(&state, &asked, "replay", &format!("{task_type} {entry}")).await?;
    let (note, page) = match queue.replay(&task_type, entry).await {
        Ok(id) => {
            let page = format!("/task?id={}", encoded(id.as_str()));
            ("The dead letter is this task now.".to_owned(), page)
        }
        Err(ReplayError::Redis(error)) => return Err(error.into()),
        Err(error) => {
            let note = format!("Not replayed: {}.", ops::chain::chain(&error));
            (note, format!("/dead?type={task_type}"))
        }
    };
    Ok(told(&state, &asked, note, &page).await)
}
