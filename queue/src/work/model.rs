//! Compares the scripts with a model of the queue in plain Rust, under random operations.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use test_kit::TestRedis;

use crate::client::task_queue::TaskQueue;
use crate::config::QueueConfig;
use crate::error::SubmitError;
use crate::submit::Submitted;
use crate::task::{FailureCode, Lane, Task, TaskId, TaskResult, TaskStatus, TaskType};
use crate::work::demand::{Claimed, Demand};
use crate::work::finish::FinishItem;
use crate::work::lease::{Finish, Finished, Lease, Renewal};
use crate::work::reclaim::sweep;

const USERS: i64 = 4;
const CAUSES: u32 = 12;
const USER_CAP: u64 = 5;
const MAX_PENDING: u64 = 9;
const MAX_CRASHES: u32 = 2;
/// Short, so that a test can wait for its end. Only a sweep acts on it.
const LEASE: Duration = Duration::from_millis(2);
const AFTER_THE_LEASE: Duration = Duration::from_millis(6);

#[derive(Debug, Clone)]
enum Step {
    Submit {
        user: i64,
        cause: u32,
    },
    Claim(Demand),
    /// Renews any of the leases so far; says that its task has started, or that it has not.
    Renew {
        which: usize,
        started: bool,
    },
    /// Ends any of the leases so far, with its own token, and claims in the same call.
    End {
        which: usize,
        how: How,
        claims: Demand,
    },
    Cancel {
        cause: u32,
    },
    /// All workers die: their leases end, and a sweep reclaims the tasks.
    Die,
    Pause(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Done,
    Fail,
    Requeue,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Done), Just(How::Fail), Just(How::Requeue)]
}

fn demand() -> impl Strategy<Value = Demand> {
    (0..4_usize, 0..3_usize).prop_map(|(room, ahead)| Demand { room, ahead })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..USERS, 0..CAUSES).prop_map(|(user, cause)| Step::Submit { user, cause }),
        3 => demand().prop_map(Step::Claim),
        2 => (0..8_usize, any::<bool>()).prop_map(|(which, started)| Step::Renew { which, started }),
        5 => (0..8_usize, how(), demand())
            .prop_map(|(which, how, claims)| Step::End { which, how, claims }),
        1 => (0..CAUSES).prop_map(|cause| Step::Cancel { cause }),
        1 => Just(Step::Die),
        1 => any::<bool>().prop_map(Step::Pause),
    ]
}

/// Where a task is that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    /// Waiting, because its worker died while it held the task unstarted.
    Suspect,
    /// A worker holds it until there is room.
    Ahead,
    Running,
}

/// A task in the model.
#[derive(Debug, Clone)]
struct ModelTask {
    user: i64,
    token: u64,
    place: Place,
    cancel_requested: bool,
    crashes: u32,
    ended: Option<TaskStatus>,
}

/// The queue in plain Rust.
#[derive(Debug, Default)]
struct Model {
    tasks: BTreeMap<u32, ModelTask>,
    /// Ready tasks: virtual start, order of arrival, id, cause. Returned tasks come before new ones.
    ready: Vec<(u64, u64, String, u32)>,
    finish: HashMap<i64, u64>,
    vtime: u64,
    serial: u64,
    paused: bool,
}

impl Model {
    fn live(&self, user: i64) -> u64 {
        let live = self.tasks.values().filter(|task| task.user == user && task.ended.is_none());
        live.count() as u64
    }

