//! Instructions per task in our own process, counted by callgrind.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::counts::{Count, Counts};
use crate::bench::driver;
use crate::command::{capture, describe};
use crate::debian;
use crate::redis::{Connection, Redis};
use crate::stop::Stop;

/// Two amounts: what happens once for the process is the same in both.
const AMOUNTS: (usize, usize) = (100, 300);
/// How often each is counted. The least counts: what timing adds differs between runs.
const RUNS: usize = 2;
const TASK_TYPE: &str = "counted";

/// Counts; or says why that is impossible here.
pub(super) fn count(driver: &Path, stop: &Stop) -> anyhow::Result<Result<Counts, String>> {
    if debian::find("valgrind").is_none()
        && let Err(error) = debian::install(&["valgrind"])
    {
        return Ok(Err(format!("there is no valgrind ({error:#})")));
    }
    let redis = Redis::start(stop)?;
    let mut connection = Connection::open(redis.port())?;
    let mut counts = Counts::new();
    for (name, path) in [("submit large params", "submit"), ("work on large params", "drain")] {
        let mut instructions = Vec::new();
        for tasks in [AMOUNTS.0, AMOUNTS.1] {
            let tasks = tasks.to_string();
            let mut least = u64::MAX;
            for _ in 0..RUNS {
                connection.ask(&["FLUSHALL"])?;
                if path == "drain" {
                    let mut command = driver::command(driver, &redis.url(), TASK_TYPE);
                    capture(command.args(["count", "submit", &tasks]))?;
                }
                let words = ["count", path, &*tasks];
                least = least.min(under_callgrind(driver, &redis.url(), &words)?);
            }
            instructions.push(least);
        }
        let [few, many] = instructions.as_slice() else { continue };
        let per_task = many.saturating_sub(*few) as f64 / (AMOUNTS.1 - AMOUNTS.0) as f64;
        let figures = [(Count::Instructions.name().to_owned(), per_task)];
        counts.insert(name.to_owned(), figures.into());
    }
    Ok(Ok(counts))
}

fn under_callgrind(driver: &Path, url: &str, words: &[&str]) -> anyhow::Result<u64> {
    let called = driver::command(driver, url, TASK_TYPE);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(called.get_program()).args(words);
    for (name, value) in called.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = command.output().with_context(|| format!("starting `{}`", describe(&command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{}` failed: {said}", describe(&command));
    counted(&said).with_context(|| format!("callgrind names no count: {said}"))
}

/// The number in `==17== Collected : 123456`.
fn counted(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read() {
        assert_eq!(
            counted("==1== Events    : Ir\n==1== Collected : 123456\n==1==\n"),
            Some(123_456)
        );
        assert_eq!(counted("==1== valgrind: no"), None);
    }
}
