//! `cargo xtask test`: everything that CI runs, on a machine that has nothing but rustup.
//!
//! The steps run in order and the first failure ends the run; the table at the end says how long
//! each took.

mod tools;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::build_plugins::BuildPlugins;
use crate::command::{elapsed, last_lines, run};
use crate::crash_test::CrashTest;
use crate::guard::Guard;
use crate::languages::Languages;
use crate::mistakes_doc::MistakesDoc;
use crate::release::Release;
use crate::reproducible::Reproducible;
use crate::tidy::Tidy;
use crate::toolchain::clean_cargo;
use crate::tutorial_test::TutorialTest;
use crate::valkey;
use crate::workspace::Workspace;

/// Installs what is missing and runs every check.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Lint, test and document only this crate.
    #[arg(short, long, value_name = "CRATE")]
    package: Option<String>,
    /// For cargo-nextest, for instance a test's name.
    #[arg(last = true)]
    nextest: Vec<String>,
}

/// How a step that did not fail ended.
enum Outcome {
    Passed,
    /// Nothing was checked, and why.
    Skipped(&'static str),
}

impl Test {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let mut steps = Steps::default();
        let result = self.run_steps(root, &mut steps);
        steps.print_table();
        result
    }

    fn run_steps(&self, root: &Path, steps: &mut Steps) -> anyhow::Result<()> {
        // Told the crate's name before minutes have gone into building.
        let doc_tests = self.has_doc_tests(root)?;
        let cargo = |arguments: &[&str]| {
            let mut command = clean_cargo(root);
            command.args(arguments);
            command
        };
        let scoped = |arguments: &[&str], after: &[&str]| {
            let mut command = cargo(arguments);
            match &self.package {
                Some(name) => command.args(["--package", name]),
                None => command.arg("--workspace"),
            };
            command.args(after);
            command
        };
        steps.pass("tools", || tools::ensure(root))?;
        steps.pass("fmt", || run(&mut cargo(&["fmt", "--all", "--check"])))?;
        steps.pass("build-plugins", || BuildPlugins::for_tests().run(root))?;
        let deny_warnings = ["--all-targets", "--locked", "--", "-D", "warnings"];
        steps.pass("clippy", || run(&mut scoped(&["clippy"], &deny_warnings)))?;
        // Tests start the programs by their path, which building tests alone does not write.
        let bins = ["build", "--workspace", "--bins", "--locked"];
        steps.pass("build", || run(&mut cargo(&bins)))?;
        if self.package.as_ref().is_none_or(|package| package == "host") {
            // By itself: the compiler of a plugin has a time limit, and a large engine takes half of it on two idle cores.
            steps.pass("languages", || Languages.run(root))?;
            steps.pass("tutorial", || TutorialTest::default().run(root))?;
        }
        steps.pass("nextest", || {
            // Many tests wait for other programs, so three for two cores.
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let threads = (cores * 3).div_ceil(2).to_string();
            let mut command = scoped(&["nextest", "run"], &["--locked"]);
            run(command.args(["--test-threads", &threads]).args(&self.nextest))
        })?;
        if self.package.as_ref().is_none_or(|package| package == "queue") {
            steps.step("valkey", || on_valkey(root, &mut cargo(&ON_VALKEY)))?;
        }
        if self.package.as_ref().is_none_or(|package| ["queue", "host"].contains(&&**package)) {
            steps.pass("guard", || Guard::default().run(root))?;
        }
        if self.package.is_none() {
            steps.pass("mistakes", || MistakesDoc::check().run(root))?;
            steps.pass("crash-test", || CrashTest::short().run(root))?;
            steps.pass("reproducible", || Reproducible::of("search").run(root))?;
            steps.pass("release", || Release::tried(root))?;
        }
        steps.step("doc tests", || {
            if !doc_tests {
                return Ok(Outcome::Skipped("the crate has no library"));
            }
            run(&mut scoped(&["test", "--doc"], &["--locked"]))?;
            Ok(Outcome::Passed)
        })?;
        steps.pass("doc", || {
            // We ship programs: whoever reads the documentation works on the code.
            let private = ["--no-deps", "--locked", "--document-private-items"];
            let mut command = scoped(&["doc"], &private);
            run(command.env("RUSTDOCFLAGS", "-Dwarnings"))
        })?;
        steps.pass("tidy", || Tidy.run(root))?;
        let deny = ["deny", "--all-features", "check", "--hide-inclusion-graph"];
        steps.pass("deny", || run(cargo(&deny).args(["bans", "licenses", "sources"])))?;
        steps.step("advisories", || advisories(cargo(&deny).arg("advisories")))
    }

