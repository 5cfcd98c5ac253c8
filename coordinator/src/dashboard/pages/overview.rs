//! The page that opens at night: is it healthy, what is wrong, what can be done.

use maud::{Markup, html};
use queue::TypeStats;
use queue::history::Span;

use super::context::Context;
use crate::dashboard::chart;
use crate::dashboard::figures::Snapshot;
use crate::dashboard::health::{self, Problem};
use crate::dashboard::layout::{Page, tag};
use crate::dashboard::past::{Past, failures};
use crate::dashboard::trend::Trend;
use crate::dashboard::words::{clock, count, number, span};

/// How far back rates look, in minutes.
const RECENT_MINUTES: u64 = 5;

pub(super) async fn build(context: &Context) -> Page {
    let state = &context.state;
    let now = context.figures().await;
    let past = state.past.now(state.queue()).await;
    let updates = state.sources.problem.borrow().clone();
    let mut trend = state.trend();
    let problems = health::judge(&now, &past, updates.as_deref(), &mut trend);
    let page = Page::new("Overview").with_live("health", sentence(&problems, &now, context));
    if now.unread.is_some() {
        let what = html! { p .soft { "The figures are missing until Redis answers." } };
        return page.with_live("figures", what).with_live("types", html! {});
    }
    page.with_live("figures", figures(&now, &past))
        .with_live("charts", charts(&now, &past, &trend, state.sources.has_history))
        .with_live("types", types(&now))
}

/// The sentence of health, and what else is wrong.
fn sentence(problems: &[Problem], now: &Snapshot, context: &Context) -> Markup {
    let Some((worst, others)) = problems.split_first() else {
        let workers = count(now.workers.len() as u64, "worker runs", "workers run");
        return html! {
            section .card.health role="status" aria-label="Health" {
                p .lead { (tag("good", "OK")) " All is well." }
                p .soft { (workers) ", and no question waits for long." }
            }
        };
    };
    html! {
        section .card.health.(worst.severity.class()) role="status" aria-label="Health" {
            p .lead { (tag(worst.severity.class(), worst.severity.word())) " " (headline(worst)) "." }
            (detail(worst, context))
            @if !others.is_empty() {
                h2 .small { "Also" }
                ul {
                    @for problem in others {
                        li {
                            p { (tag(problem.severity.class(), problem.severity.word())) " " strong { (headline(problem)) "." } }
                            (detail(problem, context))
                        }
                    }
                }
            }
        }
    }
}

fn headline(problem: &Problem) -> Markup {
    html! {
        (problem.what) ", since " (clock(problem.since.at)) " UTC"
        @if problem.since.or_earlier { " or earlier" }
    }
}

fn detail(problem: &Problem, context: &Context) -> Markup {
    let reason = problem.reason.as_deref().filter(|_| context.viewer.is_admin());
    html! {
        p {
            (problem.why)
            @if let Some(reason) = reason { " The last one said: “" (reason) "”" }
            @if let Some((address, name)) = problem.page { " " a href=(address) { "Go to " (name) } }
        }
    }
}

fn figures(now: &Snapshot, past: &Past) -> Markup {
    let oldest = now.types.iter().map(|of| of.oldest_ms).max().unwrap_or_default();
    let running = now.sum(|of| of.active);
    let room: usize = now.workers.iter().map(|worker| worker.concurrency).sum();
    let recent = past.last_of_all(RECENT_MINUTES);
    let ended = recent.completed + failures(&recent);
    let quantiles = |histogram: &queue::history::Histogram| {
        let of = |quantile| histogram.quantile(quantile).map(span);
        of(0.5).zip(of(0.95))
    };
    html! {
        dl .figures {
            div .first {
                dt { "Oldest question without an answer" }
                dd { @if oldest == 0 { "none" } @else { (span(oldest)) } }
            }
            div { dt { "Waiting" } dd { (number(now.waiting())) } }
            div { dt { "Running" } dd { (number(running)) small { " of " (room) } } }
            div { dt { "Finished in 5 min" } dd { (number(ended)) } }
            div {
                dt { "Of these answered" }
                dd { @if let Some(percent) = (recent.completed * 100).checked_div(ended) { (percent) " %" } @else { "–" } }
            }
            @for (label, histogram) in [("Wait, 50 and 95 %", &recent.wait), ("Run, 50 and 95 %", &recent.run)] {
                div {
                    dt { (label) }
                    dd .range { @if let Some((half, most)) = quantiles(histogram) { "≤ " (half) ", ≤ " (most) } @else { "–" } }
                }
            }
            div { dt { "Answers to send" } dd { (number(now.sum(|of| of.replies))) } }
            div { dt { "Dead letters" } dd { (number(now.sum(|of| of.dead))) } }
        }
    }
}

