//! Does what a tutorial says.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};

use super::expected::find;
use super::step::{End, Line, Step};
use super::terminal::Terminal;
use crate::chat::Chat;
use crate::command::{elapsed, last_lines};
use crate::service::Service;
use crate::stop::Stop;
use crate::stranger::Stranger;

/// The language that the page is written for.
const LANGUAGE: &str = "rust";
/// What `worker dev` writes before the address of its chat page, and what stands between that and the chat's number.
const CHAT_PAGE: &str = "chat page: ";
const CHAT_NUMBER: &str = "/?chat=";
/// How long a program may take to print what the page says. The first build compiles forty crates.
const SAID_WITHIN: Duration = Duration::from_secs(300);
const ENDED_WITHIN: Duration = Duration::from_secs(20);
/// How much of an output a failure shows.
const TAIL_LINES: usize = 30;

/// A reader at their terminals.
pub(super) struct Reader<'a> {
    stranger: &'a Stranger,
    terminal: Terminal,
    /// What the commands of the last block printed, or the name of the one that stays.
    last: Last,
    /// What runs in other terminals, by name.
    running: BTreeMap<String, Running>,
    stop: &'a Stop,
}

enum Last {
    Printed(String),
    Stays(String),
}

struct Running {
    service: Service,
    /// Lines of its output that the page has shown already.
    seen: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(stranger: &'a Stranger, stop: &'a Stop) -> anyhow::Result<Self> {
        let shell = stranger.command("sh", &stranger.home(), LANGUAGE)?;
        let terminal = Terminal::open(shell, stop)?;
        let last = Last::Printed(String::new());
        Ok(Self { stranger, terminal, last, running: BTreeMap::new(), stop })
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// Begin with the line's number.
    pub(super) fn does(&mut self, step: &Step) -> anyhow::Result<()> {
        let at = step.at();
        match step {
            Step::Run { commands, end } => return self.runs(commands, end),
            Step::See { lines, of } => return self.sees(lines, of.as_deref()),
            Step::Write { file, text, .. } => self.writes(file, text),
            Step::Change { file, change, .. } => {
                let path = self.path(file)?;
                let text = fs::read_to_string(&path);
                let text = text.with_context(|| format!("cannot read {file}"))?;
                change.apply(&text).and_then(|text| self.writes(file, &text))
            }
            Step::Chat { text, .. } => self.chats(text),
            Step::CtrlC { name, .. } => self.ends(name),
        }
        .map_err(|error| anyhow!("{at}: {error:#}"))
    }

    fn runs(&mut self, commands: &[Line], end: &End) -> anyhow::Result<()> {
        let (to_run, to_start) = match (end, commands.split_last()) {
            (End::Stays(name), Some((last, before))) => (before, Some((name, last))),
            (End::Stays(_) | End::Well | End::Fails, _) => (commands, None),
        };
        let mut printed = String::new();
        for (place, command) in to_run.iter().enumerate() {
            let Line { number, text } = command;
            let started = Instant::now();
            let ran = self.terminal.run(text);
            let ran = ran.map_err(|error| anyhow!("{number}: `{text}`: {error:#}"))?;
            println!("  $ {text:<76} {:>8}", elapsed(started.elapsed()));
            let is_last = place + 1 == to_run.len();
            let is_to_fail = *end == End::Fails && is_last;
            let said = last_lines(&ran.output, TAIL_LINES);
            match ran.status {
                0 if is_to_fail => bail!("{number}: `{text}` has to fail, and does not:\n{said}"),
                status if status != 0 && !is_to_fail => {
                    bail!("{number}: `{text}` failed with status {status}:\n{said}")
                }
                _ => printed.push_str(&ran.output),
            }
        }
        self.last = Last::Printed(printed);
        if let Some((name, command)) = to_start {
            let started = self.starts(name, &command.text);
            started.map_err(|error| anyhow!("{}: {error:#}", command.number))?;
        }
        Ok(())
    }

    /// Starts a command in another terminal, in the same folder.
    fn starts(&mut self, name: &str, command: &str) -> anyhow::Result<()> {
        println!("  $ {command}   # stays as {name}");
        let folder = self.terminal.folder()?;
        let mut shell = self.stranger.command("sh", &folder, LANGUAGE)?;
        // Ctrl-C is for the program. In a terminal Python writes each line at once.
        shell.arg("-c").arg(format!("exec {command}")).env("PYTHONUNBUFFERED", "1");
        let service = Service::start(name, &mut shell, &self.stranger.logs())?;
        self.running.insert(name.to_owned(), Running { service, seen: 0 });
        self.last = Last::Stays(name.to_owned());
        Ok(())
    }

    fn sees(&mut self, lines: &[Line], of: Option<&str>) -> anyhow::Result<()> {
        let name = match (of, &self.last) {
            (Some(name), _) => name,
            (None, Last::Stays(name)) => name,
            (None, Last::Printed(printed)) => {
                let all: Vec<&str> = printed.lines().collect();
                let missing = |line: &Line| {
                    let said = last_lines(printed, TAIL_LINES);
                    anyhow!(
                        "{}: the commands did not print `{}`, but:\n{said}",
                        line.number,
                        line.text
                    )
                };
                return find(lines, &all).map(drop).map_err(missing);
            }
        };
        let running = self.running.get_mut(name).context("it has ended")?;
        running.prints(lines, self.stop)
    }

    fn writes(&self, file: &str, text: &str) -> anyhow::Result<()> {
        println!("  {file} is written");
        let path = self.path(file)?;
        fs::write(&path, text).with_context(|| format!("cannot write {file}"))
    }

    fn path(&self, file: &str) -> anyhow::Result<PathBuf> {
        Ok(self.terminal.folder()?.join(file))
    }

    /// Writes to the bot of the chat page that runs.
    fn chats(&self, text: &str) -> anyhow::Result<()> {
        let page = self.running.values().find_map(|running| {
            let output = running.service.output();
            output.lines().find_map(|line| line.strip_prefix(CHAT_PAGE).map(str::to_owned))
        });
        let page = page.context("no program here has printed the address of a chat page")?;
        let (simulator, chat) = page
            .split_once(CHAT_NUMBER)
            .with_context(|| format!("the chat page's address has no `{CHAT_NUMBER}`: {page}"))?;
        Chat::open(simulator, chat.parse().context("the chat's number")?, self.stop)?.say(text)
    }

    fn ends(&mut self, name: &str) -> anyhow::Result<()> {
        println!("  Ctrl-C in the terminal of {name}");
        let mut running = self.running.remove(name).context("it has ended")?;
        running.service.interrupt(ENDED_WITHIN)
    }
}

impl Running {
    /// Waits until it has printed these lines, behind those that were seen before.
    fn prints(&mut self, lines: &[Line], stop: &Stop) -> anyhow::Result<()> {
        let deadline = Instant::now() + SAID_WITHIN;
        loop {
            let has_ended = self.service.ended();
            let output = self.service.output();
            let new: Vec<&str> = output.lines().skip(self.seen).collect();
            let missing = match find(lines, &new) {
                Ok(used) => {
                    self.seen += used;
                    return Ok(());
                }
                Err(missing) => missing,
            };
            let Line { number, text } = missing;
            ensure!(!stop.requested(), "{number}: interrupted");
            let name = self.service.name();
            if let Some(status) = has_ended {
                bail!(
                    "{number}: {name} ended before it printed `{text}` ({status})\n{}",
                    self.service.tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{number}: {name} did not print `{text}` within {SAID_WITHIN:?}\n{}",
                    self.service.tail()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
