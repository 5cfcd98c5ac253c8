//! Injects faults, drawn from a seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use serde_json::{Value, json};

use super::fault_log::FaultLog;
use super::load;
use super::random::Random;
use super::servers::{Refusal, Silence};
use super::system::{COORDINATORS, System, WORKERS};

/// Longer than a lease, so that the tasks of a frozen worker are reclaimed.
const FREEZE_MS: (u64, u64) = (6_500, 9_000);
/// Between two faults.
const PAUSE_MS: (u64, u64) = (300, 2_500);
/// How soon after Redis a coordinator is killed.
const SOON_MS: (u64, u64) = (50, 500);
/// How long a killed process stays down.
const DOWN_MS: (u64, u64) = (0, 2_000);
/// How long a node of a Cluster is down: longer than the others need to replace it.
const NODE_DOWN_MS: (u64, u64) = (4_000, 6_000);
/// How long the one Redis is frozen.
const REDIS_FROZEN_MS: (u64, u64) = (1_000, 4_000);
/// How long a Redis is full or read-only.
const REFUSES_MS: (u64, u64) = (1_000, 5_000);
/// How long silent connections stay in use, until the programs notice.
const SILENT_MS: u64 = 3_000;
/// Updates that cannot be read, or of an unknown kind. `%ID%` becomes the update's number, `%CHAT%` a chat.
const UNREADABLE_UPDATES: &[&[u8]] = &[
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":7,\"date\":1,\"chat\":{\"id\":%CHAT%,\"type\":\"private\"},\"from\":{\"id\":%CHAT%,\"is_bot\":false,\"first_name\":\"a\"},\"text\":\"\xf0\x9f\x92 luna\"}}",
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":7,\"date\":1,\"chat\":{\"id\":%CHAT%,\"type\":\"private\"},\"from\":{\"id\":%CHAT%,\"is_bot\":false,\"first_name\":\"\\ud83d\"},\"text\":\"\\ud83d luna\"}}",
    b"{\"update_id\":%ID%,\"message\":{\"message_id\":99999999999999999999,\"date\":-1e400,\"chat\":{\"id\":%CHAT%,\"type\":\"hall\"},\"text\":7}}",
    b"{\"update_id\":%ID%,\"hologram\":{\"id\":%CHAT%,\"beams\":[[[[[[[[]]]]]]]]}}",
    b"{\"update_id\":%ID%}",
    b"{\"update_id\":%ID%,\"message\":null,\"callback_query\":{\"id\":8,\"from\":[]}}",
];

/// A fault in a Cluster hits the node that holds one of these keys.
const KEYS: &[&str] = &[
    "freefans:tasks:queue:{search_creator}",
    "freefans:tasks:queue:{probe_sleep}",
    "freefans:tasks:queue",
    "freefans:tasks:types",
];
/// The fleet's state is on the node with this key.
const FLEET_KEY: &str = "freefans:fleet:{fleet}:state";

/// A process by kind and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Worker(usize),
    Coordinator(usize),
}

/// An action planned for later.
#[derive(Debug, Clone, Copy)]
enum Scheduled {
    Kill(Target),
    Start(Target),
    Thaw(Target),
    RestoreRedis,
    AcceptWrites(Refusal),
}

/// Injects one fault after another and undoes each later.
pub(super) struct FaultInjector {
    random: Random,
    next_at: Instant,
    scheduled: Vec<(Instant, Scheduled)>,
    counts: BTreeMap<&'static str, u32>,
    pub(super) log: FaultLog,
}

