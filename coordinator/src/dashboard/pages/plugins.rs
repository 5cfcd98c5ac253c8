//! The plugins: which versions run where, what was pushed to the fleet, what they may reach, and what became of swaps.

use std::collections::BTreeMap;

use maud::{Markup, html};
use queue::fleet::{Entry, Fleet, State, Step, WorkerReport};
use queue::{PluginChange, PluginEvent, WorkerRecord};

use super::context::{self, Context};
use super::reach;
use super::workers::short_digest;
use crate::dashboard::layout::{Page, encoded, tag};
use crate::dashboard::sessions::Viewer;
use crate::dashboard::words::{count, moment, short};

/// Swaps that are listed.
const EVENTS: usize = 30;

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let page = Page::new("Plugins");
    let (Some(queue), None) = (state.queue(), &now.unread) else {
        return page
            .with_live("versions", context::unread(now.unread.as_deref().unwrap_or_default()));
    };
    let fleet = Fleet::new(queue.clone());
    let read = async {
        let events = queue.plugin_events(EVENTS).await?;
        Ok::<_, queue::RedisError>((fleet.state().await?, fleet.reports().await?, events))
    };
    match context::shown(read.await) {
        Ok((pushed, reports, events)) => page
            .with_live("versions", versions(&now.workers))
            .with_live("fleet", of_fleet(&pushed, &reports, &context.viewer))
            .with_live("reach", reach::card(&now.workers, context.field("plugin")))
            .with_live("swaps", swaps(&events)),
        Err(unread) => page.with_live("versions", unread),
    }
}

fn versions(workers: &[WorkerRecord]) -> Markup {
    let mut running: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for plugin in workers.iter().flat_map(|worker| &worker.plugins) {
        *running.entry((&plugin.name, &plugin.version, &plugin.digest)).or_default() += 1;
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, ..) in running.keys() {
        *names.entry(name).or_default() += 1;
    }
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Versions that run" {
                table {
                    caption { "Versions that run" }
                    thead { tr {
                        th scope="col" { "Plugin" } th scope="col" { "Version" } th scope="col" { "Digest" } th scope="col" { "Runs on" }
                    } }
                    tbody {
                        @for ((name, version, digest), workers) in &running {
                            tr {
                                th scope="row" {
                                    a href={ "/plugins?plugin=" (encoded(name)) "#reach-" (encoded(name)) } { (short(name, 64)) } " "
                                    @if names.get(name).is_some_and(|versions| *versions > 1) { (tag("warn", "several versions")) }
                                }
                                td { (short(version, 64)) }
                                td { code { (short_digest(digest)) } }
                                td { (count(*workers, "worker", "workers")) }
                            }
                        }
                        @if running.is_empty() { tr { td colspan="4" { "No worker offers a plugin." } } }
                    }
                }
            }
        }
    }
}

fn of_fleet(state: &State, reports: &[WorkerReport], viewer: &Viewer) -> Markup {
    html! {
        section .card {
            h2 { "Pushed to the fleet" }
            @if state.entries.is_empty() { p { "Nothing was pushed. Plugins come from the workers' own folders." } }
            @for entry in state.entries.values() { (pushed(entry, reports, viewer)) }
        }
    }
}