    fn has_doc_tests(&self, root: &Path) -> anyhow::Result<bool> {
        let Some(name) = &self.package else { return Ok(true) };
        let workspace = Workspace::load(root)?;
        let package = workspace.members().find(|member| member.name == *name);
        Ok(package.with_context(|| format!("no crate of ours is called `{name}`"))?.has_lib)
    }
}

/// What runs on Valkey again: all that the queue promises, and the coordinator's crashes. The server that can be fetched
/// was built without TLS.
const ON_VALKEY: [&str; 6] = [
    "nextest",
    "run",
    "--workspace",
    "--locked",
    "--filterset",
    "binary_id(queue::it) - test(over_tls) + binary_id(coordinator::it) & test(/^crash::/)",
];

/// A Valkey that cannot be fetched is said and passed over.
fn on_valkey(root: &Path, tests: &mut Command) -> anyhow::Result<Outcome> {
    match valkey::server(root) {
        Ok(server) => {
            run(tests.env("TEST_REDIS_SERVER", server))?;
            Ok(Outcome::Passed)
        }
        Err(error) => {
            println!("{error:#}");
            Ok(Outcome::Skipped("no Valkey server could be fetched"))
        }
    }
}

/// A database that cannot be fetched is said and passed over; a known hole in a crate fails.
fn advisories(command: &mut Command) -> anyhow::Result<Outcome> {
    let output = command.output().context("starting cargo-deny")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    if database_unreachable(&said) {
        println!("{}", last_lines(&said, 4));
        return Ok(Outcome::Skipped("the advisory database could not be reached"));
    }
    println!("{said}");
    bail!("cargo-deny found advisories ({})", output.status)
}

/// cargo-deny exits the same way for both; only this sentence tells them apart.
fn database_unreachable(said: &str) -> bool {
    said.contains("failed to fetch advisory database")
}

/// What has run, and for how long.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration, String)>);

impl Steps {
    fn pass(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.step(name, || work().map(|()| Outcome::Passed))
    }

    fn step(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        println!("\n=== {name}");
        let started = Instant::now();
        let result = work();
        let verdict = match &result {
            Ok(Outcome::Passed) => "ok".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("SKIPPED: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        self.0.push((name, started.elapsed(), verdict));
        result.map(|_| ()).with_context(|| format!("step `{name}` failed"))
    }

    fn print_table(&self) {
        println!();
        for (name, time, verdict) in &self.0 {
            println!("{name:<14} {:>12}  {verdict}", elapsed(*time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_names_its_step() {
        let mut steps = Steps::default();
        steps.pass("fmt", || Ok(())).unwrap();
        steps.step("advisories", || Ok(Outcome::Skipped("offline"))).unwrap();
        let error = steps.pass("clippy", || bail!("a lint")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `clippy` failed: a lint");
        let verdicts: Vec<_> = steps.0.iter().map(|(_, _, verdict)| verdict.as_str()).collect();
        assert_eq!(verdicts, ["ok", "SKIPPED: offline", "FAILED"]);
    }

    #[track_caller]
    fn check_advisories(script: &str, expected: Option<bool>) {
        let outcome = advisories(Command::new("sh").args(["-c", script]));
        assert_eq!(outcome.ok().map(|outcome| matches!(outcome, Outcome::Passed)), expected);
    }

    #[test]
    fn only_an_unreachable_database_is_passed_over() {
        check_advisories("exit 0", Some(true));
        check_advisories("echo 'failed to fetch advisory database' >&2; exit 1", Some(false));
        check_advisories("echo 'error[vulnerability]: a hole' >&2; exit 1", None);
    }
}
