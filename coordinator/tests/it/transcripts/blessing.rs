//! Rewrites a conversation with what the bot said. A line that still matches stays as it is, with its wildcards.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::player::Player;
use super::script::{Expected, Kind, Script, Step};
use super::talk::{Message, fit};

/// A step is over when nothing is in progress and nothing happened for this long. For rewriting only: a test waits for
/// the expected lines.
const QUIET_MS: u64 = 700;
/// A step is over after this long in any case: before a coordinator stops delaying an update for a slow reply.
const AT_MOST: Duration = Duration::from_secs(9);

/// A message's chat and number.
type Which = (i64, i64);

/// What the bot did in one step.
struct Seen {
    /// The message whose button was pressed.
    pressed: Option<Which>,
    /// A line of the file, and its message.
    entries: Vec<(Option<Which>, Expected)>,
}

/// What the bot did so far.
#[derive(Default)]
struct Record {
    /// At the end of the step before.
    known: BTreeMap<Which, Vec<String>>,
    notes: usize,
    steps: Vec<Seen>,
}

pub(super) async fn bless(player: &mut Player, mut script: Script, path: &Path) {
    let mut record = Record::default();
    for step in &script.steps {
        player.act(step).await;
        wait_for_quiet(player).await;
        wait_for_menu(player, step).await;
        let entries = record.look(player, step).await;
        // Names in later steps refer to earlier lines.
        for (which, expected) in &entries {
            if let Some((_, id)) = which {
                player.believe(*id, expected);
            }
        }
        record.steps.push(Seen { pressed: player.pressed.take(), entries });
    }
    record.name_what_is_changed_later();
    for (step, seen) in script.steps.iter_mut().zip(record.steps) {
        step.expected = seen.entries.into_iter().map(|(_, expected)| expected).collect();
    }
    std::fs::write(path, script.print()).unwrap();
}

async fn wait_for_quiet(player: &mut Player) {
    let until = Instant::now() + AT_MOST;
    while Instant::now() < until {
        let moved = player.listen(QUIET_MS).await;
        if !moved && player.stage.at_rest().await {
            return;
        }
    }
}

/// No event reports that a menu has changed, so this waits for the expected menu as long as for a step.
async fn wait_for_menu(player: &mut Player, step: &Step) {
    let Some(menu) = step.expected.iter().find(|expected| expected.kind == Kind::Menu) else {
        return;
    };
    let until = Instant::now() + AT_MOST;
    while Instant::now() < until && !fit(&menu.lines, &player.menu().await) {
        player.listen(QUIET_MS).await;
    }
}

impl Record {
    async fn look(&mut self, player: &Player, step: &Step) -> Vec<(Option<Which>, Expected)> {
        let here = player.here.0;
        let mut seen = Vec::new();
        let now: BTreeMap<Which, &Message> = player
            .talk
            .messages
            .iter()
            .map(|message| ((message.chat, message.id), message))
            .collect();
        let place = |chat: i64| (chat != here).then(|| player.stage.chat_name(chat));
        let gone: Vec<Which> =
            self.known.keys().filter(|which| !now.contains_key(which)).copied().collect();
        for which in gone {
            self.known.remove(&which);
            seen.push((Some(which), expected(Kind::Gone, place(which.0), Vec::new())));
        }
        for (which, message) in now {
            let kind = match self.known.insert(which, message.lines.clone()) {
                None => Kind::Said,
                Some(before) if before != message.lines => Kind::Edited,
                Some(_) => continue,
            };
            let written = step.expected.iter().any(|expected| expected.kind == Kind::Edited);
            if kind == Kind::Edited && !written && self.still_fits(which, &message.lines) {
                continue;
            }
            seen.push((Some(which), expected(kind, place(which.0), message.lines.clone())));
        }
        let notes = player.talk.notes();
        for (alert, text) in notes.get(self.notes..).unwrap_or_default() {
            let kind = if *alert { Kind::Alert } else { Kind::Note };
            let lines = text.lines().map(str::to_owned).collect();
            seen.push((None, expected(kind, None, lines)));
        }
        self.notes = notes.len();
        if step.expected.iter().any(|expected| expected.kind == Kind::Menu) {
            seen.push((None, expected(Kind::Menu, None, player.menu().await)));
        }
        keep_what_fits(&step.expected, &mut seen);
        seen
    }

    /// Whether a message that changed still matches its line, which has a wildcard.
    fn still_fits(&self, which: Which, lines: &[String]) -> bool {
        let all = self.steps.iter().flat_map(|seen| &seen.entries);
        let mut of_message = all.filter(|(about, _)| *about == Some(which));
        of_message.next_back().is_some_and(|(_, written)| fit(&written.lines, lines))
    }

    /// Names the messages that a later step changes although newer ones exist.
    fn name_what_is_changed_later(&mut self) {
        let mut newest: BTreeMap<i64, Which> = BTreeMap::new();
        let mut named: BTreeMap<Which, String> = BTreeMap::new();
        for seen in &self.steps {
            if let Some(pressed) = seen.pressed {
                newest.insert(pressed.0, pressed);
            }
            for (which, expected) in &seen.entries {
                let Some(which) = which else { continue };
                match expected.kind {
                    Kind::Said => {
                        newest.insert(which.0, *which);
                        if let Some(tag) = &expected.tag {
                            named.insert(*which, tag.clone());
                        }
                    }
                    Kind::Edited | Kind::Gone if newest.get(&which.0) != Some(which) => {
                        let next = named.len() + 1;
                        named.entry(*which).or_insert_with(|| next.to_string());
                    }
                    _ => {}
                }
            }
        }
        for (which, expected) in self.steps.iter_mut().flat_map(|seen| &mut seen.entries) {
            let name = which.as_ref().and_then(|which| named.get(which));
            if let Some(name) = name {
                expected.tag = Some(name.clone());
            }
        }
    }
}

fn expected(kind: Kind, chat: Option<String>, lines: Vec<String>) -> Expected {
    Expected { kind, chat, tag: None, lines }
}

/// A line that matches is kept as it was written.
fn keep_what_fits(written: &[Expected], seen: &mut [(Option<Which>, Expected)]) {
    let mut left: Vec<&Expected> = written.iter().collect();
    for (_, seen) in seen {
        let place = left.iter().position(|written| {
            written.kind == seen.kind
                && written.chat == seen.chat
                && fit(&written.lines, &seen.lines)
        });
        // If no line matches, the name of the first line of the same kind is used.
        match place {
            Some(place) => *seen = left.remove(place).clone(),
            None => {
                let named =
                    left.iter().find(|written| written.kind == seen.kind && written.tag.is_some());
                seen.tag = named.and_then(|written| written.tag.clone());
            }
        }
    }
}
