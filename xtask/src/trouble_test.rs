//! `cargo xtask trouble-test`: what wakes an operator at night, brought about on this machine, and what they then see.
//!
//! [`stage`] has the running system and the ways to break and mend it, [`overview`] reads the dashboard.

mod overview;
mod stage;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use self::overview::Overview;
use self::stage::Stage;
use crate::command::elapsed;
use crate::demo;
use crate::stop::Stop;

/// How long Redis stays full.
const FULL_FOR: Duration = Duration::from_secs(60);

/// Breaks a running system in eight ways under load, reads each in the first sentence of the dashboard and in an
/// administrator's chat, mends it, and reads that it is over.
#[derive(Debug, clap::Args)]
pub(crate) struct TroubleTest {
    /// Put a picture of the dashboard at each trouble, and of the administrator's chat at the end, into this folder.
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
    /// How many people ask the bot without a pause.
    #[arg(long, value_name = "PEOPLE", default_value_t = 8)]
    load: u16,
}

impl TroubleTest {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let stop = Stop::on_signals()?;
        demo::build(root)?;
        if let Some(folder) = &self.pictures {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let mut stage = Stage::start(root, self.load, &stop)?;
        let overview = Overview::open(stage.dashboard(), self.pictures.as_deref(), &stop)?;
        let played = play(&mut stage, &overview);
        played.inspect_err(|_| println!("\n{}", stage.logs()))
    }
}

fn play(stage: &mut Stage, overview: &Overview) -> anyhow::Result<()> {
    let steps = Steps { begun: Instant::now() };
    overview.is_well()?;
    overview.picture("well")?;
    steps.done("all is well");

    stage.kill_one_worker();
    overview.says("One worker is missing")?;
    overview.picture("worker-killed")?;
    stage.start_one_worker()?;
    overview.is_well()?;
    steps.done("one of three workers was killed");

    let search = stage.search()?;
    stage.drop_in(&stage::half_of(&search))?;
    overview.says("refused")?;
    stage.admin_is_told(&["plugin search is refused"])?;
    overview.picture("plugin-refused")?;
    stage.drop_in(&search)?;
    stage.admin_is_told(&["Over after", "is refused"])?;
    overview.is_well()?;
    steps.done("a broken plugin was dropped into every folder");

    stage.set_forum_busy(true);
    overview.says("search_simpcity fails")?;
    overview.says("429")?;
    overview.picture("forum-busy")?;
    stage.set_forum_busy(false);
    stage.admin_is_told(&["search_simpcity has", "dead letter", "answered 429"])?;
    stage.admin_presses("Try them again")?;
    overview.is_well()?;
    steps.done("the forum answered 429, and the button of the message mended the rest");

    stage.set_redis_full(true)?;
    overview.says("Redis refuses writes")?;
    stage.admin_is_told(&["Redis cannot be used"])?;
    overview.picture("redis-full")?;
    stage.pause(FULL_FOR)?;
    overview.says("Redis refuses writes")?;
    stage.set_redis_full(false)?;
    stage.admin_is_told(&["Over after", "Redis cannot be used"])?;
    overview.is_well()?;
    steps.done("Redis was full for a minute");

    stage.set_foreign_webhook(true)?;
    overview.says("No messages arrive from Telegram")?;
    stage.admin_is_told(&["a foreign webhook is set"])?;
    overview.picture("foreign-webhook")?;
    stage.set_foreign_webhook(false)?;
    stage.admin_is_told(&["Over after", "a foreign webhook is set"])?;
    overview.is_well()?;
    steps.done("a webhook was set elsewhere");

    stage.queue(&["pause", "get_random_creator"])?;
    stage.admin_is_told(&["get_random_creator is paused"])?;
    overview.says("get_random_creator is paused")?;
    overview.picture("paused")?;
    stage.admin_presses("Resume")?;
    stage.admin_is_told(&["Over after", "is paused"])?;
    overview.is_well()?;
    steps.done("a type stood still, and the button of the message mended it");

    stage.kill_all_workers();
    overview.says("No worker is running")?;
    stage.admin_is_told(&["No worker is running"])?;
    overview.picture("no-worker")?;
    stage.start_all_workers()?;
    stage.admin_is_told(&["Over after", "No worker is running"])?;
    overview.is_well()?;
    steps.done("every worker was killed");

    stage.drop_in(&stage::search_that_traps())?;
    overview.says("rolled the plugin search back")?;
    stage.admin_is_told(&["Plugin search was rolled back"])?;
    overview.picture("rolled-back")?;
    stage.picture_of_chat(overview)?;
    steps.done("a plugin that crashes was rolled back");
    Ok(())
}

/// Says what was seen, and when.
struct Steps {
    begun: Instant,
}

impl Steps {
    fn done(&self, what: &str) {
        println!("ok after {}: {what}", elapsed(self.begun.elapsed()));
    }
}
