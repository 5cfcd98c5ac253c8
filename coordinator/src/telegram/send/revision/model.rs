//! All that can happen to one message, played out: changes of different turns, in several coordinators, whose calls
//! arrive late, get lost, time out, or whose coordinator dies. When everything has come to an end the message shows what
//! was asked last.
//!
//! [`Fence`] is `admit.lua` and `edit_arrived.lua` in plain Rust; `the_scripts_do_what_the_model_does` holds them together.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use queue::{QueueConfig, Script, TaskQueue};
use test_kit::TestRedis;

/// What Redis knows of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Fence {
    pub(super) newest: u64,
    /// Token and rank of each that may still arrive.
    pub(super) on_their_way: BTreeMap<u64, u64>,
}

/// The decision about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Begun { beside: bool },
    Busy,
    Superseded { newest: u64 },
}

impl Fence {
    pub(super) fn begin(&mut self, rank: u64, token: u64, beside: bool) -> Said {
        if rank < self.newest {
            return Said::Superseded { newest: self.newest };
        }
        let older = self.on_their_way.values().any(|of| *of != rank);
        if older && !beside {
            return Said::Busy;
        }
        self.newest = rank;
        self.on_their_way.insert(token, rank);
        Said::Begun { beside: older }
    }

    pub(super) fn arrived(&mut self, token: u64) {
        self.on_their_way.remove(&token);
    }
}

/// The rule that is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    /// The one that is in force.
    Fenced,
    /// It is decided whether a change may be shown, and then it is shown.
    TwoSteps,
    /// As in production, but edits that went beside others are not repeated.
    NoRepeat,
    /// As in force, but a call that got no answer counts as over.
    ForgetsTheLost,
    /// As in production, but there is one in-flight entry for each turn: another attempt replaces the first one's.
    OneForEachRank,
}

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// It is going to ask.
    Asks,
    /// Its call of this number was made.
    Calls(u64),
    /// It was shown beside others, and is going to ask again.
    AsksAgain,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Editor {
    rank: u64,
    stage: Stage,
    /// Whether the call under way goes beside others.
    beside: bool,
    /// It was shown beside others: it goes again only when it is the last.
    shown: bool,
    /// Words about a wait are not tried again.
    word: bool,
}

/// A call in flight to Telegram. Its sender may have given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Call {
    number: u64,
    rank: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    rule: Rule,
    fence: Fence,
    editors: Vec<Editor>,
    in_the_air: Vec<Call>,
    /// Numbers of calls that Telegram has done.
    done: Vec<u64>,
    /// The rank of what the message shows.
    shows: u64,
    /// How often a call may still get lost, time out or lose its coordinator.
    troubles: u32,
    /// How often a change may still start without waiting for others.
    impatience: u32,
    calls: u64,
}

impl World {
    fn new(rule: Rule, ranks: &[u64], troubles: u32, impatience: u32) -> Self {
        let editor = |rank: &u64| Editor {
            rank: *rank,
            stage: Stage::Asks,
            beside: false,
            shown: false,
            word: rank.is_multiple_of(2),
        };
        Self {
            rule,
            fence: Fence::default(),
            editors: ranks.iter().map(editor).collect(),
            in_the_air: Vec::new(),
            done: Vec::new(),
            shows: 0,
            troubles,
            impatience,
            calls: 0,
        }
    }

    /// The name under which a call is noted.
    fn token(&self, call: Call) -> u64 {
        if self.rule == Rule::OneForEachRank { call.rank } else { call.number }
    }

