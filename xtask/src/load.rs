//! People who ask the bot without a pause.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::chat::Chat;
use crate::stop::Stop;

/// The first of them; each has a chat of their own.
const FIRST_CHAT: i64 = 1_000;
/// How long a person waits for an answer before they ask something else.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pause between two questions of a person.
const PAUSE: Duration = Duration::from_millis(500);
const NAMES: [&str; 4] = ["luna marlow", "orion", "vale", "night"];

/// Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    end: Stop,
    people: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many people, who write to the bot until `stop`.
    pub(crate) fn start(simulator: &str, people: u16, stop: &Stop) -> anyhow::Result<Self> {
        let end = Stop::default();
        let person = |number: u16| -> anyhow::Result<JoinHandle<()>> {
            let chat = Chat::open(simulator, FIRST_CHAT + i64::from(number), &end)?;
            let chat = chat.unseen(PATIENCE);
            let stop = stop.clone();
            Ok(thread::spawn(move || ask(chat, usize::from(number), &stop)))
        };
        let people = (0..people).map(person).collect::<anyhow::Result<_>>()?;
        Ok(Self { end, people })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end.request();
        for person in self.people.drain(..) {
            // One that panicked has said so.
            let _ = person.join();
        }
    }
}

/// Searches, asks the forum for more, and asks for somebody by chance, until asking is over.
fn ask(mut chat: Chat, number: usize, stop: &Stop) {
    for name in NAMES.iter().cycle().skip(number) {
        if stop.requested() || chat.is_over() {
            return;
        }
        // While something is wrong, answers are missing; that is what the load is for.
        if chat.say(name).is_ok()
            && let Ok(found) = chat.expect("results", |message| message.button(MORE).is_some())
            && chat.press(&found, MORE).is_ok()
        {
            let _ = chat.expect("the forum's results", |message| message.edited);
        }
        thread::sleep(PAUSE);
        if chat.say("/random").is_ok() {
            let _ = chat.expect("somebody", |message| message.edited);
        }
        thread::sleep(PAUSE);
    }
}

const MORE: &str = "Search more";
