//! Where something was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::command::capture;
use crate::redis::Connection;

/// The machine, the versions and the day, for the table's head.
pub(super) fn describe(root: &Path, redis: &mut Connection) -> Value {
    let mut described = of_machine(root);
    if let Some(fields) = described.as_object_mut() {
        fields.insert("redis".to_owned(), server_version(redis).into());
    }
    described
}

/// As [`describe`], where no Redis takes part.
pub(super) fn of_machine(root: &Path) -> Value {
    json!({
        "date": said_by(root, "date", &["-u", "+%F %H:%M UTC"]),
        "commit": commit(root),
        "processor": processor().unwrap_or_else(|| "unknown".to_owned()),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
    })
}

/// One line for people.
pub(super) fn in_one_line(environment: &Value) -> String {
    let mut line = String::new();
    for name in ["date", "processor", "cores", "kernel", "redis", "commit"] {
        let Some(value) = environment.get(name) else { continue };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let separator = if line.is_empty() { "" } else { "; " };
        let _ = write!(line, "{separator}{name} {text}"); // Writing to a String cannot fail.
    }
    line
}

/// How busy the machine was in the last minute: the mean number of threads that ran or wanted to.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit, and whether something in the tree is not in it.
fn commit(root: &Path) -> String {
    let commit = said_by(root, "git", &["rev-parse", "--short", "HEAD"]);
    let changes = said_by(root, "git", &["status", "--porcelain", "--untracked-files=no"]);
    if changes.is_empty() { commit } else { format!("{commit} with changes") }
}

fn said_by(root: &Path, program: &str, arguments: &[&str]) -> String {
    let said = capture(Command::new(program).current_dir(root).args(arguments));
    said.map(|said| said.trim().to_owned()).unwrap_or_default()
}

fn server_version(redis: &mut Connection) -> String {
    let info = redis.ask(&["INFO", "server"]).unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    // Valkey also names the Redis that it stands for.
    if let Some(version) = field("valkey_version:") {
        return format!("Valkey {}", version.trim());
    }
    field("redis_version:").map_or_else(String::new, |version| version.trim().to_owned())
}
