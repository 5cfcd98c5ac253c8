//! Whether memory stays flat: what the programs use early and late in the run, and what a question leaves in Redis.

use std::time::{Duration, Instant};

use super::system::System;

const EVERY: Duration = Duration::from_secs(1);
/// By which factor the programs may use more memory late than early. They restart after each kill, so this shows what
/// piles up in Redis and is read back, not a leak in a process.
const GROWTH_AT_MOST: f64 = 1.5;

/// Keys that Redis keeps for good. All others expire.
const PERMANENT: &[&str] = &[
    "types",
    "workers",
    "rejected",
    "meta:",
    "wake:",
    "replies:",
    "dead:",
    "freefans:plugins:events",
    // Bounded by the quota of a push.
    "freefans:fleet:",
];
/// Lists the keys that do not expire. The flag is needed because they are in several slots.
const WITHOUT_EXPIRY: &str = "#!lua flags=allow-cross-slot-keys,no-writes
local cursor, names = '0', {}
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'freefans:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    if redis.call('PTTL', key) == -1 then names[#names + 1] = key end
  end
until cursor == '0'
return names";

/// The most memory that one program of each kind used, in MiB.
#[derive(Debug, Default, Clone, Copy)]
struct Peak {
    worker: f64,
    coordinator: f64,
}

#[derive(Debug)]
pub(super) struct MemoryWatch {
    next_at: Instant,
    middle: Instant,
    early: Peak,
    late: Peak,
    redis_before: u64,
}

impl MemoryWatch {
    /// Starts to measure a run of this length.
    pub(super) fn start(system: &System, lasts: Duration) -> Self {
        let now = Instant::now();
        Self {
            next_at: now,
            middle: now + lasts / 2,
            early: Peak::default(),
            late: Peak::default(),
            redis_before: redis_bytes(system),
        }
    }

    pub(super) fn step(&mut self, system: &System) {
        let now = Instant::now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + EVERY;
        let peak = if now < self.middle { &mut self.early } else { &mut self.late };
        for (services, most) in
            [(&system.workers, &mut peak.worker), (&system.coordinators, &mut peak.coordinator)]
        {
            let taken = services.iter().flatten().filter_map(crate::service::Service::rss_mib);
            *most = taken.fold(*most, f64::max);
        }
    }

    /// Prints what was measured and returns the broken promises.
    pub(super) fn report(&self, system: &System, questions: usize) -> Vec<String> {
        let mut broken = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "bytes and counts below 2^52")]
        let [before, after, questions] =
            [self.redis_before as f64, redis_bytes(system) as f64, questions.max(1) as f64];
        const MIB: f64 = 1024.0 * 1024.0;
        println!(
            "memory: a worker at most {:.0} MiB in the first half and {:.0} in the second, a coordinator {:.0} and {:.0}; Redis {:.1} → {:.1} MiB, {:.0} bytes for each question, all of which expire",
            self.early.worker,
            self.late.worker,
            self.early.coordinator,
            self.late.coordinator,
            before / MIB,
            after / MIB,
            (after - before).max(0.0) / questions,
        );
        for (kind, early, late) in [
            ("worker", self.early.worker, self.late.worker),
            ("coordinator", self.early.coordinator, self.late.coordinator),
        ] {
            if early * GROWTH_AT_MOST < late {
                broken.push(format!("a {kind} took {early:.0} MiB early and {late:.0} late"));
            }
        }
        for key in system
            .redis
            .ask_all(&["EVAL", WITHOUT_EXPIRY, "0"])
            .iter()
            .flat_map(|keys| keys.lines())
        {
            let name = key.strip_prefix("freefans:tasks:").unwrap_or(key);
            if !name.is_empty() && !PERMANENT.iter().any(|known| name.starts_with(known)) {
                broken.push(format!("the key {key} does not expire"));
            }
        }
        broken
    }
}

fn redis_bytes(system: &System) -> u64 {
    let infos = system.redis.ask_all(&["INFO", "memory"]);
    let used = infos.iter().filter_map(|info| {
        info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse::<u64>().ok())
    });
    used.sum()
}