fn pushed(entry: &Entry, reports: &[WorkerReport], viewer: &Viewer) -> Markup {
    let record = &entry.record;
    let of: Vec<_> = reports
        .iter()
        .flat_map(|report| report.plugins.iter().map(move |plugin| (report, plugin)))
        .filter(|(_, plugin)| plugin.name == entry.name)
        .collect();
    html! {
        h3 {
            (entry.name) " " (short(&record.version, 64)) " "
            @if record.removed { (tag("warn", "removed")) }
            @if record.pinned { (tag("good", "pinned")) }
            @if record.canary.is_some() { (tag("warn", "a canary is tried")) }
        }
        dl .facts {
            dt { "Pushed" } dd { (moment(record.pushed_at)) " UTC by " (short(&record.by, 80)) }
            dt { "Digest" } dd { code { (short_digest(&record.digest)) } @if record.signature.is_some() { ", signed" } }
            dt { "For" } dd { @if record.labels.is_empty() { "all workers" } @else { "workers with " (record.labels.join(", ")) } }
            @if let Some(note) = &record.note { dt { "Note" } dd { (short(note, 300)) } }
            @if let Some(canary) = &record.canary {
                dt { "Canary" } dd {
                    (short(&canary.record.version, 64)) ", " code { (short_digest(&canary.record.digest)) } ", on "
                    @if canary.labels.is_empty() { (canary.percent) " % of the workers" } @else { "workers with " (canary.labels.join(", ")) }
                    "; it goes on to all after " (canary.tasks) " tasks"
                }
            }
        }
        @if !of.is_empty() {
            div .scroll tabindex="0" role="group" aria-label={ "How far workers are with " (entry.name) } {
                table {
                    thead { tr { th scope="col" { "Worker" } th scope="col" { "Step" } th .num scope="col" { "Tasks" } th .num scope="col" { "Failed" } th scope="col" { "Reason" } } }
                    tbody {
                        @for (report, plugin) in of {
                            tr {
                                td { code { (short(&report.worker, 80)) } }
                                td { (step(plugin.step)) }
                                td .num { (plugin.ended) }
                                td .num { (plugin.failed) }
                                td { (short(plugin.reason.as_deref().unwrap_or("–"), 300)) }
                            }
                        }
                    }
                }
            }
        }
        @if record.pinned && !record.removed {
            p .soft { "It stays as it is until " code { "worker fleet unpin " (entry.name) } "." }
        } @else if viewer.is_admin() {
            p { a .button.plain href={ "/rollback?plugin=" (entry.name) } aria-label={ "Roll back " (entry.name) } { "Roll back…" } }
        }
        @if !record.settings.is_empty() {
            details {
                summary { "Pushed settings of " (entry.name) ": what it asks to reach" }
                p .soft { "A server gives only what its own settings grant too, or what a trusted key has signed." }
                pre tabindex="0" { (short_text(&record.settings)) }
            }
        }
    }
}

fn short_text(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).take(8_000).collect()
}

fn step(step: Step) -> Markup {
    match step {
        Step::Fetching => tag("", "fetching"),
        Step::Checking => tag("", "checking"),
        Step::Running => tag("good", "running"),
        Step::Refused => tag("bad", "refused"),
        Step::OwnFile => tag("warn", "own file"),
    }
}

fn swaps(events: &[PluginEvent]) -> Markup {
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Last swaps" {
                table {
                    caption { "Last swaps" }
                    thead { tr {
                        th scope="col" { "When (UTC)" } th scope="col" { "Plugin" } th scope="col" { "What" } th scope="col" { "Version" }
                        th scope="col" { "Worker" } th scope="col" { "Reason" }
                    } }
                    tbody {
                        @for event in events {
                            tr {
                                td { (moment(event.at)) }
                                th scope="row" { (short(&event.plugin, 64)) }
                                td { (change(event.change)) }
                                td {
                                    (short(event.version.as_deref().unwrap_or("unknown"), 64))
                                    @if let Some(other) = &event.other_version { span .soft { " (other: " (short(other, 64)) ")" } }
                                }
                                td { code { (short(&event.worker, 60)) } }
                                td { (short(event.reason.as_deref().unwrap_or("–"), 400)) }
                            }
                        }
                        @if events.is_empty() { tr { td colspan="6" { "None yet." } } }
                    }
                }
            }
        }
    }
}

fn change(change: PluginChange) -> Markup {
    match change {
        PluginChange::Published => tag("good", "in force"),
        PluginChange::Refused => tag("bad", "refused"),
        PluginChange::RolledBack => tag("warn", "rolled back"),
        PluginChange::Removed => tag("warn", "removed"),
    }
}