    fn submit(&mut self, user: i64, cause: u32) -> Result<Submitted, &'static str> {
        if self.tasks.contains_key(&cause) {
            return Ok(Submitted::Already);
        }
        let pending = self.ready.len() as u64;
        if pending >= MAX_PENDING {
            return Err("full");
        }
        if self.live(user) >= USER_CAP {
            return Err("user");
        }
        if self.live(user) == 0 {
            self.finish.remove(&user);
        }
        let start = self.vtime.max(self.finish.get(&user).copied().unwrap_or(0));
        self.finish.insert(user, start + 1);
        self.ready.push((start, self.serial, id(cause), cause));
        self.serial += 1;
        let known = ModelTask {
            user,
            token: 0,
            place: Place::Waiting,
            cancel_requested: false,
            crashes: 0,
            ended: None,
        };
        self.tasks.insert(cause, known);
        Ok(Submitted::New { ahead: pending })
    }

    /// Cause of each claimed task, in the order of the claim, and whether it starts.
    fn claim(&mut self, demand: Demand) -> Vec<(u32, bool)> {
        if self.paused {
            return Vec::new();
        }
        self.ready.sort_unstable();
        let most = demand.room + demand.ahead;
        let taken: Vec<_> = self.ready.drain(..most.min(self.ready.len())).collect();
        // A task that is not read ahead takes its place first.
        let suspects =
            taken.iter().filter(|(.., cause)| self.tasks[cause].place == Place::Suspect).count();
        let mut room_for_suspects = demand.room.min(suspects);
        let mut room = demand.room.saturating_sub(suspects);
        let mut claimed = Vec::new();
        for ready in taken {
            let (start, _, _, cause) = ready;
            self.vtime = self.vtime.max(start);
            let task = self.tasks.get_mut(&cause).unwrap();
            let suspect = task.place == Place::Suspect;
            if suspect && room_for_suspects == 0 {
                self.ready.push(ready);
                continue;
            }
            let room = if suspect { &mut room_for_suspects } else { &mut room };
            task.place = if *room > 0 { Place::Running } else { Place::Ahead };
            *room = room.saturating_sub(1);
            task.token += 1;
            task.cancel_requested = false;
            claimed.push((cause, task.place == Place::Running));
        }
        claimed
    }

    fn renew(&mut self, cause: u32, token: u64, started: bool) -> Renewal {
        let task = self.tasks.get_mut(&cause).unwrap();
        if task.ended.is_some() || task.token != token {
            return Renewal::Lost;
        }
        if started {
            task.place = Place::Running;
        }
        if task.cancel_requested { Renewal::CancelRequested } else { Renewal::Renewed }
    }

    fn send_back(&mut self, cause: u32, suspect: bool) {
        let task = self.tasks.get_mut(&cause).unwrap();
        task.place = if suspect { Place::Suspect } else { Place::Waiting };
        task.token += 1;
        self.ready.push((self.vtime, 0, id(cause), cause));
    }

    fn end(&mut self, cause: u32, token: u64, how: How) -> Finished {
        let task = self.tasks.get_mut(&cause).unwrap();
        if task.ended.is_some() || task.token != token {
            return Finished::Stale;
        }
        match how {
            How::Done => task.ended = Some(TaskStatus::Completed),
            How::Fail => task.ended = Some(TaskStatus::Failed),
            How::Requeue if task.cancel_requested => task.ended = Some(TaskStatus::Cancelled),
            How::Requeue => {
                self.send_back(cause, false);
                return Finished::Requeued;
            }
        }
        Finished::Stored
    }

    fn cancel(&mut self, cause: u32) -> bool {
        let Some(task) = self.tasks.get_mut(&cause).filter(|task| task.ended.is_none()) else {
            return false;
        };
        if task.place == Place::Running {
            task.cancel_requested = true;
            return true;
        }
        task.ended = Some(TaskStatus::Cancelled);
        self.ready.retain(|(_, _, _, waiting)| *waiting != cause);
        true
    }

    fn die(&mut self) -> (usize, usize) {
        let live: Vec<(u32, Place)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.ended.is_none())
            .map(|(cause, task)| (*cause, task.place))
            .collect();
        let mut reclaimed = 0;
        let mut crashed = 0;
        for (cause, place) in live {
            let task = self.tasks.get_mut(&cause).unwrap();
            match place {
                Place::Waiting | Place::Suspect => {}
                Place::Ahead => {
                    self.send_back(cause, true);
                    reclaimed += 1;
                }
                Place::Running if task.cancel_requested => {
                    task.ended = Some(TaskStatus::Cancelled);
                }
                Place::Running => {
                    task.crashes += 1;
                    if task.crashes > MAX_CRASHES {
                        task.ended = Some(TaskStatus::Failed);
                        crashed += 1;
                    } else {
                        self.send_back(cause, false);
                        reclaimed += 1;
                    }
                }
            }
        }
        (reclaimed, crashed)
    }

    fn status(&self, cause: u32) -> Option<TaskStatus> {
        let task = self.tasks.get(&cause)?;
        Some(match (task.ended, task.place) {
            (Some(ended), _) => ended,
            (None, Place::Running) => TaskStatus::Processing,
            (None, _) => TaskStatus::Pending,
        })
    }
}

fn kind() -> TaskType {
    "model".parse().unwrap()
}

fn lane() -> Lane {
    Lane::whole(&kind())
}

fn task(user: i64, cause: u32) -> Task {
    let mut task = Task::new(kind(), user, serde_json::Map::new());
    task.task_id = TaskId::from_cause(&lane(), &cause.to_string());
    task.params.insert("cause".to_owned(), cause.into());
    task.reply_to = Some(serde_json::json!({}));
    task
}

fn id(cause: u32) -> String {
    TaskId::from_cause(&lane(), &cause.to_string()).as_str().to_owned()
}

fn cause_of(lease: &Lease) -> u32 {
    u32::try_from(lease.task.params["cause"].as_u64().unwrap()).unwrap()
}

/// A lease, and the token that the model gave it.
type Given = (Lease, u32, u64);

async fn play(queue: &TaskQueue, steps: &[Step]) {
    let mut model: Model = Model::default();
    let mut given: Vec<Given> = Vec::new();
    for step in steps {
        one_step(queue, &mut model, &mut given, step).await;
        for cause in 0..CAUSES {
            let status = queue.task_status(&task(0, cause).task_id).await.unwrap();
            assert_eq!(status, model.status(cause), "task {cause} after {step:?}");
        }
    }
    drain(queue, &mut model).await;
}

