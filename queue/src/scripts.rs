//! The Lua scripts, and how one is run.

use std::fmt;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, ToRedisArgs};

/// A Lua script. It is sent by its hash; a server that does not know it is sent the text, and knows it then. In a
/// Cluster that is a matter between us and the one node that owns the keys.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    /// A script with this text.
    pub fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// Begins a call with its first key.
    pub fn key(&self, key: impl ToRedisArgs) -> Call<'_> {
        let mut call = self.prepare();
        call.key(key);
        call
    }

    /// Begins a call.
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
        // What people wrote is among the arguments.
        out.debug_struct("Call").field("script", &self.script.hash).finish_non_exhaustive()
    }
}

impl Call<'_> {
    /// Adds a key. All keys of a call lie on one slot.
    pub fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        key.write_redis_args(&mut self.keys);
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What the server or the connection says. When the connection broke, the script may have run.
    pub async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
    ) -> RedisResult<T> {
        let answer = self.command("EVALSHA", &self.script.hash).query_async(connection).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", self.script.text).query_async(connection).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

/// All scripts of the queue, parsed once per process.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) submit: Script,
    pub(crate) claim: Script,
    pub(crate) heartbeat: Script,
    pub(crate) finish: Script,
    pub(crate) sweep: Script,
    pub(crate) acknowledge: Script,
    pub(crate) place: Script,
    /// The clock of the server that owns the key: those of a Cluster's nodes differ.
    pub(crate) clock: Script,
    /// The process that owns the key.
    pub(crate) server: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            submit: Script::new(include_str!("../lua/submit.lua")),
            claim: Script::new(include_str!("../lua/claim.lua")),
            heartbeat: Script::new(include_str!("../lua/heartbeat.lua")),
            finish: Script::new(include_str!("../lua/finish.lua")),
            sweep: Script::new(include_str!("../lua/sweep.lua")),
            acknowledge: Script::new(include_str!("../lua/acknowledge.lua")),
            place: Script::new(include_str!("../lua/place.lua")),
            clock: Script::new("return redis.call('TIME')"),
            server: Script::new(
                "return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')",
            ),
        }
    }
}
