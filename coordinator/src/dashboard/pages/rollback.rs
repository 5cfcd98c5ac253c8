//! The question before a plugin of the fleet goes back to an earlier version.

use maud::{Markup, html};
use queue::RedisError;
use queue::fleet::{Entry, Fleet, Record, Revision, Rollback, RollbackError, SIGN_AGAIN, Target};

use super::context::{self, Context};
use super::workers::short_digest;
use crate::dashboard::layout::{Page, csrf};
use crate::dashboard::words::{count, moment, short};

/// Workers that are named one by one.
const NAMED: usize = 10;

pub(super) async fn build(context: &Context) -> Page {
    let plugin = context.field("plugin");
    let page = Page::new(format!("Roll {} back?", short(plugin, 64)));
    let Some(queue) = context.state.queue() else {
        return page.with(context::unread("it was not reached yet"));
    };
    let fleet = Fleet::new(queue.clone());
    let to = Revision::parse(context.field("to"));
    let target = to.as_ref().map_or(Target::Before, Target::At);
    match fleet.rollback(plugin, target).await {
        Ok(back) => match context::shown(fleet.earlier_versions(&back.current).await) {
            Ok(versions) => page
                .with(question(context, &back, to.as_ref()))
                .with(choice(&back, &versions, to.as_ref())),
            Err(unread) => page.with(unread),
        },
        Err(RollbackError::Redis(error)) => page.with(unread(&error)),
        Err(refused) => page.with(html! {
            section .card.health.warn {
                p { "It cannot go back: " (short(&ops::chain::chain(&refused).to_string(), 600)) "." }
                p { a .button.plain href="/plugins" { "Back" } }
            }
        }),
    }
}

fn unread(error: &RedisError) -> Markup {
    context::unread(&ops::chain::chain(error).to_string())
}

fn question(context: &Context, back: &Rollback, to: Option<&Revision>) -> Markup {
    let Rollback { current, record, refusing, workers } = back;
    let may = context.viewer.is_admin();
    let place = match record.labels.as_slice() {
        [] => "all servers that follow the fleet".to_owned(),
        labels => format!("all servers with {}", short(&labels.join(", "), 300)),
    };
    html! {
        section .card aria-label="What is now, and what will be" {
            dl .facts {
                dt { "Now" } dd {
                    (version(&current.record)) @if current.record.removed { ", removed" }
                    @if let Some(canary) = &current.record.canary { "; some workers try " (version(&canary.record)) }
                }
                dt { "Then" } dd { (version(record)) }
                dt { "Settings" } dd {
                    @if record.settings == current.record.settings { "stay as they are" }
                    @else { "those that this version was pushed with; they differ from the present ones" }
                }
                dt { "Where" } dd { (place) ": " (count(*workers as u64, "worker", "workers")) " now" }
            }
            @if back.ends_canary_only() { p { "The canary is taken back. The other workers go on as they are." } }
            @if !refusing.is_empty() { (refusals(back)) }
            p .soft { "It is done on all of them, within seconds, and recorded. A worker that refuses the version goes on with the one that it runs." }
            @if may {
                div .row {
                    form method="post" action="/do/rollback" {
                        (csrf(&context.viewer))
                        input type="hidden" name="plugin" value=(current.name);
                        input type="hidden" name="from" value=(current.at);
                        @if let Some(to) = to { input type="hidden" name="to" value=(to); }
                        button .danger { "Roll back to " (short(&record.version, 64)) }
                    }
                    a .button.plain href="/plugins" { "Leave it" }
                }
            } @else { p .soft { "Those who may only look cannot do it." } }
        }
    }
}

fn refusals(back: &Rollback) -> Markup {
    html! {
        div .card.health.warn {
            p { (count(back.refusing.len() as u64, "worker", "workers")) " of " (back.workers) " will refuse it:" }
            ul {
                @for (report, why) in back.refusing.iter().take(NAMED) {
                    li { code { (short(&report.worker, 80)) } " on " (short(&report.host, 80)) ": " (why) }
                }
            }
            p .soft { (SIGN_AGAIN) "." }
        }
    }
}

/// The form that names another version. A canary is taken back first.
fn choice(back: &Rollback, versions: &[Entry], to: Option<&Revision>) -> Markup {
    let chosen = |entry: &Entry| match to {
        Some(to) => entry.at == *to,
        None => {
            entry.record.digest == back.record.digest
                && entry.record.settings == back.record.settings
        }
    };
    html! {
        @if versions.len() > 1 || versions.iter().any(|entry| !chosen(entry)) {
            section .card aria-label="Another version" {
                form .row method="get" action="/rollback" {
                    input type="hidden" name="plugin" value=(back.current.name);
                    div {
                        label for="to" { "To another version" }
                        select #to name="to" {
                            @for entry in versions {
                                option value=(entry.at) selected[chosen(entry)] {
                                    (short(&entry.record.version, 64)) ", " (short_digest(&entry.record.digest)) ", pushed "
                                    (moment(entry.record.pushed_at)) " by " (short(&entry.record.by, 40))
                                }
                            }
                        }
                    }
                    button .plain { "Show" }
                }
            }
        }
    }
}

fn version(record: &Record) -> Markup {
    html! {
        strong { (short(&record.version, 64)) } " (" code { (short_digest(&record.digest)) } "), pushed "
        (moment(record.pushed_at)) " UTC by " (short(&record.by, 80))
    }
}