async fn one_step(queue: &TaskQueue, model: &mut Model, given: &mut Vec<Given>, step: &Step) {
    match *step {
        Step::Submit { user, cause } => {
            let expected = model.submit(user, cause);
            let found = queue.submit_task(&task(user, cause)).await.map_err(|error| match error {
                SubmitError::QueueFull { .. } => "full",
                SubmitError::UserLimit { .. } => "user",
                other => panic!("{other}"),
            });
            assert_eq!(found, expected, "{step:?}");
        }
        Step::Claim(demand) => {
            let expected = model.claim(demand);
            let claimed = queue.claim_lane(&lane(), "w", demand).await.unwrap();
            check_claimed(model, given, step, &expected, claimed);
        }
        Step::Renew { which, started } => {
            if given.is_empty() {
                return;
            }
            let (lease, cause, token) = &given[which % given.len()];
            let found = queue.renew_started(&[(lease, started)]).await.unwrap();
            assert_eq!(found, [Some(model.renew(*cause, *token, started))], "{step:?} of {cause}");
        }
        Step::End { which, how, claims } => {
            if given.is_empty() {
                return;
            }
            let (lease, cause, token) = given[which % given.len()].clone();
            let finish = match how {
                How::Done => Finish::Done,
                How::Fail => Finish::Failed,
                How::Requeue => Finish::Requeue,
            };
            let result = TaskResult::failure(FailureCode::PluginFailed, "x");
            let items = [FinishItem::by_holder(&lease, finish, &result)];
            let (mut replies, claimed) =
                queue.finish_and_claim(&lane(), &items, "w", claims).await.unwrap();
            let found = replies.remove(0).for_holder().unwrap();
            assert_eq!(found, model.end(cause, token, how), "{step:?} of {cause}");
            let expected = model.claim(claims);
            check_claimed(model, given, step, &expected, claimed);
        }
        Step::Cancel { cause } => {
            let found = queue.cancel(&task(0, cause).task_id).await.unwrap();
            assert_eq!(found, model.cancel(cause), "{step:?}");
        }
        Step::Die => {
            tokio::time::sleep(AFTER_THE_LEASE).await;
            let swept = sweep(queue).await.unwrap();
            assert_eq!((swept.reclaimed, swept.crashed), model.die());
        }
        Step::Pause(paused) => {
            model.paused = paused;
            queue.set_paused(&kind(), paused).await.unwrap();
        }
    }
}

fn check_claimed(
    model: &Model,
    given: &mut Vec<Given>,
    step: &Step,
    expected: &[(u32, bool)],
    claimed: Claimed,
) {
    let found: Vec<(u32, bool)> =
        claimed.leases.iter().map(|lease| (cause_of(lease), !lease.read_ahead)).collect();
    assert_eq!(found, expected, "{step:?}");
    for lease in claimed.leases {
        let cause = cause_of(&lease);
        assert_eq!(lease.crashes, model.tasks[&cause].crashes);
        given.push((lease, cause, model.tasks[&cause].token));
    }
}

/// Ends everything. Then no live key is left, and each task was answered once.
async fn drain(queue: &TaskQueue, model: &mut Model) {
    queue.set_paused(&kind(), false).await.unwrap();
    loop {
        tokio::time::sleep(AFTER_THE_LEASE).await;
        sweep(queue).await.unwrap();
        let leases = queue.claim(&[kind()], "w", 100).await.unwrap();
        if leases.is_empty() {
            break;
        }
        let done: Vec<_> = leases
            .into_iter()
            .map(|lease| (lease, Finish::Done, TaskResult::success(1.into())))
            .collect();
        queue.store_results(&done).await.unwrap();
    }
    let keys = queue.keys();
    let live = [
        keys.queue(&lane()),
        keys.active(&lane()),
        keys.ahead(&lane()),
        keys.delayed(&lane()),
        keys.deadline(&lane()),
        keys.data(&lane()),
        keys.users(&lane()),
    ];
    let left: u64 =
        redis::cmd("EXISTS").arg(&live).query_async(&mut queue.connection()).await.unwrap();
    assert_eq!(left, 0, "live keys are left behind");
    let replies: usize = redis::cmd("XLEN")
        .arg(keys.replies(&lane()))
        .query_async(&mut queue.connection())
        .await
        .unwrap();
    assert_eq!(replies, model.tasks.len(), "one answer for each accepted task");
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let redis = TestRedis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let case = std::sync::atomic::AtomicU32::new(0);
    let config =
        ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step(), 1..50))| {
        let number = case.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let config = QueueConfig {
            namespace: format!("case-{number}"),
            lease: LEASE,
            user_cap: USER_CAP,
            max_pending: MAX_PENDING,
            max_crashes: MAX_CRASHES,
            ..QueueConfig::default()
        };
        runtime.block_on(async {
            let queue = TaskQueue::connect(&redis.url(), config).await.unwrap();
            play(&queue, &steps).await;
        });
    });
}
