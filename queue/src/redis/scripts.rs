//! The Lua scripts, and how they are run.
//!
//! A script runs completely or not at all, also on a server that refuses writes:
//!
//! - Its first line is `#!lua`. With it the server checks before the first command whether it accepts writes: memory
//!   (unless `flags=allow-oom`), disk, replicas, `READONLY`. Without it a script on a full server stops at its first
//!   command that needs memory, after earlier commands have run.
//! - [`Script::new`] inserts a check of the user's permissions before the first command. The server itself checks each
//!   command when it is called, after earlier commands have run.

use std::collections::BTreeSet;
use std::fmt;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, ToRedisArgs};

use crate::config::Side;

/// A Lua script. It is sent by its hash, and as text to a server that does not know the hash yet. In a Cluster only the node
/// that owns the keys needs it.
#[derive(Debug)]
pub struct Script {
    text: String,
    hash: String,
    /// The commands that the script calls.
    commands: BTreeSet<String>,
}

impl Script {
    /// A script with this text, whose first line is `#!lua` with its flags.
    pub fn new(text: &str) -> Self {
        let commands = commands(text).into_iter().map(|(name, _)| name.to_owned()).collect();
        let text = with_permission_checks(text);
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash, commands }
    }

    /// Starts a call with its first key.
    pub fn key(&self, key: impl ToRedisArgs) -> Call<'_> {
        let mut call = self.prepare();
        call.key(key);
        call
    }

    /// Starts a call.
    pub fn prepare(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), arguments: Vec::new() }
    }
}

/// One call of a script.
pub struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The arguments contain what people wrote.
        out.debug_struct("Call").field("script", &self.script.hash).finish_non_exhaustive()
    }
}

impl Call<'_> {
    /// Adds a key. All keys of a call share a slot.
    pub fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        key.write_redis_args(&mut self.keys);
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }

    /// Runs the script.
    ///
    /// # Errors
    ///
    /// Those of the server and of the connection. If the connection broke, the script may have run.
    pub async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<T> {
        let reply = self.command("EVALSHA", &self.script.hash).query_async(connection).await;
        match reply {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", &self.script.text).query_async(connection).await
            }
            reply => reply,
        }
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

/// The error for an unknown reply, for instance of a script of another version. What the script did is not known.
pub fn unknown_reply(script: &str, reply: &str) -> RedisError {
    let shown: String = reply.chars().take(100).collect();
    let detail = format!("`{script}` replied `{shown}`");
    RedisError::from((ErrorKind::UnexpectedReturnType, "unknown reply of a script", detail))
}

/// Checks that a script returned one reply for each item.
///
/// # Errors
///
/// [`unknown_reply`].
pub(crate) fn check_count(script: &str, replies: usize, items: usize) -> RedisResult<()> {
    if replies == items {
        return Ok(());
    }
    Err(unknown_reply(script, &format!("{replies} replies to {items} items")))
}

/// The commands that a script calls, each with the number of the first key in its call, if it has one.
fn commands(text: &str) -> BTreeSet<(&str, Option<&str>)> {
    const CALL: &str = "redis.call('";
    let calls = text.split(CALL).skip(1);
    calls
        .filter_map(|call| {
            let (name, rest) = call.split_once('\'')?;
            let arguments = rest.split(')').next().unwrap_or_default();
            let key = arguments.split_once("KEYS[").and_then(|(_, key)| key.split(']').next());
            let key = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
            Some((name, key))
        })
        .collect()
}

/// Inserts permission checks after the first line: one for each command, and one for each numbered key. Some calls have
/// fewer keys than others, so a missing key is skipped.
fn with_permission_checks(text: &str) -> String {
    let Some((shebang, body)) = text.split_once('\n') else { return text.to_owned() };
    let mut names = BTreeSet::new();
    let mut keys = BTreeSet::new();
    let mut checks = String::new();
    for (name, key) in commands(text) {
        // Its permission is checked with a subcommand, and it is the only command of its script.
        if name == "XGROUP" {
            continue;
        }
        let new_name = names.insert(name);
        let new_key = key.is_some_and(|key| keys.insert(key));
        if !(new_name || new_key) {
            continue;
        }
        let key = key.unwrap_or("1");
        checks.push_str(&format!(
            "if KEYS[{key}] and not redis.acl_check_cmd('{name}', KEYS[{key}]) then return redis.error_reply(\"NOPERM this user may not \
             run '{name}' on '\" .. KEYS[{key}] .. \"'\") end "
        ));
    }
    format!("{shebang}\n{checks}\n{body}")
}

