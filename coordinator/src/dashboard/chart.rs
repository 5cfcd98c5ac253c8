//! Charts as SVG. Each says in words what it shows. In SVG each element is closed: an open one would contain those after it.

use std::collections::VecDeque;
use std::fmt::Write;

use maud::{Markup, html};
use queue::history::{Bucket, Span};

use super::past::{failures, of_all};
use super::trend::Sample;
use super::words::{clock, number, span};

const WIDTH: u64 = 600;
const HEIGHT: u64 = 150;
/// Room for the largest value above and the times below.
const TOP: u64 = 24;
const BASE: u64 = HEIGHT - 24;
const HOUR: u64 = 3_600_000;

/// How many tasks waited within the last hour, until `now`.
pub(super) fn waiting(samples: &VecDeque<Sample>, now: u64) -> Markup {
    let most = samples.iter().map(|sample| sample.waiting).max().unwrap_or_default();
    let last = samples.back().map_or(0, |sample| sample.waiting);
    let label = format!("Waiting tasks, last hour: now {}, at most {}", number(last), number(most));
    let frame = Frame { start: now.saturating_sub(HOUR), end: now, top: most.max(1) };
    let mut points = String::new();
    let mut first = None;
    let mut end = 0;
    for sample in samples.iter().filter(|sample| sample.at >= frame.start) {
        end = frame.x(sample.at);
        first = first.or(Some(end));
        let _ = write!(points, "{end},{} ", frame.y(sample.waiting)); // A string takes everything.
    }
    let first = first.unwrap_or_default();
    let drawn = html! {
        polygon .area points=(format!("{first},{BASE} {points}{end},{BASE}")) {}
        polyline .line points=(points) {}
    };
    frame.draw(&label, &number(most), &drawn)
}

/// How many tasks ended in each minute or hour, and how many of them failed.
pub(super) fn ended(buckets: &[Bucket], length: Span) -> Markup {
    let counts: Vec<(u64, u64, u64)> = buckets
        .iter()
        .map(|bucket| {
            let counts = of_all(bucket);
            (bucket.at, counts.completed, failures(&counts))
        })
        .collect();
    let most = counts.iter().map(|(_, done, failed)| done + failed).max().unwrap_or_default();
    let done: u64 = counts.iter().map(|(_, done, _)| *done).sum();
    let failed: u64 = counts.iter().map(|(.., failed)| *failed).sum();
    let (each, over) = words(length);
    let label = format!(
        "Finished tasks per {each}, {over}: {} answered, {} failed, at most {} in a {each}",
        number(done),
        number(failed),
        number(most)
    );
    let frame = Frame::of(buckets, length, most);
    let drawn = html! {
        @for (at, done, failed) in counts {
            (frame.bar("done", at, length, 0, done))
            (frame.bar("failed", at, length, done, done + failed))
        }
    };
    frame.draw(&label, &number(most), &drawn)
}

/// How long 95 of 100 tasks took at most, from the question to the end, in each minute or hour.
pub(super) fn durations(buckets: &[Bucket], length: Span) -> Markup {
    let slowest = |bucket: &Bucket| of_all(bucket).total.quantile(0.95).unwrap_or_default();
    let values: Vec<(u64, u64)> =
        buckets.iter().map(|bucket| (bucket.at, slowest(bucket))).collect();
    let most = values.iter().map(|(_, ms)| *ms).max().unwrap_or_default();
    let (each, over) = words(length);
    let label =
        format!("95 % were answered within this time, by {each}, {over}: at most {}", span(most));
    let frame = Frame::of(buckets, length, most);
    let drawn = html! {
        @for (at, ms) in values { (frame.bar("done", at, length, 0, ms)) }
    };
    frame.draw(&label, &span(most), &drawn)
}

fn words(length: Span) -> (&'static str, &'static str) {
    match length {
        Span::Minute => ("minute", "last hour"),
        Span::Hour => ("hour", "last day"),
    }
}

/// From times and values to places in the picture.
#[derive(Debug, Clone, Copy)]
struct Frame {
    start: u64,
    end: u64,
    top: u64,
}

impl Frame {
    fn of(buckets: &[Bucket], length: Span, most: u64) -> Self {
        let start = buckets.first().map_or(0, |bucket| bucket.at);
        let end = buckets.last().map_or(length.ms(), |bucket| bucket.at + length.ms());
        Self { start, end, top: most.max(1) }
    }

    fn x(self, at: u64) -> u64 {
        let length = (self.end - self.start).max(1);
        at.saturating_sub(self.start).min(length) * WIDTH / length
    }

    fn y(self, value: u64) -> u64 {
        BASE - value.min(self.top).saturating_mul(BASE - TOP) / self.top
    }

    /// A bar from one value to another; nothing when they are the same. What is not nothing can be seen.
    fn bar(self, class: &str, at: u64, length: Span, from: u64, to: u64) -> Markup {
        if from >= to {
            return html! {};
        }
        let x = self.x(at);
        let width = (self.x(at + length.ms()) - x).saturating_sub(1).max(1);
        let height = (self.y(from) - self.y(to)).max(2);
        html! { rect class=(class) x=(x) width=(width) y=(self.y(from).saturating_sub(height)) height=(height) {} }
    }

    fn draw(self, label: &str, most: &str, drawn: &Markup) -> Markup {
        html! {
            svg .chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
                line .axis x1="0" x2=(WIDTH) y1=(BASE) y2=(BASE) {}
                line .axis x1="0" x2=(WIDTH) y1=(TOP) y2=(TOP) {}
                (drawn)
                text x="0" y=(TOP - 8) { (most) }
                text x="0" y=(HEIGHT - 6) { (clock(self.start)) }
                text x=(WIDTH) y=(HEIGHT - 6) text-anchor="end" { (clock(self.end)) " UTC" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::past::tests::minute;

    #[test]
    fn a_chart_says_in_words_what_it_shows() {
        let samples = (1..=12).map(|n| Sample { at: n * 10_000, waiting: n }).collect();
        let drawn = waiting(&samples, 120_000).into_string();
        assert!(drawn.contains("now 12, at most 12"), "{drawn}");
        let buckets: Vec<Bucket> = (1..=3).map(|n| minute(n, "search", n * 10, n)).collect();
        let drawn = ended(&buckets, Span::Minute).into_string();
        assert!(drawn.contains("60 answered, 6 failed, at most 33 in a minute"), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 6);
    }

    #[test]
    fn a_chart_of_nothing_is_empty_and_of_everything_does_not_overflow() {
        for drawn in
            [ended(&[], Span::Hour), durations(&[], Span::Minute), waiting(&VecDeque::new(), 0)]
        {
            assert!(!drawn.into_string().contains("<rect"));
        }
        let most = minute(1, "search", u64::MAX / 2, 1);
        ended(&[most], Span::Minute);
    }
}