fn charts(now: &Snapshot, past: &Past, trend: &Trend, has_history: bool) -> Markup {
    html! {
        div .charts {
            @if has_history {
                section .card aria-label="Finished per minute, last hour" {
                    h2 { "Finished per minute, last hour" }
                    (chart::ended(&past.minutes, Span::Minute))
                    (legend())
                }
                section .card aria-label="Time to an answer, last hour" {
                    h2 { "Time to an answer, last hour" }
                    (chart::durations(&past.minutes, Span::Minute))
                    p .soft.small { "95 of 100 tasks ended within this time." }
                }
            } @else {
                p .card { "The history of finished tasks is off (" code { "HISTORY=off" } "), so rates, times and their charts are missing." }
            }
            section .card aria-label="Waiting, last hour" {
                h2 { "Waiting, last hour" }
                (chart::waiting(&trend.hour, now.at))
                p .soft.small { "As this coordinator has seen it since its start." }
            }
            @if has_history {
                section .card aria-label="Finished per hour, last day" {
                    h2 { "Finished per hour, last day" }
                    (chart::ended(&past.hours, Span::Hour))
                    (legend())
                }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        p .soft.small {
            span .key.done {} " answered " span .key.failed {} " failed or out of time, on top"
        }
    }
}

fn types(now: &Snapshot) -> Markup {
    html! {
        section .card {
            div .scroll tabindex="0" role="group" aria-label="Task types" {
                table {
                    caption { "Task types" }
                    thead { tr {
                        th scope="col" { "Type" } th scope="col" { "State" } th .num scope="col" { "Oldest" }
                        th .num scope="col" { "Waiting" } th .num scope="col" { "Running" }
                        th .num scope="col" { "Answered" } th .num scope="col" { "Failed" } th .num scope="col" { "Dead letters" }
                    } }
                    tbody {
                        @for of in &now.types { (row(of)) }
                        @if now.types.is_empty() { tr { td colspan="8" { "Nothing was asked yet, and no worker offers a type." } } }
                    }
                }
            }
            p .soft.small { "Answered and failed are counted since the keys were created in Redis." }
        }
    }
}

fn row(of: &TypeStats) -> Markup {
    let counter = |name: &str| of.counters.get(name).copied().unwrap_or_default();
    html! {
        tr {
            th scope="row" { a href={ "/tasks?type=" (of.task_type) } { (of.task_type) } }
            td { (state(of)) }
            td .num { @if of.oldest_ms == 0 { "–" } @else { (span(of.oldest_ms)) } }
            td .num { (number(of.ready + of.delayed)) }
            td .num { (number(of.active)) }
            td .num { (number(counter("completed"))) }
            td .num { (number(counter("failed") + counter("timeout"))) }
            td .num { @if of.dead > 0 { a href={ "/dead?type=" (of.task_type) } { (number(of.dead)) } } @else { "0" } }
        }
    }
}

/// The state of a type as one word.
pub(super) fn state(of: &TypeStats) -> Markup {
    match (of.paused, of.offered, of.stuck) {
        (true, ..) => tag("warn", "paused"),
        (false, false, _) => tag("bad", "no worker"),
        (false, true, 1..) => tag("warn", &format!("{} stuck", of.stuck)),
        (false, true, 0) => tag("good", "OK"),
    }
}
