//! What goes wrong, drawn from a seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use serde_json::{Value, json};

use super::fault_log::FaultLog;
use super::load;
use super::random::Random;
use super::servers::{Refusal, Silence};
use super::system::{COORDINATORS, System, WORKERS};

/// Longer than a lease, so that a frozen worker's tasks are taken from it.
const FREEZE_MS: (u64, u64) = (6_500, 9_000);
/// Between two pieces of trouble.
const PAUSE_MS: (u64, u64) = (300, 2_500);
/// How soon after Redis a coordinator goes.
const SOON_MS: (u64, u64) = (50, 500);
/// How long something that was killed stays away.
const AWAY_MS: (u64, u64) = (0, 2_000);
/// How long a node of a Cluster is dead or frozen: longer than the others need to replace it.
const NODE_AWAY_MS: (u64, u64) = (4_000, 6_000);
/// How long the one Redis is frozen.
const REDIS_FROZEN_MS: (u64, u64) = (1_000, 4_000);
/// How long a Redis is full or read-only.
const REFUSES_MS: (u64, u64) = (1_000, 5_000);
/// Connections that fell silent are in use for so long, until that is noticed.
const SILENT_MS: u64 = 3_000;
/// Updates that cannot be read, or that nobody knows. `%ID%` becomes the update's number, `%CHAT%` a chat.
const STRANGE: &[&[u8]] = &[
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":7,\"date\":1,\"chat\":{\"id\":%CHAT%,\"type\":\"private\"},\"from\":{\"id\":%CHAT%,\"is_bot\":false,\"first_name\":\"a\"},\"text\":\"\xf0\x9f\x92 luna\"}}",
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":7,\"date\":1,\"chat\":{\"id\":%CHAT%,\"type\":\"private\"},\"from\":{\"id\":%CHAT%,\"is_bot\":false,\"first_name\":\"\\ud83d\"},\"text\":\"\\ud83d luna\"}}",
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":99999999999999999999,\"date\":-1e400,\"chat\":{\"id\":%CHAT%,\"type\":\"hall\"},\"text\":7}}",
    b"{\"update_id\":%ID%,\"hologram\":{\"id\":%CHAT%,\"beams\":[[[[[[[[]]]]]]]]}}",
    b"{\"update_id\":%ID%}",
    b"{\"update_id\":%ID%,\"message\":null,\"callback_query\":{\"id\":8,\"from\":[]}}",
];

/// What a Redis is chosen by: the node of a Cluster that holds one of these.
const KEYS: &[&str] = &[
    "freefans:tasks:queue:{search_creator}",
    "freefans:tasks:queue:{probe_sleep}",
    "freefans:tasks:queue",
    "freefans:tasks:types",
];

/// A process by kind and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Worker(usize),
    Coordinator(usize),
}

/// What is still to happen.
#[derive(Debug, Clone, Copy)]
enum Later {
    Kill(Who),
    Start(Who),
    Thaw(Who),
    Redis,
    Takes(Refusal),
}

/// The injector.
pub(super) struct FaultInjector {
    draws: Random,
    next_at: Instant,
    later: Vec<(Instant, Later)>,
    counts: BTreeMap<&'static str, u32>,
    pub(super) log: FaultLog,
}

