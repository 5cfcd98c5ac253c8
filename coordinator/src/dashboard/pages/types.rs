//! Task types: pause, resume, limits.

use maud::{Markup, html};
use queue::{Rate, TypeStats};

use super::context::{self, Context};
use super::overview;
use crate::dashboard::layout::{Page, button, csrf};
use crate::dashboard::sessions::Viewer;
use crate::dashboard::words::{number, span};

pub(super) async fn build(context: &Context) -> Page {
    let now = context.figures().await;
    let page = Page::new("Types");
    if let Some(why) = &now.unread {
        return page.with_live("list", context::unread(why));
    }
    let explained = html! {
        p .soft {
            "A paused type hands out no tasks; its tasks wait until their deadline, and what runs goes on. A limit counts "
            "from the next task. Of a type that is divided into partitions, each has the numbers for itself, and all share the rate."
        }
    };
    page.with(explained).with_live("list", list(&now.types, &context.viewer))
}

fn list(types: &[TypeStats], viewer: &Viewer) -> Markup {
    html! {
        @if types.is_empty() { p .card { "Nothing was asked yet, and no worker offers a type." } }
        @for of in types { (one(of, viewer)) }
    }
}

fn one(of: &TypeStats, viewer: &Viewer) -> Markup {
    let name = of.task_type.as_str();
    let (word, paused) = if of.paused { ("Resume", "0") } else { ("Pause", "1") };
    let limit = |most: Option<u64>, default: &str| most.map_or_else(|| default.to_owned(), number);
    html! {
        section .card aria-labelledby={ "type-" (name) } {
            h2 id={ "type-" (name) } { (name) " " (overview::state(of)) }
            dl .facts {
                dt { "Waiting" } dd {
                    (number(of.ready + of.delayed))
                    @if of.delayed > 0 { ", of these " (number(of.delayed)) " for a retry or later" }
                }
                dt { "Running" } dd { (number(of.active)) }
                dt { "Oldest without an answer" } dd { @if of.oldest_ms == 0 { "none" } @else { (span(of.oldest_ms)) } }
                dt { "Starts, retries included" } dd { @if let Some(rate) = of.limits.rate { (rate) } @else { "no limit" } }
                dt { "Runs at once" } dd { (limit(of.limits.max_active, "no limit")) }
                dt { "May wait" } dd { (limit(of.limits.max_pending, "default")) }
                dt { "Per person" } dd { (limit(of.limits.user_cap, "default")) }
            }
            @if viewer.is_admin() {
                div .row {
                    (button(viewer, "/do/pause", &[("type", name), ("paused", paused)], "", word, name))
                    a .button.plain href={ "/tasks?type=" (name) } { "Tasks of " (name) }
                }
                details {
                    summary { "Change limits of " (name) }
                    (change_rate(name, of.limits.rate, viewer))
                    (change(name, "max_active", "Most that run at once", of.limits.max_active, viewer))
                    (change(name, "max_pending", "Most that may wait", of.limits.max_pending, viewer))
                    (change(name, "user_cap", "Most of one person", of.limits.user_cap, viewer))
                }
            }
        }
    }
}

fn change(name: &str, limit: &str, label: &str, most: Option<u64>, viewer: &Viewer) -> Markup {
    let id = format!("{limit}-{name}");
    html! {
        form method="post" action="/do/limit" {
            (csrf(viewer))
            input type="hidden" name="type" value=(name);
            input type="hidden" name="limit" value=(limit);
            div .row {
                div {
                    label for=(id) { (label) ", empty for the default" }
                    input id=(id) name="most" type="number" min="1" max="1000000" value=[most];
                }
                button .plain aria-label={ "Set: " (label) ", " (name) } { "Set" }
            }
        }
    }
}

fn change_rate(name: &str, rate: Option<Rate>, viewer: &Viewer) -> Markup {
    let id = format!("rate-{name}");
    html! {
        form method="post" action="/do/limit" {
            (csrf(viewer))
            input type="hidden" name="type" value=(name);
            input type="hidden" name="limit" value="rate";
            div .row {
                div {
                    label for=(id) { "Starts in a time, such as 30/min, 2/s or 100/h; empty for no limit" }
                    input id=(id) name="most" size="12" value=[rate] autocomplete="off";
                }
                button .plain aria-label={ "Set: starts in a time, " (name) } { "Set" }
            }
        }
    }
}
