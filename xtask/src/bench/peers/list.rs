//! Who is compared, and how each is called.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::install::{self, Folders};

/// The task type of ours that does nothing.
pub(super) const NO_OP: &str = "gauge_nothing";

/// One row of the table.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) library: Library,
    /// Called with `submit MODE N` or `wait N`.
    pub(super) producer: Vec<String>,
    /// Runs until it is ended.
    pub(super) worker: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) variables: Vec<(&'static str, String)>,
    /// Whether it has a call for many tasks, or can have many calls in flight.
    pub(super) bulk: bool,
    /// The most requests that are waited for; none when it stores no results.
    pub(super) waits: Option<u64>,
    /// The most tasks, when it is slow or fails with more.
    pub(super) tasks_at_most: Option<u64>,
    pub(super) counted: Counted,
    pub(super) note: &'static str,
}

/// Whose product a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    Ours,
    Floor,
    BullMq,
    Other,
}

/// How it is known how many tasks have ended.
#[derive(Debug, Clone)]
pub(super) enum Counted {
    /// The job leaves the time in a file.
    ByFiles,
    /// Redis answers the number of ended tasks.
    Ended(Vec<String>),
    /// Redis answers the number of waiting tasks.
    Waiting(Vec<String>),
}

/// Who could not be installed, and why.
pub(super) struct Missing {
    pub(super) names: String,
    pub(super) why: String,
}

/// What ours needs to be started.
pub(super) struct Ours {
    pub(super) worker: PathBuf,
    pub(super) driver: PathBuf,
    pub(super) plugins: PathBuf,
    pub(super) url: String,
}