    /// Every state that one step leads to.
    fn next(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (address, editor) in self.editors.iter().enumerate() {
            match editor.stage {
                Stage::Asks | Stage::AsksAgain => {
                    all.extend(self.ask(address, false));
                    if self.impatience > 0 && !editor.shown && !editor.word {
                        let mut world = self.clone();
                        world.impatience -= 1;
                        all.extend(world.ask(address, true));
                    }
                    if editor.stage == Stage::AsksAgain {
                        all.extend(self.trouble().map(|world| world.taken_over(address)));
                    }
                }
                Stage::Calls(number) => {
                    let call = Call { number, rank: editor.rank };
                    if self.done.contains(&number) {
                        all.push(self.answered(address, call));
                    }
                    // No answer came in time, or its coordinator died.
                    let lost = !self.done.contains(&number) && !self.in_the_air.contains(&call);
                    let given_up = if lost { Some(self.clone()) } else { self.trouble() };
                    all.extend(given_up.map(|mut world| {
                        if world.rule == Rule::ForgetsTheLost {
                            world.fence.arrived(world.token(call));
                        }
                        world.taken_over(address)
                    }));
                }
                Stage::Over => {}
            }
        }
        for (address, call) in self.in_the_air.iter().enumerate() {
            let mut arrived = self.clone();
            arrived.in_the_air.remove(address);
            arrived.done.push(call.number);
            arrived.done.sort_unstable();
            arrived.shows = call.rank;
            all.push(arrived);
            all.extend(self.trouble().map(|mut world| {
                world.in_the_air.remove(address);
                world
            }));
        }
        // The time of a note is up. It is as long as the call that it names can be in the air or waited for.
        for token in self.fence.on_their_way.keys() {
            let flies = self.in_the_air.iter().any(|call| self.token(*call) == *token);
            let waited_for = self.editors.iter().any(|editor| match editor.stage {
                Stage::Calls(number) => self.token(Call { number, rank: editor.rank }) == *token,
                _ => false,
            });
            if !flies && !waited_for {
                let mut world = self.clone();
                world.fence.arrived(*token);
                all.push(world);
            }
        }
        all
    }

    /// The same or another coordinator starts a change again. Progress notes are not repeated.
    fn taken_over(mut self, address: usize) -> Self {
        let editor = &mut self.editors[address];
        editor.stage = if editor.word { Stage::Over } else { Stage::Asks };
        (editor.beside, editor.shown) = (false, false);
        self
    }

    fn trouble(&self) -> Option<Self> {
        let troubles = self.troubles.checked_sub(1)?;
        Some(Self { troubles, ..self.clone() })
    }

    /// An editor asks, and makes its call when it may. None when it has to ask again and nothing has changed.
    fn ask(&self, address: usize, beside: bool) -> Option<Self> {
        let mut world = self.clone();
        let Editor { rank, .. } = world.editors[address];
        let call = Call { number: world.calls + 1, rank };
        let token = world.token(call);
        let said = match world.rule {
            Rule::TwoSteps if rank < world.fence.newest => {
                Said::Superseded { newest: world.fence.newest }
            }
            Rule::TwoSteps => {
                world.fence.newest = rank;
                Said::Begun { beside: false }
            }
            _ => world.fence.begin(rank, token, beside),
        };
        let editor = &mut world.editors[address];
        match said {
            // A progress note is dropped; every other change asks again.
            Said::Busy if !editor.word => return None,
            Said::Busy | Said::Superseded { .. } => editor.stage = Stage::Over,
            Said::Begun { beside } => {
                (editor.stage, editor.beside) = (Stage::Calls(call.number), beside);
                world.calls += 1;
                world.in_the_air.push(call);
            }
        }
        Some(world)
    }

    /// Telegram's answer reaches an editor.
    fn answered(&self, address: usize, call: Call) -> Self {
        let mut world = self.clone();
        world.fence.arrived(world.token(call));
        let editor = &mut world.editors[address];
        editor.stage = Stage::Over;
        if editor.beside && !editor.word && world.rule != Rule::NoRepeat {
            (editor.stage, editor.shown) = (Stage::AsksAgain, true);
        }
        world
    }

    /// The rank that the message must show in the end.
    fn last(&self) -> u64 {
        let asked = self.editors.iter().filter(|editor| !editor.word);
        asked.map(|editor| editor.rank).max().unwrap_or(0)
    }
}

/// Plays everything that can happen. How many ends there are, or the first that is wrong.
fn play(world: World) -> Result<usize, Box<World>> {
    let mut seen = HashSet::new();
    let mut open = vec![world];
    let mut ends = 0;
    while let Some(world) = open.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        let next = world.next();
        if next.is_empty() {
            ends += 1;
            if world.shows != world.last() {
                return Err(Box::new(world));
            }
            // Nobody waits for what will never come.
            assert!(world.editors.iter().all(|editor| editor.stage == Stage::Over), "{world:?}");
        }
        open.extend(next);
    }
    Ok(ends)
}

/// Answers and pages of turns 1 to 3, and a progress note for turn 2.
const TWO: &[u64] = &[3, 5];
const WITH_A_WORD: &[u64] = &[3, 4, 5];
const THREE: &[u64] = &[3, 5, 7];