impl FaultInjector {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            draws: Random::new(seed),
            next_at: Instant::now() + Duration::from_secs(1),
            later: Vec::new(),
            counts: BTreeMap::new(),
            log: FaultLog::default(),
        }
    }

    /// Makes the trouble that is due, and lets come back what is due.
    pub(super) fn turn(&mut self, system: &mut System) -> anyhow::Result<()> {
        self.let_return(system, Instant::now())?;
        if Instant::now() < self.next_at {
            return Ok(());
        }
        self.next_at = Instant::now() + self.draws.span(PAUSE_MS);
        let worker = Who::Worker(self.draws.place(WORKERS));
        let coordinator = Who::Coordinator(self.draws.place(COORDINATORS));
        match self.draws.below(18) {
            0..=2 => self.kill(system, worker),
            3..=4 => self.kill(system, coordinator),
            5 => self.freeze(system, worker),
            6 => self.freeze(system, coordinator),
            7 => self.take_redis(system, false),
            8 => self.take_redis(system, true),
            9 => self.fail_over(system),
            10 => self.cut_connections(system),
            11 => self.refuse(system),
            12..=13 => self.silence(system),
            14 => self.strange_updates(system)?,
            15 => self.second_poller(system)?,
            16 => self.old_server(system)?,
            _ => self.bad_day(system)?,
        }
        Ok(())
    }

    /// Lets everything come back and Telegram be well.
    pub(super) fn end(&mut self, system: &mut System) -> anyhow::Result<()> {
        self.later.retain(|(_, what)| !matches!(what, Later::Kill(_)));
        let last = self.later.iter().map(|(at, _)| *at).max();
        self.let_return(system, last.unwrap_or_else(Instant::now))?;
        for how in [Refusal::Full, Refusal::ReadOnly] {
            system.redis.refuse(how, false);
        }
        system.revive()?;
        let address = format!("{}/sim/faults", system.simulator);
        ureq::delete(&address).call().context("ending the bad days")?;
        Ok(())
    }

    pub(super) fn report(&self) {
        let counts: Vec<String> =
            self.counts.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        println!("the trouble: {}", counts.join(", "));
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn let_return(&mut self, system: &mut System, until: Instant) -> anyhow::Result<()> {
        let (due, later): (Vec<_>, Vec<_>) = self.later.drain(..).partition(|(at, _)| *at <= until);
        self.later = later;
        for (_, what) in due {
            match what {
                Later::Kill(who) => self.kill(system, who),
                Later::Start(_) => system.revive()?,
                Later::Thaw(who) => {
                    if let Some(service) = slot(system, who).as_mut() {
                        service.signal("CONT");
                    }
                }
                Later::Redis => self.give_redis_back(system),
                // Who is away or frozen is not told anything: when it is back.
                Later::Takes(how) if !system.redis.there() => {
                    self.later
                        .push((Instant::now() + Duration::from_millis(100), Later::Takes(how)));
                }
                Later::Takes(how) => {
                    system.redis.refuse(how, false);
                    self.redis_is_back();
                }
            }
        }
        Ok(())
    }

    /// Whether it is away or frozen at the moment.
    fn busy(&self, who: Who) -> bool {
        self.later.iter().any(
            |(_, what)| matches!(what, Later::Start(other) | Later::Thaw(other) if *other == who),
        )
    }

    fn kill(&mut self, system: &mut System, who: Who) {
        if self.busy(who) {
            return;
        }
        // Dropped: SIGKILL, and its place is free.
        slot(system, who).take();
        self.lost(who);
        self.count(match who {
            Who::Worker(_) => "worker killed",
            Who::Coordinator(_) => "coordinator killed",
        });
        self.later.push((Instant::now() + self.draws.span(AWAY_MS), Later::Start(who)));
    }

    fn freeze(&mut self, system: &mut System, who: Who) {
        if self.busy(who) {
            return;
        }
        let Some(service) = slot(system, who).as_mut() else { return };
        service.signal("STOP");
        self.lost(who);
        self.count(match who {
            Who::Worker(_) => "worker frozen",
            Who::Coordinator(_) => "coordinator frozen",
        });
        self.later.push((Instant::now() + self.draws.span(FREEZE_MS), Later::Thaw(who)));
    }

    fn lost(&mut self, who: Who) {
        if matches!(who, Who::Worker(_)) {
            self.log.workers_lost.push(now_ms());
        }
    }

    /// Kills or freezes the Redis that holds `key`.
    pub(super) fn take_redis_away(&mut self, system: &mut System, key: &str, frozen: bool) {
        self.log.redis_away.push((now_ms(), u64::MAX));
        system.redis.take_away(key, frozen);
    }

    pub(super) fn give_redis_back(&mut self, system: &mut System) {
        system.redis.give_back();
        self.redis_is_back();
    }

    /// It is, unless something else is the matter with it.
    fn redis_is_back(&mut self) {
        if self.later.iter().any(|(_, what)| matches!(what, Later::Redis | Later::Takes(_))) {
            return;
        }
        let open = self.log.redis_away.iter_mut().filter(|(_, until)| *until == u64::MAX);
        open.for_each(|(_, until)| *until = now_ms());
    }

    /// Makes every Redis full or read-only for a while.
    fn refuse(&mut self, system: &System) {
        let refused = self.later.iter().any(|(_, what)| matches!(what, Later::Takes(_)));
        let how = if self.draws.below(2) == 0 { Refusal::Full } else { Refusal::ReadOnly };
        if refused || !system.redis.whole() {
            return;
        }
        self.log.redis_away.push((now_ms(), u64::MAX));
        system.redis.refuse(how, true);
        self.count(match how {
            Refusal::Full => "Redis full",
            Refusal::ReadOnly => "Redis read-only",
        });
        self.later.push((Instant::now() + self.draws.span(REFUSES_MS), Later::Takes(how)));
    }

    /// Makes the connections to Redis silent that there are.
    fn silence(&mut self, system: &System) {
        let (what, name) = match self.draws.below(3) {
            0 => (Silence::Everything, "connections forgotten"),
            1 => (Silence::Answers, "answers swallowed"),
            _ => (Silence::HalfAnAnswer, "answers halved"),
        };
        system.redis.fall_silent(what);
        // A claim whose answer is swallowed is a lease that nobody has.
        if !matches!(what, Silence::Everything) {
            let now = now_ms();
            self.log.redis_away.push((now, now + SILENT_MS));
        }
        self.count(name);
    }

    /// Puts updates that cannot be read among those that can.
    fn strange_updates(&mut self, system: &System) -> anyhow::Result<()> {
        let address = format!("{}/sim/updates", system.simulator);
        for _ in 0..=self.draws.below(3) {
            let chat = load::chat(self.draws.next()).to_string();
            let update = STRANGE.get(self.draws.place(STRANGE.len())).copied().unwrap_or_default();
            let update = fill_in(update, b"%CHAT%", chat.as_bytes());
            ureq::post(&address).send(&update[..]).context("sending a strange update")?;
            self.count("strange update");
        }
        Ok(())
    }

    /// Another program fetches the updates for a while.
    fn second_poller(&mut self, system: &System) -> anyhow::Result<()> {
        let times = 1 + self.draws.below(3);
        goes_wrong(system, &json!({"method": "getUpdates", "fault": "409", "count": times}))?;
        self.count("second poller");
        Ok(())
    }

    /// The next answers are those of an old Bot API server.
    fn old_server(&mut self, system: &System) -> anyhow::Result<()> {
        for method in ["getMe", "sendMessage", "editMessageText", "getWebhookInfo"] {
            let times = 1 + self.draws.below(20);
            goes_wrong(system, &json!({"method": method, "fault": "bare", "count": times}))?;
        }
        self.count("old Bot API");
        Ok(())
    }

    /// Kills or freezes a Redis, which comes back later.
    fn take_redis(&mut self, system: &mut System, frozen: bool) {
        let key = self.key();
        if !system.redis.whole() {
            return;
        }
        self.take_redis_away(system, key, frozen);
        let away = match (system.redis.is_cluster(), frozen) {
            (true, _) => NODE_AWAY_MS,
            (false, true) => REDIS_FROZEN_MS,
            (false, false) => AWAY_MS,
        };
        self.later.push((Instant::now() + self.draws.span(away), Later::Redis));
        self.count(if frozen { "Redis frozen" } else { "Redis killed" });
        // What a coordinator holds and cannot hand over is lost with it, if it had said that it took it.
        let coordinator = Who::Coordinator(self.draws.place(COORDINATORS));
        self.later.push((Instant::now() + self.draws.span(SOON_MS), Later::Kill(coordinator)));
    }

    fn fail_over(&mut self, system: &mut System) {
        let key = self.key();
        if system.redis.is_cluster() && system.redis.whole() {
            let began = now_ms();
            system.redis.fail_over(key);
            self.log.redis_away.push((began, now_ms()));
            self.count("forced failover");
        }
    }

    fn key(&mut self) -> &'static str {
        KEYS.get(self.draws.place(KEYS.len())).copied().unwrap_or_default()
    }

    fn cut_connections(&mut self, system: &System) {
        for kind in ["normal", "pubsub"] {
            system.redis.ask_all(&["CLIENT", "KILL", "TYPE", kind]);
        }
        self.count("connections cut");
    }

    fn bad_day(&mut self, system: &System) -> anyhow::Result<()> {
        let methods = ["sendMessage", "editMessageText", "getUpdates", "answerCallbackQuery"];
        let faults = ["429", "500", "drop", "apply_then_drop", "delay"];
        let pick = |list: &[&'static str], place: usize| list.get(place).copied();
        let method = pick(&methods, self.draws.place(methods.len())).unwrap_or("sendMessage");
        let fault = pick(&faults, self.draws.place(faults.len())).unwrap_or("429");
        let body: Value = json!({
            "method": method, "fault": fault, "retry_after": 1, "delay_ms": 1_500,
            "count": 1 + self.draws.below(4),
        });
        goes_wrong(system, &body)?;
        self.count("bad day of Telegram");
        Ok(())
    }
}

