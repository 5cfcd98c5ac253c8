//! What answers a plugin: a case, or the real world, whose answers are written down.
//!
//! Where a plugin runs without a worker, the clock stands still, random bytes follow from a number, and the cache is in memory; requests
//! go out only while they are recorded. So a case gives the same answer at each run, as long as plugin, settings and data files are the
//! same. In a worker the clock goes on and the cache is in Redis; a case of it begins with the time at which the task began, and with the
//! entries that the task read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queue::Task;
use queue::task::now_ms;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use wasmtime_wasi::{Deterministic, WasiCtxBuilder};

use super::case::{Case, CaseTask, Content, Exchange};
use super::clock::StandingClock;

/// Random bytes, after which they begin again.
const RANDOM_BYTES: usize = 64 << 10;
/// Exchanges that a recording keeps.
const MAX_EXCHANGES: usize = 1_000;
/// Bytes of answers and cache entries that are kept of one task in a worker: many run at once.
const MAX_WATCHED_BYTES: usize = 8 << 20;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To be recorded: the real world answers.
    Recorded,
    /// As [`Kind::Recorded`], in a worker.
    Watched,
    /// To repeat a case, which answers.
    Replayed,
}

/// The world of one run after the other. While it neither records nor repeats one, only the cache is here, in memory, and
/// everything else is the real world.
#[derive(Default)]
pub(crate) struct World {
    run: Mutex<Option<Run>>,
    cache: Mutex<BTreeMap<String, Vec<u8>>>,
}

struct Run {
    case: Case,
    kind: Kind,
    /// Which of the case's exchanges were given.
    given: Vec<bool>,
    unanswered: Vec<String>,
    /// Entries of the cache that a watched task has changed: what it reads of them is its own.
    changed: BTreeSet<String>,
    /// Bytes that a watched task may still have written down.
    bytes_left: Option<usize>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// The world of one task in a worker.
    pub(crate) fn watching(task: &Task) -> Self {
        let run = Run::new(case_of(task), Kind::Watched);
        Self { run: Mutex::new(Some(run)), cache: Mutex::default() }
    }

    /// From now on the real world answers, and its answers to `task` are written down.
    pub(crate) fn record(&self, task: &Task) {
        *self.run() = Some(Run::new(case_of(task), Kind::Recorded));
    }

    /// From now on a case answers.
    pub(crate) fn replay(&self, case: Case) {
        let entry = |(key, value): (&String, &Content)| Some((key.clone(), value.bytes().ok()?));
        *self.entries() = case.cache.iter().filter_map(entry).collect();
        *self.run() = Some(Run::new(case, Kind::Replayed));
    }

    fn run(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The case as it was recorded, or as it was given.
    pub(crate) fn case(&self) -> Option<Case> {
        self.run().as_ref().map(|run| run.case.clone())
    }

    /// The case of a task in a worker; none when the answers were too large to be kept.
    pub(crate) fn watched(&self) -> Option<Case> {
        self.run().as_ref().filter(|run| run.bytes_left.is_some()).map(|run| run.case.clone())
    }

    /// Requests that the case has no answer for, for the author.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        self.run().as_ref().map(|run| run.unanswered.clone()).unwrap_or_default()
    }

    /// The random number of the task.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.run().as_ref().map(|run| run.case.task.seed)
    }

    /// Gives an instance the clock and the random bytes of the case.
    pub(crate) fn set(&self, wasi: &mut WasiCtxBuilder) {
        let run = self.run();
        let Some(run) = run.as_ref() else { return };
        let mut random = StdRng::seed_from_u64(run.case.random);
        let mut bytes = || {
            let mut bytes = vec![0; RANDOM_BYTES];
            random.fill_bytes(&mut bytes);
            Deterministic::new(bytes)
        };
        if run.kind != Kind::Watched {
            let now = Duration::from_millis(run.case.now_ms);
            wasi.wall_clock(StandingClock { now });
        }
        wasi.secure_random(bytes()).insecure_random(bytes());
        wasi.insecure_random_seed(u128::from(run.case.random));
    }

    /// The answer to a request; none while the real world answers. The error names a request without an answer.
    pub(crate) fn answer(&self, method: &str, url: &str) -> Option<Result<Exchange, String>> {
        let mut run = self.run();
        let run = run.as_mut().filter(|run| run.kind == Kind::Replayed)?;
        let mut exchanges = run.case.http.iter().zip(&mut run.given);
        let found = exchanges
            .find(|(exchange, given)| !**given && exchange.method == method && exchange.url == url);
        let Some((exchange, given)) = found else {
            let request = format!("{method} {url}");
            run.unanswered.push(request.clone());
            return Some(Err(request));
        };
        *given = true;
        Some(Ok(exchange.clone()))
    }

    /// Writes an answer of the real world down.
    pub(crate) fn note(&self, exchange: Exchange) {
        if let Some(run) = self.run().as_mut().filter(|run| run.case.http.len() < MAX_EXCHANGES)
            && run.admit(exchange.body.len())
        {
            run.case.http.push(exchange);
        }
    }

    /// Whether the cache is in memory, not in Redis.
    pub(crate) fn has_cache(&self) -> bool {
        !self.run().as_ref().is_some_and(|run| run.kind == Kind::Watched)
    }

    /// An entry of the cache in memory.
    pub(crate) fn cached(&self, key: &str) -> Option<Vec<u8>> {
        self.entries().get(key).cloned()
    }

    /// Changes an entry of the cache in memory; none removes it.
    pub(crate) fn cache(&self, key: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.entries().insert(key, value),
            None => self.entries().remove(&key),
        };
    }

    /// Writes down what a task in a worker read from the cache.
    pub(crate) fn note_read(&self, key: &str, value: &[u8]) {
        if let Some(run) = self.run().as_mut()
            && !run.changed.contains(key)
            && !run.case.cache.contains_key(key)
            && run.admit(value.len())
        {
            run.case.cache.insert(key.to_owned(), Content::of(value));
        }
    }

    /// Notes that a task in a worker changes an entry of the cache.
    pub(crate) fn note_change(&self, key: &str) {
        if let Some(run) = self.run().as_mut() {
            run.changed.insert(key.to_owned());
        }
    }
}