#[test]
fn what_was_asked_last_stands_whatever_happens() {
    for (ranks, troubles, impatience) in
        [(TWO, 3, 3), (WITH_A_WORD, 2, 2), (THREE, 1, 2), (&[2, 3], 3, 3), (&[2, 3, 5], 2, 2)]
    {
        match play(World::new(Rule::Fenced, ranks, troubles, impatience)) {
            Ok(ends) => assert!(ends > 0, "{ranks:?}"),
            Err(world) => panic!("{ranks:?}: {world:#?}"),
        }
    }
}

#[test]
fn the_model_sees_what_lesser_rules_do_wrong() {
    let wrong = |rule, ranks, troubles, impatience| {
        play(World::new(rule, ranks, troubles, impatience)).is_err()
    };
    assert!(wrong(Rule::TwoSteps, TWO, 0, 0), "decided, then shown");
    assert!(wrong(Rule::TwoSteps, &[2, 3], 0, 0), "a word covers its answer");
    assert!(wrong(Rule::NoRepeat, TWO, 0, 1));
    assert!(wrong(Rule::ForgetsTheLost, TWO, 1, 0));
    assert!(wrong(Rule::OneForEachRank, TWO, 1, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Begin {
        rank: u64,
        beside: bool,
        /// Its time is up before the next step.
        brief: bool,
    },
    /// One of those that were begun, or none.
    Arrived { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let begin = (0_u64..6, any::<bool>(), prop::bool::weighted(0.2))
        .prop_map(|(rank, beside, brief)| Step::Begin { rank, beside, brief });
    let arrived = (0_usize..12).prop_map(|which| Step::Arrived { which });
    prop::collection::vec(prop_oneof![2 => begin, 1 => arrived], 1..24)
}

const ROOM: &str = include_str!("../admit.lua");
const ARRIVED: &str = include_str!("../edit_arrived.lua");

/// Longer than a short change is in flight.
const AFTER_A_BRIEF_ONE: Duration = Duration::from_millis(4);

async fn ask(queue: &TaskQueue, key: &str, rank: u64, token: u64, of: (bool, bool)) -> Said {
    let (beside, brief) = of;
    let script = Script::new(ROOM);
    let mut call = script.prepare();
    for unused in 1..=6 {
        call.key(format!("{key}:{unused}"));
    }
    // One message, and no rules.
    call.key(key).arg(1).arg(0);
    call.arg(rank).arg(format!("{token:x}")).arg(if brief { 1 } else { 50_000 });
    call.arg(u8::from(beside)).arg(60_000);
    let words: Vec<String> = call.run(&mut queue.connection()).await.unwrap();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["begun", older] => Said::Begun { beside: *older == "1" },
        ["busy"] => Said::Busy,
        ["late", newest] => Said::Superseded { newest: newest.parse().unwrap() },
        other => panic!("{other:?}"),
    }
}

async fn compare(queue: &TaskQueue, key: &str, steps: Vec<Step>) {
    let mut fence = Fence::default();
    let mut begun = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Begin { rank, beside, brief } => {
                let token = u64::try_from(number).unwrap() + 9;
                let expected = fence.begin(rank, token, beside);
                let said = ask(queue, key, rank, token, (beside, brief)).await;
                assert_eq!(said, expected, "step {number}");
                if let Said::Begun { .. } = said {
                    begun.push(token);
                    if brief {
                        tokio::time::sleep(AFTER_A_BRIEF_ONE).await;
                        fence.arrived(token);
                    }
                }
            }
            Step::Arrived { which } => {
                let Some(token) = begun.get(which).copied() else { continue };
                let script = Script::new(ARRIVED);
                let mut call = script.key(key);
                let _: i64 =
                    call.arg(format!("{token:x}")).run(&mut queue.connection()).await.unwrap();
                fence.arrived(token);
            }
        }
    }
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = TestRedis::start();
    let queue = runtime.block_on(TaskQueue::connect(&redis.url(), QueueConfig::default())).unwrap();
    let runs = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
    proptest!(config, |(steps in steps())| {
        runs.set(runs.get() + 1);
        runtime.block_on(compare(&queue, &format!("{{send}}:{}", runs.get()), steps));
    });
}
