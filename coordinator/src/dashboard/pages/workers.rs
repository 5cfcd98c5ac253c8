//! The workers: how busy they are, what they offer, and what they say about the fleet's plugins.

use maud::{Markup, html};
use queue::fleet::{Fleet, WorkerReport};
use queue::{WorkerFacts, WorkerRecord};

use super::context::{self, Context};
use crate::dashboard::layout::{Page, button, tag};
use crate::dashboard::sessions::Viewer;
use crate::dashboard::words::{bytes, count, moment, short};

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let page = Page::new("Workers");
    let (Some(queue), None) = (state.queue(), &now.unread) else {
        return page.with_live("list", context::unread(now.unread.as_deref().unwrap_or_default()));
    };
    match context::shown(Fleet::new(queue.clone()).reports().await) {
        Ok(reports) => page.with_live("list", list(&now.workers, &reports, &context.viewer)),
        Err(unread) => page.with_live("list", unread),
    }
}

fn list(workers: &[WorkerRecord], reports: &[WorkerReport], viewer: &Viewer) -> Markup {
    html! {
        @if workers.is_empty() { p .card.health.bad { "No worker is running. One that stops is gone from here after 15 s." } }
        @for worker in workers {
            (one(worker, reports.iter().find(|report| report.worker == worker.worker), viewer))
        }
    }
}

fn one(worker: &WorkerRecord, report: Option<&WorkerReport>, viewer: &Viewer) -> Markup {
    let (word, drained) = if worker.drained { ("Take tasks again", "0") } else { ("Drain", "1") };
    let fields = [("worker", worker.worker.as_str()), ("drained", drained)];
    let name = short(&worker.worker, 100);
    html! {
        section .card aria-label={ "Worker " (name) } {
            h2 {
                code { (name) } " "
                @if worker.drained { (tag("warn", "drained")) }
                @else if worker.concurrency > 0 && worker.running >= worker.concurrency { (tag("warn", "full")) }
                @else { (tag("good", "alive")) }
            }
            dl .facts {
                dt { "Running" } dd { (worker.running) " of " (worker.concurrency) " tasks" }
                dt { "Started" } dd { (moment(worker.started_at)) " UTC" }
                @if let Some(facts) = &worker.facts {
                    dt { "Machine" } dd { (short(&facts.host, 80)) }
                    dt { "Memory" } dd { (memory(facts)) }
                } @else {
                    dt { "Memory" } dd { span .soft { "not told by this worker: its release is older" } }
                }
                @if let Some(report) = report {
                    @if worker.facts.is_none() { dt { "Machine" } dd { (short(&report.host, 80)) } }
                    dt { "Labels" } dd {
                        @if report.labels.is_empty() { "none" } @else { (short(&report.labels.join(", "), 300)) }
                    }
                }
            }
            div .scroll tabindex="0" role="group" aria-label={ "Plugins of " (name) } {
                table {
                    thead { tr {
                        th scope="col" { "Plugin" } th scope="col" { "Version" } th scope="col" { "Digest" } th scope="col" { "Types" }
                    } }
                    tbody {
                        @for plugin in &worker.plugins {
                            tr {
                                th scope="row" { (short(&plugin.name, 64)) }
                                td { (short(&plugin.version, 64)) }
                                td { code title=(short(&plugin.digest, 80)) { (short_digest(&plugin.digest)) } }
                                td { (short(&types(plugin), 200)) }
                            }
                        }
                        @if worker.plugins.is_empty() { tr { td colspan="4" { "none" } } }
                    }
                }
            }
            (button(viewer, "/do/drain", &fields, "plain", word, &name))
        }
    }
}

fn memory(facts: &WorkerFacts) -> Markup {
    html! {
        @match facts.resident_bytes {
            Some(used) => {
                (bytes(used))
                @if let Some(limit) = facts.memory_limit_bytes { " of " (bytes(limit)) }
            }
            None => span .soft { "its system does not tell" }
        }
        @if let Some(memories) = facts.memories { "; " (count(memories, "memory of a running instance", "memories of running instances")) }
        @if let Some(kept) = facts.pool_bytes { "; " (bytes(kept)) " kept for the next ones" }
    }
}

fn types(plugin: &queue::OfferedPlugin) -> String {
    plugin.task_types.iter().map(queue::TaskType::as_str).collect::<Vec<_>>().join(", ")
}

/// The first letters of a digest.
pub(super) fn short_digest(digest: &str) -> String {
    digest.chars().filter(|letter| !letter.is_control()).take(12).collect()
}
