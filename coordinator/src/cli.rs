//! The coordinator's command line: serve the bot, or look at the queue and act on it.
//!
//! Exit codes: 0 done, 1 it did not work, 2 there is no such thing, 64 the call was wrong (sysexits.h).

mod print;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use ops::secret::Secret;
use queue::{
    DistributedWorkerRegistry, QueueConfig, SubmitOptions, Task, TaskId, TaskQueue, TaskType,
};
use serde_json::{Map, Value, json};

use crate::config::Serve;
use crate::menu::owners::{self, now_seconds};

/// There is no such task, dead letter or answer.
const EXIT_NONE: u8 = 2;
/// Tasks and dead letters that are listed when nothing is said.
const LIST_AT_MOST: usize = 50;

/// Turns chat messages into tasks and results into messages.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Without a command the bot is served.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve it.
    #[command(flatten)]
    pub serve: Serve,
}

/// What to do instead of serving the bot.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Looks at the queue and acts on it.
    Queue(QueueCommand),
    /// Submits a task by hand.
    Submit(Submit),
    /// Looks at which plugins the chat commands belong to.
    Commands(CommandsCommand),
}

/// How to reach the queue, and how to print.
#[derive(Debug, clap::Args)]
struct RedisArgs {
    /// Where Redis is.
    #[arg(
        long,
        env = "REDIS_URL",
        default_value = "redis://127.0.0.1:6379",
        hide_env_values = true,
        global = true
    )]
    redis_url: Secret<String>,
    /// File with the certificate (PEM) that Redis' own must be signed by, for `rediss://`; the system's without it.
    #[arg(long, env = "REDIS_CA", global = true)]
    redis_ca: Option<PathBuf>,
    /// Print JSON, one object.
    #[arg(long, global = true)]
    json: bool,
}

/// Looks at the queue and acts on it.
#[derive(Debug, clap::Args)]
pub struct QueueCommand {
    #[command(flatten)]
    redis: RedisArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Every task type: what waits, runs, is stuck or dead, the age of the oldest, and who offers it.
    Stats {
        /// A task that has run for longer than this counts as stuck, in seconds.
        #[arg(long, default_value_t = 35)]
        stuck_after: u64,
    },
    /// Tasks of a type that are not answered, or its dead letters.
    List {
        /// The task type.
        task_type: TaskType,
        /// The dead letters instead, newest first.
        #[arg(long)]
        dead: bool,
        /// At most so many.
        #[arg(long, default_value_t = LIST_AT_MOST)]
        limit: usize,
    },
    /// One task: where it is, and its result when it has one.
    Show {
        /// The task's id.
        task_id: TaskId,
    },
    /// Stops a task: at once when it waits, within 2 s when it runs. Its sender is told.
    Cancel {
        /// The task's id.
        task_id: TaskId,
    },
    /// Submits a dead letter's task again.
    Replay {
        /// The task type.
        task_type: TaskType,
        /// The dead letter's place, as `list --dead` shows it; without it all of them.
        entry: Option<String>,
    },
    /// Stops handing out a type's tasks. What runs runs on.
    Pause {
        /// The task type.
        task_type: TaskType,
    },
    /// Hands out a type's tasks again.
    Resume {
        /// The task type.
        task_type: TaskType,
    },
}

/// Looks at which plugins the chat commands belong to.
#[derive(Debug, clap::Args)]
pub struct CommandsCommand {
    #[command(flatten)]
    redis: RedisArgs,
    #[command(subcommand)]
    action: CommandsAction,
}

#[derive(Debug, Subcommand)]
enum CommandsAction {
    /// Every command of a plugin that is remembered, its plugin, and when that was last seen with it.
    List,
    /// Takes a command away from its plugin: the next that brings it has it.
    Release {
        /// The command, without `/`.
        command: String,
    },
}

/// Submits a task by hand.
#[derive(Debug, clap::Args)]
pub struct Submit {
    #[command(flatten)]
    redis: RedisArgs,
    /// The task type.
    task_type: TaskType,
    /// The params: a JSON object.
    #[arg(default_value = "{}")]
    params: String,
    /// Who asks.
    #[arg(long, default_value_t = 0)]
    user_id: i64,
    /// Wait for the result and print it.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 130)]
    timeout: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// A task was run and failed.
    TaskFailed,
    /// There was nothing to do it to.
    NotFound,
}

impl Outcome {
    /// For the shell.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::TaskFailed => 1,
            Self::NotFound => EXIT_NONE,
        }
    }
}

impl Command {
    /// Carries it out and writes what there is to say to `out`.
    ///
    /// # Errors
    ///
    /// When Redis cannot be reached, or something was refused.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        match self {
            Self::Queue(command) => {
                let queue = command.redis.connect().await?;
                act(&queue, command.action, command.redis.json, out).await
            }
            Self::Submit(submit) => submit.run(out).await,
            Self::Commands(command) => {
                let queue = command.redis.connect().await?;
                command.run(&queue, out).await
            }
        }
    }
}

impl RedisArgs {
    async fn connect(&self) -> anyhow::Result<TaskQueue> {
        let redis_ca = ops::file::read_optional(self.redis_ca.as_deref())?;
        let config = QueueConfig { redis_ca, ..QueueConfig::default() };
        Ok(TaskQueue::connect(self.redis_url.expose(), config).await?)
    }
}

