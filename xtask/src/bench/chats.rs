//! `cargo xtask bench chats`: hundreds of chats ask at once, with Telegram's limits on, and then at a pace below them.
//!
//! It starts the real programs: Redis, two coordinators, a worker with the shipped plugins, and the simulator with
//! `--limits`. The results are read from the simulator's transcript, which has the times. The bench fails when a
//! question is not answered, when a chat's answers are out of order, or when Telegram asks to wait at a pace below its
//! limits.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;

use super::chat_system::{Setup, System};
use super::driver::Build;
use crate::build_plugins::BuildPlugins;
use crate::stop::Stop;

const CHATS: i64 = 500;
const FIRST_CHAT: i64 = 10_000;
const COORDINATORS: usize = 2;
/// Below the limits: a question is two messages, and 30 a second may be sent.
const STEADY_EVERY: Duration = Duration::from_millis(100);
const STEADY_QUESTIONS: i64 = 300;
/// A pause before the steady phase, so that the burst has left all windows.
const QUIET: Duration = Duration::from_secs(3);
/// Two messages for each of two questions of each chat, at about 26 a second, and then as long again.
const ANSWERED_BOUND: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The names that each chat asks for, in this order. All are in the shipped sample data.
const NAMES: [&str; 2] = ["luna marlow", "noor"];

/// Measures and prints.
pub(super) fn measure(root: &Path) -> anyhow::Result<()> {
    BuildPlugins::default().run(root)?;
    let stop = Stop::on_signals()?;
    let setup = Setup { build: Build::Development, limits: true, coordinators: COORDINATORS };
    let system = System::start(root, &setup, &stop)?;
    println!(
        "| phase | questions | unanswered | chats out of order | asked to wait (429) | most in a second | placeholder p50 / p99 | answer p50 / p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|");

    let chats = FIRST_CHAT..FIRST_CHAT + CHATS;
    for chat in chats.clone() {
        system.write(chat, NAMES[0])?;
    }
    let burst = wait(&system, chats.clone(), 1, "500 chats ask at once", &stop)?;

    std::thread::sleep(QUIET);
    for chat in chats.clone() {
        for name in NAMES {
            system.write(chat, name)?;
        }
    }
    let twice = wait(&system, chats.clone(), 3, "each asks two things at once", &stop)?;

    std::thread::sleep(QUIET);
    let steady = FIRST_CHAT..FIRST_CHAT + STEADY_QUESTIONS;
    for chat in steady.clone() {
        ensure!(!stop.requested(), "interrupted");
        system.write(chat, NAMES[0])?;
        std::thread::sleep(STEADY_EVERY);
    }
    let below = wait(&system, steady, 4, "10 questions a second", &stop)?;

    for phase in [&burst, &twice, &below] {
        ensure!(phase.unanswered == 0, "{} questions were not answered", phase.unanswered);
        ensure!(phase.out_of_order == 0, "{} chats were answered out of order", phase.out_of_order);
    }
    ensure!(below.told_to_wait == 0, "Telegram asked to wait below its limits");
    Ok(())
}

/// The result of a phase.
struct Phase {
    unanswered: usize,
    out_of_order: usize,
    told_to_wait: u64,
}

/// Waits until each chat has answers to its first `questions` questions; prints a row.
fn wait(
    system: &System,
    chats: std::ops::Range<i64>,
    questions: usize,
    name: &str,
    stop: &Stop,
) -> anyhow::Result<Phase> {
    let until = Instant::now() + ANSWERED_BOUND;
    // One chat after the other: reading all of them each time would keep the simulator busy.
    for chat in chats.clone() {
        while Instant::now() < until {
            ensure!(!stop.requested(), "interrupted");
            let seen = system.questions(chat)?;
            let answered = seen.iter().filter(|question| question.answered_ms.is_some());
            if questions <= answered.count() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    let earlier = match questions {
        1 => 0,
        3 => 1,
        _ => 3,
    };
    let mut placed = Vec::new();
    let mut answered = Vec::new();
    let mut asked = 0;
    let mut out_of_order = 0;
    for chat in chats {
        let mine = system.questions(chat)?;
        let mine = mine.get(earlier..).unwrap_or_default();
        out_of_order += usize::from(!mine.is_sorted_by_key(|question| question.placed_ms));
        if mine.iter().any(|question| question.answered_ms.is_none()) {
            let address = format!("/sim/transcript?chat_id={chat}");
            println!("chat {chat}: {}", system.get(&address)?);
        }
        asked += mine.len();
        for question in mine {
            let since = |at: u64| Duration::from_millis(at.saturating_sub(question.asked_ms));
            placed.extend(question.placed_ms.map(since));
            answered.extend(question.answered_ms.map(since));
        }
    }
    let stats = system.get("/sim/stats")?;
    let told_to_wait = stats.pointer("/errors/429").and_then(Value::as_u64).unwrap_or(0);
    let busiest = stats.pointer("/limits/busiest_second").and_then(Value::as_u64).unwrap_or(0);
    system.forget_figures()?;
    let unanswered = asked - answered.len();
    println!(
        "| {name} | {asked} | {unanswered} | {out_of_order} | {told_to_wait} | {busiest} | {} | {} |",
        spread(placed),
        spread(answered)
    );
    Ok(Phase { unanswered, out_of_order, told_to_wait })
}

/// `0.12 / 3.4 s`.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied();
    match (at(50), at(99)) {
        (Some(median), Some(most)) => {
            format!("{:.2} / {:.2} s", median.as_secs_f64(), most.as_secs_f64())
        }
        _ => "nothing".to_owned(),
    }
}
