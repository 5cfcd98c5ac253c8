//! Reads the steps of a tutorial from its Markdown.

use anyhow::{anyhow, bail, ensure};

use super::change::Change;
use super::step::{End, Line, Step};

const FENCE: &str = "```";

/// What an HTML comment says of the block behind it.
#[derive(Debug)]
enum Mark {
    Run(End),
    File(String),
    Of(String),
}

/// The steps, in their order.
///
/// # Errors
///
/// Begin with the line's number. Also when something on the page would not be run, or is told to the program and not to the
/// reader.
pub(super) fn read(page: &str) -> anyhow::Result<Vec<Step>> {
    let mut reading = Reading::default();
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(kind) = line.strip_prefix(FENCE) {
            let inside = lines.by_ref().map_while(|(text, number)| {
                (text != FENCE).then(|| Line { number, text: text.to_owned() })
            });
            let inside: Vec<Line> = inside.collect();
            let step = reading.block(kind, inside, number);
            reading.steps.push(step.map_err(|error| anyhow!("{number}: {error:#}"))?);
        } else {
            reading.line(line, number).map_err(|error| anyhow!("{number}: {error:#}"))?;
        }
    }
    match reading.mark {
        Some((_, number)) => bail!("{number}: no block follows this mark"),
        None => Ok(reading.steps),
    }
}

#[derive(Default)]
struct Reading {
    steps: Vec<Step>,
    /// The mark of the next block, and its line.
    mark: Option<(Mark, usize)>,
    /// The text since the last block.
    prose: String,
}

impl Reading {
    fn line(&mut self, line: &str, number: usize) -> anyhow::Result<()> {
        if let Some(comment) = comment(line) {
            return self.comment(comment, number);
        }
        ensure!(
            !line.starts_with("    "),
            "an indented block is not run; make it a block between {FENCE}sh and {FENCE}"
        );
        self.prose.push_str(line);
        self.prose.push('\n');
        Ok(())
    }

    fn comment(&mut self, comment: &str, at: usize) -> anyhow::Result<()> {
        let (key, value) = comment.split_once(": ").unwrap_or((comment, ""));
        ensure!(self.mark.is_none(), "the mark before this one has no block");
        let value = value.to_owned();
        let mark = match key {
            "chat" => {
                self.ensure_told(&format!("`{value}`"))?;
                self.steps.push(Step::Chat { at, text: value });
                return Ok(());
            }
            "ctrl-c" => {
                self.ensure_told("Ctrl-C")?;
                self.steps.push(Step::CtrlC { at, name: value });
                return Ok(());
            }
            "file" => {
                self.ensure_told(&format!("`{value}`"))?;
                Mark::File(value)
            }
            "of" => Mark::Of(value),
            "run" => match value.strip_prefix("stays as ") {
                Some(name) => Mark::Run(End::Stays(name.to_owned())),
                None if value == "fails" => Mark::Run(End::Fails),
                None => bail!("`run: {value}` is neither `run: fails` nor `run: stays as NAME`"),
            },
            _ => bail!(
                "`{key}` is no mark; there are `chat`, `ctrl-c`, `file`, `of` and `run`, each with `: ` and a value"
            ),
        };
        self.mark = Some((mark, at));
        Ok(())
    }

    /// A reader does not see the marks.
    fn ensure_told(&self, words: &str) -> anyhow::Result<()> {
        ensure!(
            self.prose.contains(words),
            "the text before this mark does not tell the reader of {words}"
        );
        Ok(())
    }

