//! The question before something is done to many.

use std::time::Instant;

use maud::html;

use super::context::Context;
use crate::dashboard::layout::{Page, csrf};
use crate::dashboard::plans::Work;
use crate::dashboard::words::count;

/// Ids that are listed.
const SHOWN: usize = 20;

pub(super) fn build(context: &Context) -> Page {
    let id = context.field("id");
    let Some(plan) = context.state.plans.find(&context.viewer, id, Instant::now()) else {
        return Page::new("Nothing to do").with(html! {
            p .card { "What was counted is too old, or was done already. Count again." }
        });
    };
    let number = plan.count() as u64;
    let (what, warning) = match plan.work {
        Work::Replay(..) => (
            count(number, "dead letter", "dead letters"),
            "Each becomes a new task, and its person gets the answer.",
        ),
        Work::Discard(..) => (
            count(number, "dead letter", "dead letters"),
            "They are gone for good. Export them first if you may need them.",
        ),
        Work::Cancel(_) => (count(number, "task", "tasks"), "The people who asked are told."),
    };
    let ids: Vec<&str> = match &plan.work {
        Work::Replay(letters) | Work::Discard(letters) => {
            letters.iter().take(SHOWN).map(|(_, entry)| entry.as_str()).collect()
        }
        Work::Cancel(ids) => ids.iter().take(SHOWN).map(queue::TaskId::as_str).collect(),
    };
    let verb = plan.verb();
    let capital = format!(
        "{}{}",
        verb.chars().take(1).collect::<String>().to_uppercase(),
        verb.chars().skip(1).collect::<String>()
    );
    Page::new(format!("{capital} {what}?")).with(html! {
        section .card {
            p { (plan.of) ". " (warning) }
            p .soft { "Exactly these are meant, and none that come later." }
            @if plan.count() > 0 {
                div .row {
                    form method="post" action="/do/plan" {
                        (csrf(&context.viewer))
                        input type="hidden" name="plan" value=(id);
                        button class=[(verb != "replay").then_some("danger")] { (capital) " " (what) }
                    }
                    a .button.plain href=(plan.back) { "Leave them" }
                }
            } @else {
                p { a .button.plain href=(plan.back) { "Back" } }
            }
            details {
                summary { "Which ones" }
                ul { @for id in &ids { li { code { (id) } } } }
                @if plan.count() > ids.len() { p .soft { "and " (plan.count() - ids.len()) " more" } }
            }
        }
    })
}
