//! Sessions in Redis, changed with compare-and-set.
//!
//! A change begins with a copy of the session where this process has one, so it is one call: the compare-and-set refuses a
//! copy that is out of date, and returns the stored session.

mod cache;

use std::sync::Arc;

use queue::{Script, TaskQueue, unknown_reply};

use crate::chat::address::SessionKey;
use crate::chat::session::{Session, VERSION};
use crate::chat::text::Lang;
use crate::keys::CoordinatorKeys;
use cache::SessionCache;

/// An unused session expires after a day.
const KEEP_SECONDS: u64 = 24 * 3600;
/// Bot API: only basic groups get another id, and theirs are above those of supergroups and channels.
const SUPERGROUPS_BELOW: i64 = -1_000_000_000_000;
/// The chosen language is kept for longer: people come back after months.
const KEEP_CHOICE_SECONDS: u64 = 180 * 24 * 3600;
/// Concurrent writers try again; one person does not cause more conflicts than this.
const ATTEMPTS: usize = 20;
/// A change raises the rev by a random number up to this. So a session that a failover set back, and that another process has
/// changed since, is not taken for a copy from before. Lua compares revs as doubles: exact for 2^33 changes.
const REV_STEP: u64 = 1 << 20;

/// Runs on a full server too: a session is small, and without it no answer can be shown.
///
/// Our own JSON begins with its version and rev; other JSON is decoded.
///
/// KEYS 1 session; ARGV 1 expected rev, 2 new JSON, 3 seconds. RETURNS 1 when it was written, else the stored session, or 0
/// where there is none.
const COMPARE_AND_SET: &str = r#"#!lua flags=allow-oom
local stored = redis.pcall('GET', KEYS[1])
-- What is no text is no session, and is replaced.
if type(stored) == 'table' then stored = false end
local rev = 0
local number = stored and string.match(stored, '^{"version":%d+,"rev":(%d+),')
if number then
  rev = tonumber(number)
elseif stored then
  local ok, session = pcall(cjson.decode, stored)
  if ok and type(session) == 'table' and type(session.rev) == 'number' then rev = session.rev end
end
if rev ~= tonumber(ARGV[1]) then return stored or 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"#;

/// Reads what a new session starts with.
///
/// KEYS 1 choice. RETURNS the chosen language's code or '', and the time in ms.
const BEGINNING: &str = r"#!lua flags=no-writes
local chosen = redis.pcall('GET', KEYS[1])
-- What is no text is no choice.
if not chosen or type(chosen) == 'table' then chosen = '' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {chosen, string.format('%.0f', now)}
";

/// All sessions.
#[derive(Debug, Clone)]
pub struct SessionStore {
    queue: TaskQueue,
    script: Arc<Script>,
    beginning: Arc<Script>,
    cache: SessionCache,
}

impl SessionStore {
    /// Sessions beside a queue.
    pub fn new(queue: TaskQueue) -> Self {
        let script = Arc::new(Script::new(COMPARE_AND_SET));
        let beginning = Arc::new(Script::new(BEGINNING));
        Self { queue, script, beginning, cache: SessionCache::default() }
    }

    fn key(&self, who: SessionKey) -> String {
        self.queue.keys().session(&who.to_string())
    }

