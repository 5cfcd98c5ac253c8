//! Whether a process is alive: its runtime runs, its loops turn, and none of them panicked.
//!
//! A loop that waits for a server still turns, because each of its waits has an end. So a Redis that is down makes no process
//! look dead, and nothing restarts it for that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The loops of this process. Clones share them.
#[derive(Debug, Clone)]
pub struct Health {
    began: Instant,
    loops: Arc<Mutex<Vec<Arc<Followed>>>>,
}

impl Default for Health {
    fn default() -> Self {
        Self { began: Instant::now(), loops: Arc::default() }
    }
}

#[derive(Debug)]
struct Followed {
    name: &'static str,
    /// Longest time between two turns; none for a loop of which only a panic counts.
    at_most: Option<Duration>,
    /// When it last turned, in milliseconds since the process began.
    turned_ms: AtomicU64,
    panicked: AtomicBool,
    ended: AtomicBool,
}

/// Held by one loop, which tells of each turn.
#[derive(Debug)]
pub struct Turns {
    began: Instant,
    followed: Arc<Followed>,
}

/// What one loop did lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopState {
    /// The loop's name.
    pub name: &'static str,
    /// How long ago it last turned.
    pub turned_ago: Duration,
    /// Longest time between two turns, if it has one.
    pub at_most: Option<Duration>,
    /// Why it counts as dead, if it does.
    pub problem: Option<String>,
}

impl Health {
    /// Follows a loop that turns at least once in `at_most`.
    pub fn follow(&self, name: &'static str, at_most: Duration) -> Turns {
        self.add(name, Some(at_most))
    }

    /// Runs `work`, of which only a panic counts: it may wait for long.
    pub fn guard<F: Future>(
        &self,
        name: &'static str,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let turns = self.add(name, None);
        async move {
            let output = work.await;
            drop(turns);
            output
        }
    }

    /// Whether all loops turn.
    pub fn is_alive(&self) -> bool {
        self.loops().iter().all(|state| state.problem.is_none())
    }

    /// All loops, in the order in which they began.
    pub fn loops(&self) -> Vec<LoopState> {
        let now_ms = self.now_ms();
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.iter().filter_map(|followed| followed.state(now_ms)).collect()
    }

    fn add(&self, name: &'static str, at_most: Option<Duration>) -> Turns {
        let followed = Arc::new(Followed {
            name,
            at_most,
            turned_ms: AtomicU64::new(self.now_ms()),
            panicked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.push(Arc::clone(&followed));
        Turns { began: self.began, followed }
    }

    fn now_ms(&self) -> u64 {
        millis_since(self.began)
    }
}

impl Followed {
    /// None for a loop that has ended as it should.
    fn state(&self, now_ms: u64) -> Option<LoopState> {
        let turned_ago =
            Duration::from_millis(now_ms.saturating_sub(self.turned_ms.load(Ordering::Relaxed)));
        let name = self.name;
        let problem = if self.panicked.load(Ordering::Relaxed) {
            Some(format!("`{name}` panicked; the log says where"))
        } else if self.ended.load(Ordering::Relaxed) {
            return None;
        } else {
            self.at_most.filter(|at_most| *at_most < turned_ago).map(|at_most| {
                format!(
                    "`{name}` has not turned for {} s; {} s are the most",
                    turned_ago.as_secs(),
                    at_most.as_secs()
                )
            })
        };
        Some(LoopState { name, turned_ago, at_most: self.at_most, problem })
    }
}

impl Turns {
    /// The loop turned.
    pub fn turned(&self) {
        self.followed.turned_ms.store(millis_since(self.began), Ordering::Relaxed);
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        let ended =
            if std::thread::panicking() { &self.followed.panicked } else { &self.followed.ended };
        ended.store(true, Ordering::Relaxed);
    }
}

fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_turns_no_more_is_named_until_it_turns_again() {
        let health = Health::default();
        let quick = health.follow("quick", Duration::from_millis(50));
        let slow = health.follow("slow", Duration::from_secs(60));
        assert!(health.is_alive());
        std::thread::sleep(Duration::from_millis(80));
        let problems: Vec<_> =
            health.loops().into_iter().filter_map(|state| state.problem).collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("`quick` has not turned for"), "{problems:?}");
        quick.turned();
        assert!(health.is_alive());
        drop((quick, slow));
        assert!(health.is_alive() && health.loops().is_empty(), "they ended as they should");
    }

    #[tokio::test]
    async fn a_panic_of_a_part_counts_and_its_end_does_not() {
        let health = Health::default();
        health.guard("ended", async {}).await;
        assert!(health.is_alive());
        let guarded = health.guard("broken", async {
            tokio::task::yield_now().await;
            panic!("for the test");
        });
        assert!(tokio::spawn(guarded).await.is_err());
        assert!(!health.is_alive());
        assert!(health.loops()[0].problem.as_deref().unwrap().contains("`broken` panicked"));
    }
}
