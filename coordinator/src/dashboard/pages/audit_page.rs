//! Who changed what.

use maud::html;

use super::context::{self, Context};
use crate::dashboard::audit;
use crate::dashboard::layout::Page;
use crate::dashboard::words::{moment, short};

/// Entries on the page.
const SHOWN: usize = 200;

pub(super) async fn build(context: &Context) -> Page {
    let page = Page::new("Changes");
    let Some(queue) = context.state.queue() else {
        return page.with(context::unread("it was not reached yet"));
    };
    let read = audit::last(queue, SHOWN).await;
    let read = read.map_err(|source| queue::RedisError { action: "read the changes", source });
    let entries = match context::shown(read) {
        Ok(entries) => entries,
        Err(unread) => return page.with(unread),
    };
    page.with(html! {
        section .card {
            p .soft { "Names are as people gave them at the login. The last " (SHOWN) " are shown, the newest first." }
            div .scroll tabindex="0" role="group" aria-label="Changes" {
                table {
                    thead { tr {
                        th scope="col" { "When (UTC)" } th scope="col" { "Who" } th scope="col" { "Role" } th scope="col" { "From" }
                        th scope="col" { "What" } th scope="col" { "Of what" }
                    } }
                    tbody {
                        @for entry in &entries {
                            tr {
                                td { (moment(entry.at)) }
                                td { (short(&entry.who, 60)) }
                                td { (short(&entry.role, 20)) }
                                td { (short(&entry.from, 60)) }
                                td { strong { (short(&entry.action, 80)) } }
                                td { (short(&entry.target, 300)) }
                            }
                        }
                        @if entries.is_empty() { tr { td colspan="6" { "Nothing was changed yet." } } }
                    }
                }
            }
        }
    })
}