async fn act(
    queue: &TaskQueue,
    action: Action,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Outcome> {
    match action {
        Action::Stats { stuck_after } => {
            let types = queue.stats(Duration::from_secs(stuck_after)).await?;
            let workers = queue.workers().await?;
            if json {
                print::json(out, &json!({"types": types, "workers": workers}))?;
            } else {
                print::stats(out, &types, &workers)?;
            }
        }
        Action::List { task_type, dead: false, limit } => {
            let tasks = queue.list(&task_type, limit).await?;
            if json {
                print::json(out, &json!({"tasks": tasks}))?;
            } else {
                print::tasks(out, &tasks)?;
            }
        }
        Action::List { task_type, dead: true, limit } => {
            let letters = queue.dead_letters(&task_type, limit).await?;
            if json {
                print::json(out, &json!({"dead": letters}))?;
            } else {
                print::dead(out, &letters)?;
            }
        }
        Action::Show { task_id } => return show(queue, &task_id, out).await,
        Action::Cancel { task_id } => {
            if !queue.cancel(&task_id).await? {
                writeln!(out, "{task_id} has ended, or never was")?;
                return Ok(Outcome::NotFound);
            }
            writeln!(out, "{task_id} is cancelled")?;
        }
        Action::Replay { task_type, entry } => return replay(queue, &task_type, entry, out).await,
        Action::Pause { task_type } => {
            queue.set_paused(&task_type, true).await?;
            writeln!(out, "{task_type} is paused")?;
        }
        Action::Resume { task_type } => {
            queue.set_paused(&task_type, false).await?;
            writeln!(out, "{task_type} goes on")?;
        }
    }
    Ok(Outcome::Done)
}

async fn show(queue: &TaskQueue, id: &TaskId, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let live = queue.show(id).await?;
    let status = queue.task_status(id).await?;
    let result = queue.get_result(id, Duration::ZERO).await?;
    if live.is_none() && status.is_none() && result.is_none() {
        writeln!(out, "there is no task {id}; results are kept for 5 minutes")?;
        return Ok(Outcome::NotFound);
    }
    print::json(out, &json!({"task_id": id, "status": status, "live": live, "result": result}))?;
    Ok(Outcome::Done)
}

async fn replay(
    queue: &TaskQueue,
    task_type: &TaskType,
    entry: Option<String>,
    out: &mut impl Write,
) -> anyhow::Result<Outcome> {
    let entries = match entry {
        Some(entry) => vec![entry],
        None => {
            let letters = queue.dead_letters(task_type, usize::from(u16::MAX)).await?;
            letters.into_iter().map(|letter| letter.entry).collect()
        }
    };
    let mut outcome = Outcome::Done;
    for entry in entries {
        match queue.replay(task_type, &entry).await {
            Ok(task_id) => writeln!(out, "{entry} is {task_id} now")?,
            Err(error @ queue::admin::ReplayError::NotFound { .. }) => {
                writeln!(out, "{error}")?;
                outcome = Outcome::NotFound;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(outcome)
}

impl CommandsCommand {
    async fn run(self, queue: &TaskQueue, out: &mut impl Write) -> anyhow::Result<Outcome> {
        match self.action {
            CommandsAction::List => {
                let owners = owners::noted(queue).await?;
                if self.redis.json {
                    let commands: Map<String, Value> = owners
                        .iter()
                        .map(|(command, of)| {
                            (command.clone(), json!({"plugin": of.plugin, "seen": of.seen}))
                        })
                        .collect();
                    print::json(out, &json!({"commands": commands}))?;
                    return Ok(Outcome::Done);
                }
                let now = now_seconds();
                for (command, of) in &owners {
                    let hours = now.saturating_sub(of.seen) / 3_600;
                    writeln!(out, "/{command}: plugin {}, seen {hours} h ago", of.plugin)?;
                }
                if owners.is_empty() {
                    writeln!(out, "no plugin has a command")?;
                }
            }
            CommandsAction::Release { command } => {
                let command = command.trim_start_matches('/');
                if !owners::release(queue, command).await? {
                    writeln!(out, "no plugin has the command {command}")?;
                    return Ok(Outcome::NotFound);
                }
                writeln!(out, "{command} is free")?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Submit {
    async fn run(self, out: &mut impl Write) -> anyhow::Result<Outcome> {
        let params: Map<String, Value> = serde_json::from_str(&self.params)
            .context("the params must be a JSON object, for instance '{\"query\":\"luna\"}'")?;
        let queue = self.redis.connect().await?;
        let task = Task::new(self.task_type, self.user_id, params);
        if !self.wait {
            queue.submit_with(&task, SubmitOptions::default()).await?;
            writeln!(out, "{}", task.task_id)?;
            return Ok(Outcome::Done);
        }
        let registry = DistributedWorkerRegistry::new(queue);
        let result = registry.execute_task(&task, Duration::from_secs(self.timeout)).await?;
        let Some(result) = result else {
            writeln!(out, "no result of {} within {} s", task.task_id, self.timeout)?;
            return Ok(Outcome::NotFound);
        };
        print::json(out, &result)?;
        Ok(if result.success { Outcome::Done } else { Outcome::TaskFailed })
    }
}
