//! Searching the finished tasks.
//!
//! The stream has no index: each entry is read and compared here. A search begins with the newest. If it has to go on for more than
//! a few pages, it reads from the oldest as well until both sides meet. Parsing a page costs more than Redis needs to read it, so each
//! side has a connection of its own, which parses on a thread of its own.

use std::collections::{HashSet, VecDeque};

use serde::Serialize;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::error::RedisError;
use crate::history::filter::{Filter, Matcher};
use crate::history::record::FinishedTask;
use crate::history::stream::{BothSides, NEWEST, PAGE, Place, StoredEntry, Stream};
use crate::task::TaskId;

/// Clocks of processes may differ by so much from that of Redis.
pub(super) const CLOCK_MARGIN_MS: u64 = 10 * 60 * 1_000;
/// Pages from the newest side before the oldest side is read too. Most searches end earlier, and need nothing from there.
const PAGES_ALONE: usize = 4;

/// Finished tasks that a filter matches.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Page {
    /// Newest first.
    pub tasks: Vec<FinishedTask>,
    /// Where the next page begins; none when there are no more.
    pub next: Option<String>,
    /// Entries that were looked at.
    pub looked_at: u64,
}

/// A match, with the id of its entry.
type Match = (String, FinishedTask);

/// A page on its way, in a task of its own, so that it is asked for and parsed while another one is compared.
type PageOnItsWay = AbortOnDropHandle<Result<Vec<StoredEntry>, RedisError>>;

/// The newest `limit` finished tasks that the filter matches, from where another page ended.
pub(super) async fn find(
    streams: BothSides<Stream>,
    filter: &Filter,
    limit: usize,
    from: Option<&str>,
) -> Result<Page, RedisError> {
    let newest = match (from, filter.to_ms) {
        (Some(next), _) => format!("({next}"),
        (None, Some(to)) => to.saturating_add(CLOCK_MARGIN_MS).to_string(),
        (None, None) => NEWEST.to_owned(),
    };
    let oldest = filter.from_ms.unwrap_or(0).saturating_sub(CLOCK_MARGIN_MS).to_string();
    let mut search = Search {
        streams,
        matcher: Matcher::new(filter),
        limit,
        unread: Unread { newest, oldest, below: None, above: None },
        newer: Vec::new(),
        older: VecDeque::new(),
        left_out: false,
        seen: HashSet::new(),
        looked_at: 0,
    };
    search.run().await?;
    Ok(search.page())
}

/// A side that entries are read from.
#[derive(Debug, Clone, Copy)]
enum Side {
    Newest,
    Oldest,
}

/// The part of the stream that neither side has read.
#[derive(Debug)]
struct Unread {
    /// Its bounds, as Redis reads them.
    newest: String,
    oldest: String,
    /// The last entry that the newest side has read.
    below: Option<Place>,
    /// The last entry that the oldest side has read.
    above: Option<Place>,
}

impl Unread {
    /// The entries of a page that are in it. A page may reach into what the other side has read since it was asked for.
    fn of<'a>(&self, page: &'a [StoredEntry]) -> &'a [StoredEntry] {
        let is_unread = |entry: &StoredEntry| {
            let place = entry.place();
            self.below.is_none_or(|below| place < below)
                && self.above.is_none_or(|above| place > above)
        };
        let count = page.iter().rposition(is_unread).map_or(0, |last| last + 1);
        page.get(..count).unwrap_or_default()
    }

    /// One side has read up to `last`.
    fn read_up_to(&mut self, side: Side, last: &StoredEntry) {
        let (bound, place) = match side {
            Side::Newest => (&mut self.newest, &mut self.below),
            Side::Oldest => (&mut self.oldest, &mut self.above),
        };
        *bound = last.excluded();
        *place = Some(last.place());
    }
}