/// The first line of a script that frees memory in the end: a full server takes it.
const ALLOWED_WHEN_FULL: &str = "#!lua flags=allow-oom";
/// The function that leases tasks.
const CLAIM: &str = include_str!("../../lua/claim.lua");
/// Only leases tasks. ARGV: tasks to lease for now, tasks to read ahead, lease ms, worker.
const CLAIM_ALONE: &str = "local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cfg = redis.call('HMGET', KEYS[7], 'paused', 'max_active', 'vtime', 'not_before', 'alive', 'interval', 'paced')
return claim(cfg, now, tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4])";

/// All scripts of the queue, parsed once per process.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) submit: Script,
    pub(crate) claim: Script,
    pub(crate) heartbeat: Script,
    pub(crate) finish: Script,
    pub(crate) sweep: Script,
    pub(crate) acknowledge: Script,
    /// One small write that a full server accepts.
    pub(crate) write: Script,
    /// Creates the outbox's consumer group.
    pub(crate) group: Script,
    /// Fails where writes are refused or a command is not permitted.
    pub(crate) probe: Script,
    /// Appends to the history of finished tasks.
    pub(crate) history_write: Script,
    /// Trims that history.
    pub(crate) history_upkeep: Script,
    /// The clock of the server that owns the key. The nodes of a Cluster have different clocks.
    pub(crate) clock: Script,
    /// The run id of the server process that owns the key.
    pub(crate) server: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            submit: Script::new(include_str!("../../lua/submit.lua")),
            claim: Script::new(&format!("{ALLOWED_WHEN_FULL}\n{CLAIM}\n{CLAIM_ALONE}")),
            heartbeat: Script::new(include_str!("../../lua/heartbeat.lua")),
            finish: Script::new(&format!(
                "{ALLOWED_WHEN_FULL}\n{CLAIM}\n{}",
                include_str!("../../lua/finish.lua")
            )),
            sweep: Script::new(include_str!("../../lua/sweep.lua")),
            acknowledge: Script::new(include_str!("../../lua/acknowledge.lua")),
            write: Script::new(include_str!("../../lua/write.lua")),
            group: Script::new(include_str!("../../lua/group.lua")),
            probe: Script::new(include_str!("../../lua/probe.lua")),
            history_write: Script::new(include_str!("../../lua/history_write.lua")),
            history_upkeep: Script::new(include_str!("../../lua/history_upkeep.lua")),
            clock: Script::new("#!lua flags=no-writes\nreturn redis.call('TIME')"),
            server: Script::new(
                "#!lua flags=no-writes\nreturn string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')",
            ),
        }
    }
}

/// Commands that a worker sends outside of scripts.
const WORKER_COMMANDS: &[&str] =
    &["BLPOP", "DEL", "GET", "LINDEX", "LMOVE", "LREM", "SADD", "SET", "SMEMBERS", "ZREM"];
/// Commands that a coordinator sends outside of scripts.
const COORDINATOR_COMMANDS: &[&str] = &[
    "DEL",
    "GET",
    "INCR",
    "MGET",
    "PEXPIRE",
    "SADD",
    "SET",
    "SMEMBERS",
    "XAUTOCLAIM",
    "XCLAIM",
    "XREADGROUP",
    "ZRANGE",
];

impl Scripts {
    /// The commands that one of the two programs needs.
    pub(crate) fn required_commands(&self, side: Option<Side>) -> BTreeSet<&str> {
        let Self { submit, claim, heartbeat, finish, sweep, .. } = self;
        let (scripts, direct) = match side {
            None => return BTreeSet::new(),
            Some(Side::Worker) => (vec![submit, claim, heartbeat, finish, sweep], WORKER_COMMANDS),
            Some(Side::Coordinator) => {
                (vec![submit, finish, sweep, &self.acknowledge], COORDINATOR_COMMANDS)
            }
        };
        let called = scripts.into_iter().flat_map(|script| &script.commands);
        called.map(String::as_str).chain(direct.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_commands_and_keys_are_found() {
        let text = "#!lua\nredis.call('HSET', KEYS[2], 'a', 1)\nredis.call('SET', guard, 1)\nredis.call('TIME')";
        let found: Vec<_> = commands(text).into_iter().collect();
        assert_eq!(found, [("HSET", Some("2")), ("SET", None), ("TIME", None)]);
        let checked = with_permission_checks(text);
        assert!(
            checked.starts_with("#!lua\nif KEYS[2] and not redis.acl_check_cmd('HSET', KEYS[2])"),
            "{checked}"
        );
    }

    #[test]
    fn every_script_begins_with_a_shebang() {
        let Scripts {
            submit,
            claim,
            heartbeat,
            finish,
            sweep,
            acknowledge,
            write,
            group,
            probe,
            history_write,
            history_upkeep,
            clock,
            server,
        } = Scripts::new();
        for script in [
            submit,
            claim,
            heartbeat,
            finish,
            sweep,
            acknowledge,
            write,
            group,
            probe,
            history_write,
            history_upkeep,
            clock,
            server,
        ] {
            assert!(script.text.starts_with("#!lua"), "{}", script.text);
        }
    }
}
