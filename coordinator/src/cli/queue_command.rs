//! `coordinator queue`: shows and controls the queue.

use std::io::Write;
use std::time::Duration;

use queue::admin::ReplayError;
use queue::{STUCK_AFTER, TaskId, TaskQueue, TaskType};
use serde_json::json;

use super::history::History;
use super::limit::Limit;
use super::outcome::Outcome;
use super::print;
use super::queue_args::QueueArgs;

/// Tasks and dead letters that are listed by default.
const LIST_AT_MOST: usize = 50;
/// Dead letters of a type that are looked through for one task.
const DEAD_LOOKED_THROUGH: usize = 10_000;

/// Shows and controls the queue.
#[derive(Debug, clap::Args)]
pub struct QueueCommand {
    #[command(flatten)]
    redis: QueueArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows every task type: its waiting, running, stuck and dead tasks, the age of the oldest, and whether a worker offers it.
    Stats(Stats),
    /// Lists the unanswered tasks of a type, or its dead letters.
    List(List),
    /// Shows one task, its result if it has one, and its dead letter if it failed for good.
    Show(Show),
    /// Lists finished tasks by any filter, or shows the timeline of one.
    History(History),
    /// Cancels a task: at once if it waits, within 2 s if it runs. Its sender is told.
    Cancel(Cancel),
    /// Submits a dead letter's task again.
    Replay(Replay),
    /// Shows or sets how many tasks of a type may run at once, start in a time, wait, and belong to one person.
    Limit(Limit),
    /// Lets a worker take no more tasks, or take them again. What it runs goes on.
    Drain(Drain),
    /// Stops handing out a type's tasks. Running tasks go on.
    Pause(Pause),
    /// Hands out a type's tasks again.
    Resume(Resume),
}

#[derive(Debug, clap::Args)]
struct Stats {
    /// A task that has run for longer than this counts as stuck, in seconds.
    #[arg(long, default_value_t = STUCK_AFTER.as_secs())]
    stuck_after: u64,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The task type.
    task_type: TaskType,
    /// List the dead letters instead, newest first.
    #[arg(long)]
    dead: bool,
    /// Most entries to list.
    #[arg(long, default_value_t = LIST_AT_MOST)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The task's id.
    task_id: TaskId,
}

#[derive(Debug, clap::Args)]
struct Cancel {
    /// The task's id.
    task_id: TaskId,
}

#[derive(Debug, clap::Args)]
struct Replay {
    /// The task type.
    task_type: TaskType,
    /// The dead letter's entry, as `list --dead` shows it. Default: all dead letters.
    entry: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Drain {
    /// The worker's id, as `stats` shows it.
    worker: String,
    /// Take tasks again.
    #[arg(long)]
    off: bool,
}

#[derive(Debug, clap::Args)]
struct Pause {
    /// The task type.
    task_type: TaskType,
}

#[derive(Debug, clap::Args)]
struct Resume {
    /// The task type.
    task_type: TaskType,
}

impl QueueCommand {
    /// Runs the subcommand.
    pub(super) async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let queue = self.redis.connect().await?;
        let json = self.redis.json;
        match self.action {
            Action::Stats(stats) => stats.run(&queue, json, out).await,
            Action::List(list) => list.run(&queue, json, out).await,
            Action::Show(show) => show.run(&queue, out).await,
            Action::History(history) => history.run(&queue, json, out).await,
            Action::Cancel(cancel) => cancel.run(&queue, out).await,
            Action::Replay(replay) => replay.run(&queue, out).await,
            Action::Limit(limit) => limit.run(&queue, json, out).await,
            Action::Drain(drain) => drain.run(&queue, out).await,
            Action::Pause(pause) => pause.run(&queue, out).await,
            Action::Resume(resume) => resume.run(&queue, out).await,
        }
    }
}

impl Stats {
    async fn run(
        self,
        queue: &TaskQueue,
        json: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<Outcome> {
        let types = queue.stats(Duration::from_secs(self.stuck_after)).await?;
        let workers = queue.workers().await?;
        if json {
            print::json(out, &json!({"types": types, "workers": workers}))?;
        } else {
            print::stats(out, &types, &workers)?;
        }
        Ok(Outcome::Done)
    }
}

impl List {
    async fn run(
        self,
        queue: &TaskQueue,
        json: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<Outcome> {
        if self.dead {
            let letters = queue.dead_letters(&self.task_type, self.limit).await?;
            if json {
                print::json(out, &json!({"dead": letters}))?;
            } else {
                print::dead(out, &letters)?;
            }
            return Ok(Outcome::Done);
        }
        let tasks = queue.list(&self.task_type, self.limit).await?;
        if json {
            print::json(out, &json!({"tasks": tasks}))?;
        } else {
            print::tasks(out, &tasks)?;
        }
        Ok(Outcome::Done)
    }
}

impl Show {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let id = self.task_id;
        let live = queue.show(&id).await?;
        let status = queue.task_status(&id).await?;
        let result = queue.get_result(&id, Duration::ZERO).await?;
        // It has the task with its params, as a live task has, for as long as it can be replayed.
        let dead = match &live {
            Some(_) => None,
            None => queue.dead_letter_of(&id, DEAD_LOOKED_THROUGH).await?,
        };
        if live.is_none() && status.is_none() && result.is_none() && dead.is_none() {
            writeln!(out, "there is no task {id}; results are kept for 5 minutes")?;
            return Ok(Outcome::NotFound);
        }
        let found = json!({
            "task_id": id, "status": status, "live": live, "result": result, "dead": dead,
        });
        print::json(out, &found)?;
        Ok(Outcome::Done)
    }
}

impl Cancel {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let id = self.task_id;
        if !queue.cancel(&id).await? {
            writeln!(out, "{id} has ended, or never was")?;
            return Ok(Outcome::NotFound);
        }
        writeln!(out, "{id} is cancelled")?;
        Ok(Outcome::Done)
    }
}

impl Replay {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let entries = match self.entry {
            Some(entry) => vec![entry],
            None => {
                let letters = queue.dead_letters(&self.task_type, usize::from(u16::MAX)).await?;
                letters.into_iter().map(|letter| letter.entry).collect()
            }
        };
        let mut outcome = Outcome::Done;
        for entry in entries {
            match queue.replay(&self.task_type, &entry).await {
                Ok(task_id) => writeln!(out, "{entry} is {task_id} now")?,
                Err(error @ ReplayError::NotFound { .. }) => {
                    writeln!(out, "{error}")?;
                    outcome = Outcome::NotFound;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(outcome)
    }
}

impl Drain {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let worker = self.worker;
        if !queue.set_drained(&worker, !self.off).await? {
            writeln!(out, "no worker {worker} is alive")?;
            return Ok(Outcome::NotFound);
        }
        let does = if self.off { "takes tasks again" } else { "takes no more tasks" };
        writeln!(out, "{worker} {does}, within 5 s")?;
        Ok(Outcome::Done)
    }
}

impl Pause {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        queue.set_paused(&self.task_type, true).await?;
        writeln!(out, "{} is paused", self.task_type)?;
        Ok(Outcome::Done)
    }
}

impl Resume {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        queue.set_paused(&self.task_type, false).await?;
        writeln!(out, "{} goes on", self.task_type)?;
        Ok(Outcome::Done)
    }
}