struct Search {
    streams: BothSides<Stream>,
    matcher: Matcher,
    limit: usize,
    unread: Unread,
    /// Matches from the newest side, newest first.
    newer: Vec<Match>,
    /// Matches from the oldest side, oldest first: the newest `limit` of them.
    older: VecDeque<Match>,
    /// There are more matches on the oldest side.
    left_out: bool,
    /// Tasks that were found. A call of the writer whose reply was lost may have been repeated.
    seen: HashSet<(TaskId, u64)>,
    looked_at: u64,
}

impl Search {
    /// Reads until there are enough matches, or nothing is unread.
    async fn run(&mut self) -> Result<(), RedisError> {
        for _ in 0..PAGES_ALONE {
            let page =
                self.streams.newest.newest_first(&self.unread.newest, &self.unread.oldest).await?;
            if self.compare(Side::Newest, &page) || page.len() < PAGE {
                return Ok(());
            }
            if let Some(last) = page.last() {
                self.unread.read_up_to(Side::Newest, last);
            }
        }
        self.read_from_both_sides().await
    }

    async fn read_from_both_sides(&mut self) -> Result<(), RedisError> {
        let mut newest = self.ask(Side::Newest);
        let mut oldest = self.ask(Side::Oldest);
        loop {
            // Neither is dropped while it is on its way.
            let (side, page) = tokio::select! {
                page = &mut newest => (Side::Newest, arrived(page)?),
                page = &mut oldest => (Side::Oldest, arrived(page)?),
            };
            let unread = self.unread.of(&page);
            let met = unread.len() < PAGE;
            if let Some(last) = unread.last().filter(|_| !met) {
                self.unread.read_up_to(side, last);
                let next = self.ask(side);
                match side {
                    Side::Newest => newest = next,
                    Side::Oldest => oldest = next,
                }
            }
            if self.compare(side, unread) || met {
                return Ok(());
            }
        }
    }

    /// Asks for the next page of one side.
    fn ask(&self, side: Side) -> PageOnItsWay {
        let streams = self.streams.clone();
        let newest = self.unread.newest.clone();
        let oldest = self.unread.oldest.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            match side {
                Side::Newest => streams.newest.newest_first(&newest, &oldest).await,
                Side::Oldest => streams.oldest.oldest_first(&newest, &oldest).await,
            }
        }))
    }

    /// Takes the matches out of a page. True when there are enough.
    fn compare(&mut self, side: Side, entries: &[StoredEntry]) -> bool {
        for entry in entries {
            self.looked_at += 1;
            let matching = self.matcher.matching(&entry.text);
            let Some(task) = matching.and_then(|fields| fields.read()) else { continue };
            let found = (entry.id.clone(), task);
            match side {
                Side::Newest => {
                    if self.is_new(&found) {
                        self.newer.push(found);
                    }
                    if self.newer.len() >= self.limit {
                        return true;
                    }
                }
                Side::Oldest => {
                    self.older.push_back(found);
                    if self.older.len() > self.limit {
                        self.older.pop_front();
                        self.left_out = true;
                    }
                }
            }
        }
        false
    }

    fn is_new(&mut self, (_, task): &Match) -> bool {
        self.seen.insert((task.task_id.clone(), task.ended_at))
    }

    /// What was found, newest first.
    fn page(mut self) -> Page {
        let mut matches = std::mem::take(&mut self.newer);
        for found in std::mem::take(&mut self.older).into_iter().rev() {
            if matches.len() >= self.limit {
                break;
            }
            if self.is_new(&found) {
                matches.push(found);
            }
        }
        let more = self.left_out || matches.len() >= self.limit;
        let next = matches.last().filter(|_| more).map(|(id, _)| id.clone());
        let tasks = matches.into_iter().map(|(_, task)| task).collect();
        Page { tasks, next, looked_at: self.looked_at }
    }
}

/// The page of a task that has ended.
fn arrived(
    page: Result<Result<Vec<StoredEntry>, RedisError>, JoinError>,
) -> Result<Vec<StoredEntry>, RedisError> {
    page.unwrap_or_else(|panicked| {
        Err(RedisError::during("read the history")(std::io::Error::other(panicked).into()))
    })
}