    async fn get<T: redis::FromRedisValue>(&self, key: String) -> redis::RedisResult<Option<T>> {
        let got: redis::RedisResult<Option<Vec<u8>>> =
            redis::cmd("GET").arg(key).query_async(&mut self.queue.connection()).await;
        match got {
            Ok(Some(bytes)) => Ok(T::from_redis_value(redis::Value::BulkString(bytes)).ok()),
            Ok(None) => Ok(None),
            // Another program wrote this; it counts as missing.
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key of a session after its group may have migrated.
    async fn now(&self, who: SessionKey) -> redis::RedisResult<SessionKey> {
        if !(SUPERGROUPS_BELOW..0).contains(&who.chat_id) {
            return Ok(who);
        }
        let moved_to = self.get(self.queue.keys().chat_moved_to(who.chat_id)).await?;
        Ok(SessionKey { chat_id: moved_to.unwrap_or(who.chat_id), ..who })
    }

    /// The stored session. When a group has migrated, its sessions are moved.
    async fn stored(&self, who: SessionKey) -> redis::RedisResult<Option<Vec<u8>>> {
        let stored = self.get(self.key(who)).await?;
        if stored.is_some() || who.chat_id >= 0 {
            return Ok(stored);
        }
        let before: Option<i64> = self.get(self.queue.keys().chat_moved_from(who.chat_id)).await?;
        let Some(chat_id) = before else { return Ok(None) };
        let Some(old) = self.get::<Vec<u8>>(self.key(SessionKey { chat_id, ..who })).await? else {
            return Ok(None);
        };
        let copy = (old, "NX", "EX", KEEP_SECONDS);
        let () = self.queue.write_even_when_full("SET", self.key(who), copy).await?;
        let () = redis::cmd("DEL")
            .arg(self.key(SessionKey { chat_id, ..who }))
            .query_async(&mut self.queue.connection())
            .await?;
        self.get(self.key(who)).await
    }

    /// The session; a new one when there is none or it cannot be read.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn load(&self, who: SessionKey) -> Result<Session, redis::RedisError> {
        self.load_of(self.now(who).await?).await
    }

    async fn load_of(&self, who: SessionKey) -> Result<Session, redis::RedisError> {
        match self.stored(who).await? {
            Some(stored) => self.read(who, &stored).await,
            None => self.begun(who, 0).await,
        }
    }

    /// Reads a stored session; a new one when it cannot be read.
    async fn read(&self, who: SessionKey, stored: &[u8]) -> Result<Session, redis::RedisError> {
        match serde_json::from_slice::<Session>(stored) {
            Ok(session) if session.version == VERSION => Ok(session),
            Ok(session) => {
                tracing::debug!(version = session.version, "session discarded: other version");
                self.begun(who, session.rev).await
            }
            Err(error) => {
                // Keep its rev, or it could never be replaced. The error's text is not logged: it may quote what a person wrote.
                let rev = serde_json::from_slice::<serde_json::Value>(stored)
                    .ok()
                    .and_then(|stored| stored.get("rev")?.as_u64())
                    .unwrap_or(0);
                tracing::warn!(
                    line = error.line(),
                    column = error.column(),
                    "session discarded: not readable"
                );
                self.begun(who, rev).await
            }
        }
    }

    /// A new session that replaces the one with this rev. Its turns come after those of all earlier sessions.
    async fn begun(&self, who: SessionKey, rev: u64) -> Result<Session, redis::RedisError> {
        let (code, turns): (String, u64) = self
            .beginning
            .key(self.queue.keys().choice(&who.to_string()))
            .run(&mut self.queue.connection())
            .await?;
        let chosen = Lang::ALL.into_iter().find(|lang| code == lang.code());
        Ok(Session { rev, turns, chosen, ..Session::default() })
    }

    /// Stores the chosen language for longer than the session lives; none deletes the choice.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn choose(
        &self,
        who: SessionKey,
        lang: Option<Lang>,
    ) -> Result<(), redis::RedisError> {
        let key = self.queue.keys().choice(&self.now(who).await?.to_string());
        match lang {
            Some(lang) => {
                let value = (lang.code(), "EX", KEEP_CHOICE_SECONDS);
                self.queue.write_even_when_full("SET", key, value).await
            }
            None => redis::cmd("DEL").arg(key).query_async(&mut self.queue.connection()).await,
        }
    }

    /// Forgets the session and what was chosen.
    ///
    /// # Errors
    ///
    /// When Redis does not answer.
    pub async fn forget(&self, who: SessionKey) -> Result<(), redis::RedisError> {
        self.choose(who, None).await?;
        self.update(who, Session::forget).await
    }

    /// Reads the session in advance, for a change that follows. Without an answer of Redis the change reads it itself.
    pub async fn prefetch(&self, who: SessionKey) {
        if let Err(error) = self.read_in_advance(who).await {
            tracing::debug!(error = %error, "session not read in advance");
        }
    }

    async fn read_in_advance(&self, who: SessionKey) -> redis::RedisResult<()> {
        let who = self.now(who).await?;
        if self.cache.has(who) {
            return Ok(());
        }
        let stored: Option<Vec<u8>> = self.get(self.key(who)).await?;
        if let Some(stored) = stored
            && let Ok(session) = serde_json::from_slice::<Session>(&stored)
            && session.version == VERSION
        {
            self.cache.put(who, session, stored.len());
        }
        Ok(())
    }

    /// Changes the session. `change` may run several times, each time on another copy, until no other writer came in between.
    ///
    /// # Errors
    ///
    /// When Redis does not answer, or too many write at once.
    pub async fn update<R>(
        &self,
        who: SessionKey,
        mut change: impl FnMut(&mut Session) -> R,
    ) -> Result<R, redis::RedisError> {
        let who = self.now(who).await?;
        let mut copy = self.cache.take(who);
        let mut unchecked = copy.is_some();
        for _ in 0..ATTEMPTS {
            let mut session = match copy.take() {
                Some(session) => session,
                None => self.load_of(who).await?,
            };
            let rev = session.rev;
            let before = session.clone();
            let result = change(&mut session);
            if session == before {
                if !unchecked {
                    return Ok(result);
                }
                // Only Redis knows whether that is so of the stored session too.
                unchecked = false;
                continue;
            }
            unchecked = false;
            session.rev = rev + rand::random_range(1..=REV_STEP);
            let json = serde_json::to_string(&session)
                .map_err(|error| redis::RedisError::from(std::io::Error::other(error)))?;
            let written: redis::Value = self
                .script
                .key(self.key(who))
                .arg(rev)
                .arg(&json)
                .arg(KEEP_SECONDS)
                .run(&mut self.queue.connection())
                .await?;
            match written {
                redis::Value::Int(1) => {
                    self.cache.put(who, session, json.len());
                    return Ok(result);
                }
                redis::Value::Int(0) => {}
                redis::Value::BulkString(stored) => copy = Some(self.read(who, &stored).await?),
                // It may hold what people wrote.
                other => return Err(unknown_reply("session", reply_type(&other))),
            }
        }
        Err(redis::RedisError::from(std::io::Error::other(
            "the session is changed by too many at once",
        )))
    }
}

/// What kind of reply it is, for an error.
fn reply_type(reply: &redis::Value) -> &'static str {
    match reply {
        redis::Value::Int(_) => "another number",
        _ => "no number and no text",
    }
}
