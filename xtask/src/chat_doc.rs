//! `cargo xtask chat-doc`: one of the conversations that the tests play, as a page to read.
//!
//! `coordinator/tests/it/transcripts/script.rs` defines the format of a conversation.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::violation::Violation;

/// The conversation that is shown.
const TRANSCRIPT: &str = "coordinator/tests/transcripts/a_tour.chat";
/// Where it is shown.
const PAGE: &str = "docs/chat.md";
/// How far a message's further lines are indented.
const INDENT: &str = "      ";

/// Writes docs/chat.md: a conversation with the bot, as the tests play it.
#[derive(Debug, clap::Args)]
pub(crate) struct ChatDoc;

impl ChatDoc {
    #[expect(clippy::unused_self, reason = "every command is called the same way")]
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let page = of_root(root)?;
        fs::write(root.join(PAGE), page).with_context(|| format!("writing {PAGE}"))?;
        println!("{PAGE} is written");
        Ok(())
    }
}

/// A violation when the page is not what would be written now.
pub(crate) fn check(root: &Path) -> anyhow::Result<Option<Violation>> {
    let there = fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    let up_to_date = there == of_root(root)?;
    let what = format!("it is not what {TRANSCRIPT} says");
    Ok((!up_to_date)
        .then(|| Violation::new(PAGE, what, "write it anew with `cargo xtask chat-doc`")))
}

fn of_root(root: &Path) -> anyhow::Result<String> {
    let transcript = fs::read_to_string(root.join(TRANSCRIPT));
    Ok(page(&transcript.with_context(|| format!("reading {TRANSCRIPT}"))?))
}

/// A conversation as Markdown.
fn page(transcript: &str) -> String {
    let mut page = format!(
        "# A conversation with the bot\n\nWritten by `cargo xtask chat-doc` from `{TRANSCRIPT}`, which the tests play \
         with the real programs. Other conversations lie beside it: one for each thing that can happen.\n"
    );
    let lines: Vec<&str> = transcript.lines().collect();
    let mut rest = lines.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let belongs = |line: &&&str| line.starts_with(INDENT) || line.is_empty();
        let length = match first.strip_prefix('#') {
            Some(_) => after.iter().take_while(|line| line.starts_with('#')).count(),
            None => after.iter().take_while(belongs).count(),
        };
        let (further, others) = after.split_at(length);
        rest = others;
        if first.is_empty() {
            continue;
        }
        page.push('\n');
        page.push_str(&block(first, further));
    }
    page
}

fn block(first: &str, further: &[&str]) -> String {
    if let Some(comment) = first.strip_prefix("# ") {
        let words: Vec<&str> = std::iter::once(comment)
            .chain(further.iter().map(|line| line.trim_start_matches("# ")))
            .collect();
        return format!("{}\n", words.join(" "));
    }
    if let Some(happens) = first.strip_prefix("* ") {
        return format!("⚙ *{happens}*\n");
    }
    let further = further.iter().map(|line| line.strip_prefix(INDENT).unwrap_or_default());
    let (head, said) = first.split_once(':').unwrap_or((first, ""));
    let said = said.trim();
    let who = match head.split(' ').next().unwrap_or_default() {
        "bot" => "**bot**",
        "bot*" => "**bot**, in the same message",
        "bot-" => return "> *The message is gone.*\n".to_owned(),
        "note" | "alert" => return format!("> *A short note:* {}\n", escape(said)),
        "menu" => return quoted("*The menu behind* `/`", std::iter::once(said).chain(further)),
        _ => return person(first, further),
    };
    quoted(who, std::iter::once(said).chain(further))
}

/// What a person does, not indented.
fn person<'a>(first: &'a str, further: impl Iterator<Item = &'a str>) -> String {
    if let Some((name, button)) = first.split_once(" presses [") {
        return format!("**{name}** presses {}\n", button_text(button.trim_end_matches(']')));
    }
    if let Some((name, key)) = first.split_once(" taps [") {
        return format!("**{name}** taps {}\n", button_text(key.trim_end_matches(']')));
    }
    let (name, said) = first.split_once(": ").unwrap_or((first, ""));
    let lines: Vec<String> = std::iter::once(said).chain(further).map(escape).collect();
    format!("**{name}:** {}\n", lines.join("\\\n"))
}

/// A message of the bot, indented.
fn quoted<'a>(who: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = format!("> {who}\n>\n");
    let mut lines = lines.skip_while(|line| line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        // The keyboard that comes with a message, a row a line.
        let (about, line) = match line.strip_prefix("(keys) ") {
            Some(keys) => ("below the input field: ", keys),
            None => ("", line),
        };
        let shown = match line.strip_prefix('[').and_then(|row| row.strip_suffix(']')) {
            Some(row) => row.split("] [").map(button_text).collect::<Vec<_>>().join(" "),
            None => escape(line.trim_start()),
        };
        // A line break inside a paragraph; the last line needs none.
        let mark = if line.is_empty() || next.is_empty() { "" } else { "\\" };
        text.push_str(format!("> {about}{shown}{mark}").trim_end());
        text.push('\n');
    }
    while text.ends_with("\n>\n") {
        text.truncate(text.len() - 2);
    }
    text
}

fn button_text(label: &str) -> String {
    format!("`[{label}]`")
}

/// Escapes a text for Markdown.
fn escape(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if matches!(letter, '*' | '_' | '`' | '[' | ']' | '<' | '>' | '#' | '|' | '\\') {
            shown.push('\\');
        }
        shown.push(letter);
    }
    // `1. ` at the beginning of a line would become a list.
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && shown.get(digits..).is_some_and(|rest| rest.starts_with(". ")) {
        shown.insert(digits, '\\');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_reads_well() {
        let transcript = "\
# Search,
# and open.
* Ann speaks de
Ann: luna *marlow*
bot:  🔎 Closest:

      1. Luna Marlowe (Luna M)
          so they say
      [Luna · 96] [Open ↗]
      (keys) [Search]

Ann presses [Luna · 96]
bot*: 📂 Luna
note: Opening Luna…
";
        let (_, found) = page(transcript)
            .split_once("happen.\n\n")
            .map(|(head, rest)| (head.to_owned(), rest.to_owned()))
            .unwrap();
        let expected = "\
Search, and open.

⚙ *Ann speaks de*

**Ann:** luna \\*marlow\\*

> **bot**
>
> 🔎 Closest:
>
> 1\\. Luna Marlowe (Luna M)\\
> so they say\\
> `[Luna · 96]` `[Open ↗]`\\
> below the input field: `[Search]`

**Ann** presses `[Luna · 96]`

> **bot**, in the same message
>
> 📂 Luna

> *A short note:* Opening Luna…
";
        assert_eq!(found, expected, "\n{found}");
    }
}