fn fill_in(text: &[u8], place: &[u8], with: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(place.len()).position(|window| window == place) {
        let (before, after) = rest.split_at(at);
        filled.extend_from_slice(before);
        filled.extend_from_slice(with);
        rest = after.get(place.len()..).unwrap_or_default();
    }
    filled.extend_from_slice(rest);
    filled
}

fn slot(system: &mut System, who: Who) -> &mut Option<crate::service::Service> {
    let (list, place) = match who {
        Who::Worker(place) => (&mut system.workers, place),
        Who::Coordinator(place) => (&mut system.coordinators, place),
    };
    if list.len() <= place {
        list.resize_with(place + 1, || None);
    }
    #[expect(clippy::indexing_slicing, reason = "the line above makes it long enough")]
    &mut list[place]
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The simulated Telegram's next answers go wrong.
fn goes_wrong(system: &System, fault: &Value) -> anyhow::Result<()> {
    let address = format!("{}/sim/faults", system.simulator);
    ureq::post(&address).send_json(fault).context("making a bad day")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_put_in_at_each_place() {
        let filled = fill_in(b"a%CHAT%b%CHAT%", b"%CHAT%", b"17");
        assert_eq!(filled, b"a17b17");
        assert!(STRANGE.iter().all(|update| update.starts_with(b"{\"update_id\":%ID%")));
    }
}