impl FaultInjector {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            next_at: Instant::now() + Duration::from_secs(1),
            scheduled: Vec::new(),
            counts: BTreeMap::new(),
            log: FaultLog::default(),
        }
    }

    /// Undoes the faults that are due and, when it is time, injects the next one.
    pub(super) fn step(&mut self, system: &mut System) -> anyhow::Result<()> {
        self.run_due(system, Instant::now())?;
        if Instant::now() < self.next_at {
            return Ok(());
        }
        self.next_at = Instant::now() + self.random.duration(PAUSE_MS);
        let worker = Target::Worker(self.random.index(WORKERS));
        let coordinator = Target::Coordinator(self.random.index(COORDINATORS));
        match self.random.below(18) {
            0..=2 => self.kill(system, worker),
            3..=4 => self.kill(system, coordinator),
            5 => self.freeze(system, worker),
            6 => self.freeze(system, coordinator),
            7 => self.disturb_redis(system, false),
            8 => self.disturb_redis(system, true),
            9 => self.fail_over(system),
            10 => self.cut_connections(system),
            11 => self.refuse(system),
            12..=13 => self.silence(system),
            14 => self.unreadable_updates(system)?,
            15 => self.second_poller(system)?,
            16 => self.old_server(system)?,
            _ => self.telegram_error(system)?,
        }
        Ok(())
    }

    /// Undoes all faults.
    pub(super) fn end(&mut self, system: &mut System) -> anyhow::Result<()> {
        self.scheduled.retain(|(_, what)| !matches!(what, Scheduled::Kill(_)));
        let last = self.scheduled.iter().map(|(at, _)| *at).max();
        self.run_due(system, last.unwrap_or_else(Instant::now))?;
        for how in [Refusal::Full, Refusal::ReadOnly] {
            system.redis.refuse(how, false);
        }
        system.revive()?;
        let address = format!("{}/sim/faults", system.simulator);
        ureq::delete(&address).call().context("removing the faults of the simulator")?;
        Ok(())
    }

    pub(super) fn report(&self) {
        let counts: Vec<String> =
            self.counts.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        println!("faults: {}", counts.join(", "));
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn run_due(&mut self, system: &mut System, until: Instant) -> anyhow::Result<()> {
        let (due, scheduled): (Vec<_>, Vec<_>) =
            self.scheduled.drain(..).partition(|(at, _)| *at <= until);
        self.scheduled = scheduled;
        for (_, what) in due {
            match what {
                Scheduled::Kill(target) => self.kill(system, target),
                Scheduled::Start(_) => system.revive()?,
                Scheduled::Thaw(target) => {
                    if let Some(service) = slot(system, target).as_mut() {
                        service.signal("CONT");
                    }
                }
                Scheduled::RestoreRedis => self.restore_redis(system),
                // A server that is down takes no command: try again later.
                Scheduled::AcceptWrites(how) if !system.redis.is_up() => {
                    self.scheduled.push((
                        Instant::now() + Duration::from_millis(100),
                        Scheduled::AcceptWrites(how),
                    ));
                }
                Scheduled::AcceptWrites(how) => {
                    system.redis.refuse(how, false);
                    self.note_redis_up();
                }
            }
        }
        Ok(())
    }

    /// Whether it is down or frozen at the moment.
    fn is_down(&self, target: Target) -> bool {
        self.scheduled.iter().any(
            |(_, what)| matches!(what, Scheduled::Start(other) | Scheduled::Thaw(other) if *other == target),
        )
    }

    fn kill(&mut self, system: &mut System, target: Target) {
        if self.is_down(target) {
            return;
        }
        // Dropping it sends SIGKILL.
        slot(system, target).take();
        self.note_lost(target);
        self.count(match target {
            Target::Worker(_) => "worker killed",
            Target::Coordinator(_) => "coordinator killed",
        });
        self.scheduled
            .push((Instant::now() + self.random.duration(DOWN_MS), Scheduled::Start(target)));
    }

    fn freeze(&mut self, system: &mut System, target: Target) {
        if self.is_down(target) {
            return;
        }
        let Some(service) = slot(system, target).as_mut() else { return };
        service.signal("STOP");
        self.note_lost(target);
        self.count(match target {
            Target::Worker(_) => "worker frozen",
            Target::Coordinator(_) => "coordinator frozen",
        });
        self.scheduled
            .push((Instant::now() + self.random.duration(FREEZE_MS), Scheduled::Thaw(target)));
    }

    fn note_lost(&mut self, target: Target) {
        if matches!(target, Target::Worker(_)) {
            self.log.workers_lost.push(now_ms());
        }
    }

    /// Kills a worker, or the Redis that has the fleet's state, while a push is on its way. `random` is the pushes' own, so that
    /// the other faults are drawn as without it.
    pub(super) fn kill_in_a_push(&mut self, system: &mut System, random: &mut Random) {
        let worker = Target::Worker(random.index(WORKERS));
        if random.below(3) > 0 {
            let down = random.duration(DOWN_MS);
            if !self.is_down(worker) {
                slot(system, worker).take();
                self.note_lost(worker);
                self.count("worker killed in a push");
                self.scheduled.push((Instant::now() + down, Scheduled::Start(worker)));
            }
            return;
        }
        let down = if system.redis.is_cluster() { NODE_DOWN_MS } else { DOWN_MS };
        let down = random.duration(down);
        if system.redis.is_healthy() {
            self.stop_redis(system, FLEET_KEY, false);
            self.count("Redis killed in a push");
            self.scheduled.push((Instant::now() + down, Scheduled::RestoreRedis));
        }
    }

    /// Kills or freezes the Redis that holds `key`.
    pub(super) fn stop_redis(&mut self, system: &mut System, key: &str, frozen: bool) {
        self.log.redis_down.push((now_ms(), u64::MAX));
        system.redis.stop(key, frozen);
    }

    pub(super) fn restore_redis(&mut self, system: &mut System) {
        system.redis.restore();
        self.note_redis_up();
    }

    /// Notes that Redis is up again, unless another fault of it is still active.
    fn note_redis_up(&mut self) {
        if self
            .scheduled
            .iter()
            .any(|(_, what)| matches!(what, Scheduled::RestoreRedis | Scheduled::AcceptWrites(_)))
        {
            return;
        }
        let open = self.log.redis_down.iter_mut().filter(|(_, until)| *until == u64::MAX);
        open.for_each(|(_, until)| *until = now_ms());
    }

    /// Makes every Redis full or read-only for a while.
    fn refuse(&mut self, system: &System) {
        let refused =
            self.scheduled.iter().any(|(_, what)| matches!(what, Scheduled::AcceptWrites(_)));
        let how = if self.random.below(2) == 0 { Refusal::Full } else { Refusal::ReadOnly };
        if refused || !system.redis.is_healthy() {
            return;
        }
        self.log.redis_down.push((now_ms(), u64::MAX));
        system.redis.refuse(how, true);
        self.count(match how {
            Refusal::Full => "Redis full",
            Refusal::ReadOnly => "Redis read-only",
        });
        self.scheduled.push((
            Instant::now() + self.random.duration(REFUSES_MS),
            Scheduled::AcceptWrites(how),
        ));
    }

    /// Makes the existing connections to Redis silent.
    fn silence(&mut self, system: &System) {
        let (what, name) = match self.random.below(3) {
            0 => (Silence::Everything, "connections forgotten"),
            1 => (Silence::Answers, "answers swallowed"),
            _ => (Silence::HalfAnAnswer, "answers halved"),
        };
        system.redis.silence_connections(what);
        // A claim whose answer is lost leaves a lease without a holder.
        if !matches!(what, Silence::Everything) {
            let now = now_ms();
            self.log.redis_down.push((now, now + SILENT_MS));
        }
        self.count(name);
    }

    /// Sends updates that cannot be read among the others.
    fn unreadable_updates(&mut self, system: &System) -> anyhow::Result<()> {
        let address = format!("{}/sim/updates", system.simulator);
        for _ in 0..=self.random.below(3) {
            let chat = load::chat(self.random.next()).to_string();
            let update = UNREADABLE_UPDATES
                .get(self.random.index(UNREADABLE_UPDATES.len()))
                .copied()
                .unwrap_or_default();
            let update = replace_all(update, b"%CHAT%", chat.as_bytes());
            ureq::post(&address).send(&update[..]).context("sending a strange update")?;
            self.count("unreadable update");
        }
        Ok(())
    }

    /// Another program fetches the updates for a while.
    fn second_poller(&mut self, system: &System) -> anyhow::Result<()> {
        let times = 1 + self.random.below(3);
        add_fault(system, &json!({"method": "getUpdates", "fault": "409", "count": times}))?;
        self.count("second poller");
        Ok(())
    }

    /// The next answers are those of an old Bot API server.
    fn old_server(&mut self, system: &System) -> anyhow::Result<()> {
        for method in ["getMe", "sendMessage", "editMessageText", "getWebhookInfo"] {
            let times = 1 + self.random.below(20);
            add_fault(system, &json!({"method": method, "fault": "bare", "count": times}))?;
        }
        self.count("old Bot API");
        Ok(())
    }

    /// Kills or freezes a Redis until later.
    fn disturb_redis(&mut self, system: &mut System, frozen: bool) {
        let key = self.key();
        if !system.redis.is_healthy() {
            return;
        }
        self.stop_redis(system, key, frozen);
        let down = match (system.redis.is_cluster(), frozen) {
            (true, _) => NODE_DOWN_MS,
            (false, true) => REDIS_FROZEN_MS,
            (false, false) => DOWN_MS,
        };
        self.scheduled.push((Instant::now() + self.random.duration(down), Scheduled::RestoreRedis));
        self.count(if frozen { "Redis frozen" } else { "Redis killed" });
        // If a coordinator confirmed an update that it could not submit yet, this loses it.
        let coordinator = Target::Coordinator(self.random.index(COORDINATORS));
        self.scheduled
            .push((Instant::now() + self.random.duration(SOON_MS), Scheduled::Kill(coordinator)));
    }

    fn fail_over(&mut self, system: &mut System) {
        let key = self.key();
        if system.redis.is_cluster() && system.redis.is_healthy() {
            let began = now_ms();
            system.redis.fail_over(key);
            self.log.redis_down.push((began, now_ms()));
            self.count("forced failover");
        }
    }

    fn key(&mut self) -> &'static str {
        KEYS.get(self.random.index(KEYS.len())).copied().unwrap_or_default()
    }

    fn cut_connections(&mut self, system: &System) {
        for kind in ["normal", "pubsub"] {
            system.redis.ask_all(&["CLIENT", "KILL", "TYPE", kind]);
        }
        self.count("connections cut");
    }

    fn telegram_error(&mut self, system: &System) -> anyhow::Result<()> {
        let methods = ["sendMessage", "editMessageText", "getUpdates", "answerCallbackQuery"];
        let faults = ["429", "500", "drop", "apply_then_drop", "delay"];
        let pick = |list: &[&'static str], index: usize| list.get(index).copied();
        let method = pick(&methods, self.random.index(methods.len())).unwrap_or("sendMessage");
        let fault = pick(&faults, self.random.index(faults.len())).unwrap_or("429");
        let body: Value = json!({
            "method": method, "fault": fault, "retry_after": 1, "delay_ms": 1_500,
            "count": 1 + self.random.below(4),
        });
        add_fault(system, &body)?;
        self.count("Telegram error");
        Ok(())
    }
}