/// A case of `task`, before anything was answered.
fn case_of(task: &Task) -> Case {
    let mut random = rand::rng();
    let Task { task_type, params, user_id, attempt, .. } = task.clone();
    let attempt = attempt.max(1);
    Case {
        task: CaseTask { task_type, params, user_id, attempt, seed: random.random() },
        now_ms: now_ms(),
        random: random.random(),
        settings: BTreeMap::new(),
        http: Vec::new(),
        cache: BTreeMap::new(),
        data: BTreeMap::new(),
        expect: None,
    }
}

impl Run {
    fn new(case: Case, kind: Kind) -> Self {
        Self {
            given: vec![false; case.http.len()],
            case,
            kind,
            unanswered: Vec::new(),
            changed: BTreeSet::new(),
            bytes_left: Some(MAX_WATCHED_BYTES),
        }
    }

    /// Whether so many bytes may be written down. When not, nothing is: a case with a gap fails in another way.
    fn admit(&mut self, bytes: usize) -> bool {
        if self.kind == Kind::Watched {
            self.bytes_left = self.bytes_left.and_then(|left| left.checked_sub(bytes));
        }
        if self.bytes_left.is_none() {
            (self.case.http, self.case.cache) = Default::default();
        }
        self.bytes_left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn task() -> Task {
        Task::new("tide".parse().unwrap(), 7, Map::new())
    }

    fn exchange(status: u16) -> Exchange {
        let text = format!(r#"{{"url": "https://a.example", "status": {status}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn answers_are_given_in_their_order_each_once_and_a_missing_one_is_named() {
        let world = World::default();
        world.record(&task());
        assert!(world.answer("GET", "https://a.example").is_none());
        world.note(exchange(429));
        world.note(exchange(200));
        let case = world.case().unwrap();
        world.replay(case.clone());
        let status = || world.answer("GET", "https://a.example").unwrap().map(|one| one.status);
        assert_eq!((status(), status()), (Ok(Some(429)), Ok(Some(200))));
        assert_eq!(status(), Err("GET https://a.example".to_owned()));
        assert!(world.answer("POST", "https://a.example").unwrap().is_err());
        assert_eq!(world.unanswered().len(), 2);
        world.replay(case);
        assert_eq!(status(), Ok(Some(429)));
    }

    #[test]
    fn of_a_task_in_a_worker_is_kept_what_it_found_and_nothing_when_that_is_too_much() {
        let world = World::watching(&task());
        assert!(!world.has_cache(), "it is in Redis");
        world.note_read("a", b"1");
        world.note_change("b");
        world.note_read("b", b"its own");
        world.note_change("a");
        world.note_read("a", b"its own");
        world.note(exchange(503));
        let case = world.watched().unwrap();
        assert_eq!(case.cache, [("a".to_owned(), Content::of(b"1"))].into());
        assert_eq!(case.http.len(), 1);
        let body = Content::of(&vec![b'x'; MAX_WATCHED_BYTES]);
        world.note(Exchange { body, ..exchange(200) });
        assert_eq!(world.watched(), None);
        world.note(exchange(200));
        assert_eq!(world.watched(), None, "a case with a gap is none");
    }

    #[test]
    fn the_cache_begins_as_the_case_says_and_stays_from_call_to_call() {
        let world = World::default();
        world.record(&task());
        let mut case = world.case().unwrap();
        case.cache.insert("a".to_owned(), Content::of(b"1"));
        world.replay(case);
        assert_eq!(world.cached("a"), Some(b"1".to_vec()));
        world.cache("a".to_owned(), None);
        world.cache("b".to_owned(), Some(b"2".to_vec()));
        assert_eq!((world.cached("a"), world.cached("b")), (None, Some(b"2".to_vec())));
    }
}