/// All whose name begins with one of `only`, in any case, or all; and those that cannot be installed.
pub(super) fn all(root: &Path, ours: &Ours, only: &[String]) -> (Vec<Peer>, Vec<Missing>) {
    let folders = Folders::of(root);
    let only: Vec<String> = only.iter().map(|name| name.to_lowercase()).collect();
    let wanted = |name: &str| {
        let name = name.to_lowercase();
        only.is_empty() || only.iter().any(|one| name.starts_with(one))
    };
    let mut peers = of_ours(ours);
    let mut missing = Vec::new();
    type Maker<'a> = Box<dyn Fn() -> anyhow::Result<Vec<Peer>> + 'a>;
    let makers: [(&[&str], Maker<'_>); 5] = [
        (&["BullMQ"], Box::new(|| bullmq(&folders))),
        (&["apalis"], Box::new(|| apalis(root, &folders))),
        (&["Celery", "taskiq", "RQ", "dramatiq", "original design"], Box::new(|| python(&folders))),
        (&["arq"], Box::new(|| arq(&folders))),
        (&["Sidekiq"], Box::new(|| sidekiq(&folders))),
    ];
    for (names, make) in makers {
        // A prefix may be longer than the library's name, for instance `BullMQ (50`.
        let asked = |name: &&str| {
            let name = name.to_lowercase();
            wanted(&name) || only.iter().any(|one| one.starts_with(&name))
        };
        if !names.iter().any(asked) {
            continue;
        }
        match make() {
            Ok(made) => peers.extend(made),
            Err(error) => {
                missing.push(Missing { names: names.join(", "), why: format!("{error:#}") });
            }
        }
    }
    peers.retain(|peer| wanted(&peer.name));
    (peers, missing)
}

fn of_ours(ours: &Ours) -> Vec<Peer> {
    let text = |path: &Path| path.display().to_string();
    let driver = text(&ours.driver);
    let row = |name: String, library, producer, worker, counted| Peer {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        library,
        producer,
        worker,
        folder: ours.plugins.clone(),
        variables: vec![("BENCH_TYPES", NO_OP.to_owned()), ("PLUGIN_CACHE", "none".to_owned())],
        bulk: true,
        waits: Some(u64::MAX),
        tasks_at_most: None,
        counted,
        note: "",
    };
    let meta = format!("freefans:tasks:meta:{{{NO_OP}}}");
    let worker = |at_once: Option<u32>| {
        let name = at_once.map_or_else(
            || "ours (default settings)".to_owned(),
            |at_once| format!("ours ({at_once} at once)"),
        );
        let mut worker = vec![text(&ours.worker), "--plugins".to_owned(), text(&ours.plugins)];
        worker.extend(["--redis-url".to_owned(), ours.url.clone()]);
        if let Some(at_once) = at_once {
            worker.extend(["--concurrency".to_owned(), at_once.to_string()]);
        }
        let ended = ["HGET".to_owned(), meta.clone(), "completed".to_owned()];
        row(name, Library::Ours, vec![driver.clone()], worker, Counted::Ended(ended.to_vec()))
    };
    let floor = vec![driver.clone(), "floor".to_owned()];
    let mut work = floor.clone();
    work.push("work".to_owned());
    let waiting = ["LLEN".to_owned(), "bench:tasks".to_owned()];
    let mut floor =
        row("list floor".to_owned(), Library::Floor, floor, work, Counted::Waiting(waiting.into()));
    floor.note = "pop and set only: a task is lost with its worker";
    floor.version = String::new();
    vec![worker(None), worker(Some(16)), worker(Some(64)), worker(Some(200)), floor]
}

/// A row of a library that marks its jobs by files.
fn row(name: &str, version: &str, producer: &[&str], worker: &[&str], folder: &Path) -> Peer {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Peer {
        name: name.to_owned(),
        version: version.to_owned(),
        library: Library::Other,
        producer: owned(producer),
        worker: owned(worker),
        folder: folder.to_owned(),
        variables: vec![("PYTHONDONTWRITEBYTECODE", "1".to_owned())],
        bulk: true,
        waits: Some(u64::MAX),
        tasks_at_most: None,
        counted: Counted::ByFiles,
        note: "",
    }
}

fn bullmq(folders: &Folders) -> anyhow::Result<Vec<Peer>> {
    let folder = folders.bullmq()?;
    let manifest = fs::read_to_string(folder.join("package.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    let version = manifest.pointer("/dependencies/bullmq").and_then(serde_json::Value::as_str);
    let version = version.context("package.json names no BullMQ")?;
    let at_once = ["16", "50", "200"];
    let peers = at_once.map(|at_once| Peer {
        library: Library::BullMq,
        ..row(
            &format!("BullMQ ({at_once} at once)"),
            version,
            &["node", "peer.js"],
            &["node", "peer.js", "work", at_once],
            &folder,
        )
    });
    Ok(peers.into())
}

fn apalis(root: &Path, folders: &Folders) -> anyhow::Result<Vec<Peer>> {
    let program = folders.apalis(root)?.display().to_string();
    let lock = fs::read_to_string(folders.source("apalis").join("Cargo.lock"))?;
    let version = lock.split("name = \"apalis-redis\"\nversion = \"").nth(1);
    let version = version.and_then(|rest| rest.split('"').next()).context("no apalis-redis")?;
    let peers = ["10", "100", "500"].map(|batch| Peer {
        // Its script unpacks all waiting tasks at once, which Lua refuses for more than about 8,000.
        tasks_at_most: Some(7_000),
        waits: None,
        note: "fails with more than 8,000 waiting tasks",
        ..row(
            &format!("apalis-redis (batches of {batch})"),
            version,
            &[&program],
            &[&program, "work", batch],
            folders.source("apalis").as_path(),
        )
    });
    Ok(peers.into())
}

fn python(folders: &Folders) -> anyhow::Result<Vec<Peer>> {
    let bin = folders.python("requirements.txt")?;
    let folder = folders.source("python");
    let requirements = fs::read_to_string(folder.join("requirements.txt"))?;
    let version = |package: &str| install::pinned(&requirements, package).unwrap_or_default();
    let python = bin.join("python").display().to_string();
    // Not by their own programs: these name the interpreter's path, and a folder may have been moved.
    let celery_worker =
        [&*python, "-m", "celery", "-A", "celery_peer", "worker", "-l", "ERROR", "-P"];
    let lonely = ["--without-gossip", "--without-mingle", "--without-heartbeat"];
    let celery_row = |name: &str, pool: &[&str]| Peer {
        bulk: false,
        tasks_at_most: Some(10_000),
        ..row(
            name,
            &version("celery"),
            &[&python, "celery_peer.py"],
            &[&celery_worker[..], pool, &lonely].concat(),
            &folder,
        )
    };
    let rq_row = |name: &str, kind: &str, tasks, waits| Peer {
        tasks_at_most: Some(tasks),
        waits: Some(waits),
        // A forked job cannot count its sisters.
        counted: Counted::Ended(vec!["ZCARD".to_owned(), "rq:finished:bench".to_owned()]),
        ..row(
            name,
            &version("rq"),
            &[&python, "rq_peer.py"],
            &[&python, "rq_peer.py", "work", kind],
            &folder,
        )
    };
    let taskiq_worker =
        [&*python, "-m", "taskiq", "worker", "taskiq_peer:broker", "--workers", "1"];
    let mut taskiq = row(
        "taskiq (streams; 100 at once)",
        &version("taskiq"),
        &[&python, "taskiq_peer.py"],
        &[&taskiq_worker[..], &["--max-async-tasks", "100", "--log-level", "ERROR"]].concat(),
        &folder,
    );
    taskiq.variables.push(("BENCH_POLL", "0.002".to_owned()));
    taskiq.note = "looks for the result every 2 ms; its default is 200 ms";
    let dramatiq = Peer {
        bulk: false,
        tasks_at_most: Some(10_000),
        ..row(
            "dramatiq (8 threads)",
            &version("dramatiq"),
            &[&python, "dramatiq_peer.py"],
            &[&python, "-m", "dramatiq", "dramatiq_peer", "-p", "1", "-t", "8"],
            &folder,
        )
    };
    let original = Peer {
        waits: Some(100),
        note: "looks for the result every 100 ms; a task is lost with its worker",
        ..row(
            "original design (10 at once)",
            "",
            &[&python, "list_peer.py"],
            &[&python, "list_peer.py", "work"],
            &folder,
        )
    };
    Ok(vec![
        celery_row("Celery (solo)", &["solo"]),
        celery_row("Celery (prefork; 1 process)", &["prefork", "-c", "1"]),
        taskiq,
        rq_row("RQ (simple worker)", "simple", 3_000, u64::MAX),
        rq_row("RQ (default worker)", "fork", 700, 300),
        dramatiq,
        original,
    ])
}

fn arq(folders: &Folders) -> anyhow::Result<Vec<Peer>> {
    let bin = folders.python("requirements-arq.txt")?;
    let folder = folders.source("python");
    let requirements = fs::read_to_string(folder.join("requirements-arq.txt"))?;
    let version = install::pinned(&requirements, "arq").unwrap_or_default();
    let python = bin.join("python").display().to_string();
    let mut arq = row(
        "arq (100 at once)",
        &version,
        &[&python, "arq_peer.py"],
        &[&python, "arq_peer.py", "work"],
        &folder,
    );
    arq.tasks_at_most = Some(3_000);
    arq.variables.push(("BENCH_POLL", "0.005".to_owned()));
    arq.note = "looks for tasks and results every 5 ms; its default is 500 ms";
    Ok(vec![arq])
}

fn sidekiq(folders: &Folders) -> anyhow::Result<Vec<Peer>> {
    folders.sidekiq()?;
    let folder = folders.source("sidekiq");
    Ok(vec![Peer {
        waits: None,
        note: "stores no results",
        ..row(
            "Sidekiq (10 at once)",
            install::sidekiq_version(),
            &["ruby", "peer.rb"],
            &["sidekiq", "-r", "./peer.rb", "-c", "10"],
            &folder,
        )
    }])
}

impl Peer {
    /// A command with the peer's folder and variables.
    pub(super) fn command(&self, words: &[String], url: &str) -> anyhow::Result<Command> {
        let (program, arguments) = words.split_first().context("a command has a program")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).env("BENCH_URL", url);
        for variable in ["RUST_LOG", "LOG_FORMAT", "CONCURRENCY"] {
            command.env_remove(variable);
        }
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        Ok(command)
    }
}
