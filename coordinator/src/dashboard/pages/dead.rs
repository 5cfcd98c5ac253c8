//! Dead letters of one type: tasks that failed for good, grouped by code and version.

use std::collections::BTreeMap;

use maud::{Markup, html};
use queue::{DeadLetter, TaskQueue, TaskType, TypeStats};

use super::context::{self, Context};
use crate::dashboard::actions::COUNTED_AT_MOST;
use crate::dashboard::layout::{Page, csrf, encoded};
use crate::dashboard::letters::{self, Group};
use crate::dashboard::words::{count, moment, number, short};

/// Letters that are read for the groups.
const GROUPED: usize = 500;
/// Single letters on one page.
const SHOWN: usize = 50;

struct Sum {
    count: u64,
    newest: u64,
    /// What the newest said.
    example: String,
}

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let page = Page::new("Dead letters").with(html! {
        p .soft {
            "A task that fails for good after all its attempts becomes a dead letter. A replay submits it again and sends the "
            "answer to the person; their message of failure is replaced."
        }
    });
    let (Some(queue), None) = (state.queue(), &now.unread) else {
        return page.with(context::unread(now.unread.as_deref().unwrap_or_default()));
    };
    let some: Vec<&TypeStats> = now.types.iter().filter(|of| of.dead > 0).collect();
    let asked = context.field("type");
    let chosen = some.iter().find(|of| of.task_type.as_str() == asked);
    // Without a choice, the type with most of them.
    let chosen = chosen.or_else(|| some.iter().max_by_key(|of| of.dead));
    let Some(chosen) = chosen else {
        return page.with(html! { p .card { "There are none." } });
    };
    let page = page.with(types(&some, chosen));
    match context::shown(read(queue, &chosen.task_type, context).await) {
        Ok((newest, listed)) => page.with(groups(chosen, &newest, context)).with(single(
            &chosen.task_type,
            &listed,
            context,
        )),
        Err(unread) => page.with(unread),
    }
}

/// The newest letters for the groups, and a page of single ones.
async fn read(
    queue: &TaskQueue,
    task_type: &TaskType,
    context: &Context,
) -> Result<(Vec<DeadLetter>, Vec<DeadLetter>), queue::RedisError> {
    let newest = letters::newest(queue, task_type, GROUPED).await?;
    let listed = match context.field("before") {
        "" => newest.iter().take(SHOWN).cloned().collect(),
        before => queue.dead_letters_before(task_type, Some(before), SHOWN).await?,
    };
    Ok((newest, listed))
}

fn types(some: &[&TypeStats], chosen: &TypeStats) -> Markup {
    html! {
        nav .tabs aria-label="Types with dead letters" {
            ul {
                @for of in some {
                    li {
                        a href={ "/dead?type=" (of.task_type) } aria-current=[(of.task_type == chosen.task_type).then_some("page")] {
                            (of.task_type) " " (number(of.dead))
                        }
                    }
                }
            }
        }
    }
}

fn groups(of: &TypeStats, newest: &[DeadLetter], context: &Context) -> Markup {
    let mut groups: BTreeMap<Group, Sum> = BTreeMap::new();
    for letter in newest {
        let sum = groups.entry(Group::of(letter)).or_insert_with(|| Sum {
            // The first is the newest.
            newest: letter.at(),
            count: 0,
            example: letters::reason(letter).to_owned(),
        });
        sum.count += 1;
    }
    let may = context.viewer.is_admin();
    let name = of.task_type.as_str();
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label={ "Groups of " (name) } {
                table {
                    caption { (name) ": " (count(of.dead, "dead letter", "dead letters")) }
                    thead { tr {
                        th scope="col" { "Code" } th scope="col" { "Version" } th .num scope="col" { "Count" }
                        th scope="col" { "Newest (UTC)" } @if may { th scope="col" { "Change" } }
                    } }
                    tbody {
                        @for (group, sum) in &groups {
                            tr {
                                td {
                                    strong { (short(&group.code, 80)) }
                                    @if may && !sum.example.is_empty() { br; span .soft { "“" (short(&sum.example, 160)) "”" } }
                                }
                                td { (short(&group.version, 60)) }
                                td .num { (number(sum.count)) }
                                td { (moment(sum.newest)) }
                                @if may { td { (choices(name, Some(group), context)) } }
                            }
                        }
                    }
                }
            }
            @if (newest.len() as u64) < of.dead {
                p .soft { "Grouped and counted are the newest " (number(newest.len() as u64)) ", of " (number(of.dead)) "." }
            }
            @if may {
                h2 .small { "All of " (name) }
                (choices(name, None, context))
                p .soft.small { "They are counted first, among the newest " (number(COUNTED_AT_MOST as u64)) ", and you are asked." }
            }
        }
    }
}

fn single(task_type: &TaskType, listed: &[DeadLetter], context: &Context) -> Markup {
    let name = task_type.as_str();
    let older = listed.last().filter(|_| listed.len() == SHOWN);
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label={ "Dead letters of " (name) } {
                table {
                    caption { "One by one, the newest first" }
                    thead { tr {
                        th scope="col" { "When (UTC)" } th scope="col" { "Task" } th scope="col" { "Code" }
                        th .num scope="col" { "Failures" } th scope="col" { "Worker" }
                    } }
                    tbody {
                        @for letter in listed {
                            tr {
                                td { (moment(letter.at())) }
                                td {
                                    a href={ "/task?type=" (name) "&dead=" (encoded(&letter.entry)) } {
                                        code { @if let Some(task) = &letter.task { (task.task_id) } @else { "unreadable" } }
                                    }
                                }
                                td { (short(&Group::of(letter).code, 80)) }
                                td .num { (letter.failures) }
                                td { code { (short(&letter.worker, 60)) } }
                            }
                        }
                        @if listed.is_empty() { tr { td colspan="5" { "None." } } }
                    }
                }
            }
            div .row {
                @if !context.field("before").is_empty() { a .button.plain href={ "/dead?type=" (name) } { "Newest" } }
                @if let Some(last) = older {
                    a .button.plain rel="next" href={ "/dead?type=" (name) "&before=" (encoded(&last.entry)) } { "Older ones" }
                }
            }
        }
    }
}

/// Buttons for all letters of a group, or of a type.
fn choices(name: &str, group: Option<&Group>, context: &Context) -> Markup {
    let of =
        group.map_or_else(|| format!("all of {name}"), |group| format!("{name}, {}", group.code));
    let fields = html! {
        (csrf(&context.viewer))
        input type="hidden" name="type" value=(name);
        @if let Some(group) = group {
            input type="hidden" name="grouped" value="1";
            input type="hidden" name="code" value=(group.code);
            input type="hidden" name="version" value=(group.version);
        }
    };
    html! {
        div .row.tight {
            form .row.tight method="post" action="/do/dead" {
                (fields)
                button .plain name="do" value="replay" aria-label={ "Replay " (of) } { "Replay…" }
                button .danger name="do" value="discard" aria-label={ "Discard " (of) } { "Discard…" }
            }
            form method="post" action="/do/export" {
                (fields)
                button .plain aria-label={ "Export " (of) } { "Export" }
            }
        }
    }
}