    fn block(&mut self, kind: &str, lines: Vec<Line>, at: usize) -> anyhow::Result<Step> {
        self.prose.clear();
        let mark = self.mark.take().map(|(mark, _)| mark);
        ensure!(!lines.is_empty(), "the block is empty");
        match (kind, mark) {
            ("sh", None) => Ok(Step::Run { commands: commands(lines)?, end: End::Well }),
            ("sh", Some(Mark::Run(end))) => Ok(Step::Run { commands: commands(lines)?, end }),
            ("text", None) => Ok(Step::See { lines, of: None }),
            ("text", Some(Mark::Of(name))) => Ok(Step::See { lines, of: Some(name) }),
            ("sh" | "text", Some(_)) => bail!("the mark before this block is for another kind"),
            ("diff", Some(Mark::File(file))) => {
                Ok(Step::Change { at, file, change: Change::parse(&joined(&lines))? })
            }
            (_, Some(Mark::File(file))) => Ok(Step::Write { at, file, text: joined(&lines) }),
            (_, Some(Mark::Run(_) | Mark::Of(_)) | None) => bail!(
                "nothing is done with a block `{kind}`; `sh` is run, `text` is compared, and any other one needs `<!-- file: PATH -->` before it"
            ),
        }
    }
}

fn comment(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

fn joined(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{}\n", line.text)).collect()
}

/// A line is a command; one that ends with `\` goes on in the next.
fn commands(lines: Vec<Line>) -> anyhow::Result<Vec<Line>> {
    let mut commands: Vec<Line> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let continues = line.text.ends_with('\\');
        match commands.last_mut().filter(|_| goes_on) {
            Some(command) => command.text.push_str(&format!("\n{}", line.text)),
            None => commands.push(line),
        }
        goes_on = continues;
    }
    ensure!(!goes_on, "the last command of the block ends with `\\`");
    commands.retain(|command| !command.text.trim().is_empty());
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(page: &str, message: &str) {
        let error = read(page).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn a_page_is_read_as_a_reader_does_it() {
        let page = "# Title\n\nIn `a.toml`:\n<!-- file: a.toml -->\n```toml\nx = 1\n```\n\
            <!-- run: stays as dev -->\n```sh\ncd a\nworker \\\n  dev\n```\n```text\nup\n```\n\
            Write `/a b`:\n<!-- chat: /a b -->\n<!-- of: dev -->\n```text\ndone\n```\nCtrl-C ends it.\n<!-- ctrl-c: dev -->\n";
        let line = |number, text: &str| Line { number, text: text.to_owned() };
        let expected = [
            Step::Write { at: 5, file: "a.toml".to_owned(), text: "x = 1\n".to_owned() },
            Step::Run {
                commands: vec![line(10, "cd a"), line(11, "worker \\\n  dev")],
                end: End::Stays("dev".to_owned()),
            },
            Step::See { lines: vec![line(15, "up")], of: None },
            Step::Chat { at: 18, text: "/a b".to_owned() },
            Step::See { lines: vec![line(21, "done")], of: Some("dev".to_owned()) },
            Step::CtrlC { at: 24, name: "dev".to_owned() },
        ];
        assert_eq!(read(page).unwrap(), expected);
    }

    #[test]
    fn what_would_not_be_run_is_refused_with_its_line() {
        refused("a\n```rust\nfn a() {}\n```\n", "2: nothing is done with a block `rust`");
        refused("a\n```\nls\n```\n", "2: nothing is done with a block ``");
        refused("a\n\n    ls\n", "3: an indented block is not run");
        refused("```sh\n```\n", "1: the block is empty");
        refused("```sh\nls \\\n```\n", "1: the last command of the block ends with");
    }

    #[test]
    fn a_mark_that_means_nothing_is_refused_with_its_line() {
        refused("<!-- note -->\n", "1: `note` is no mark");
        refused("<!-- run: twice -->\n", "1: `run: twice` is neither");
        refused("\n<!-- run: fails -->\n", "2: no block follows this mark");
        refused(
            "<!-- run: fails -->\n<!-- of: a -->\n",
            "2: the mark before this one has no block",
        );
        refused("<!-- run: fails -->\n```text\na\n```\n", "2: the mark before this block is for");
    }

    #[test]
    fn a_reader_is_told_what_the_marks_tell() {
        refused("Change it.\n<!-- file: a.rs -->\n", "2: the text before this mark does not tell");
        refused(
            "<!-- chat: /a -->\n",
            "1: the text before this mark does not tell the reader of `/a`",
        );
        refused("End it.\n<!-- ctrl-c: a -->\n", "2: the text before this mark does not tell");
    }
}