fn replace_all(text: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        let (before, after) = rest.split_at(at);
        filled.extend_from_slice(before);
        filled.extend_from_slice(with);
        rest = after.get(mark.len()..).unwrap_or_default();
    }
    filled.extend_from_slice(rest);
    filled
}

fn slot(system: &mut System, target: Target) -> &mut Option<crate::service::Service> {
    let (list, index) = match target {
        Target::Worker(index) => (&mut system.workers, index),
        Target::Coordinator(index) => (&mut system.coordinators, index),
    };
    if list.len() <= index {
        list.resize_with(index + 1, || None);
    }
    #[expect(clippy::indexing_slicing, reason = "the line above makes it long enough")]
    &mut list[index]
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the next answers of the simulated Telegram fail.
fn add_fault(system: &System, fault: &Value) -> anyhow::Result<()> {
    let address = format!("{}/sim/faults", system.simulator);
    ureq::post(&address).send_json(fault).context("adding a fault to the simulator")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_put_in_at_each_mark() {
        let filled = replace_all(b"a%CHAT%b%CHAT%", b"%CHAT%", b"17");
        assert_eq!(filled, b"a17b17");
        assert!(UNREADABLE_UPDATES.iter().all(|update| update.starts_with(b"{\"update_id\":%ID%")));
    }
}
