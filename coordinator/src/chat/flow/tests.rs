//! Conversations as scripts: what the person does and what the bot answers, compared as a whole.

use std::fmt::Write as _;
use std::sync::LazyLock;

use queue::{FailureCode, TaskId, TaskResult};
use serde_json::{Value, json};

use super::*;
use crate::chat::address::ChatAddress;
use crate::chat::command_menu::CommandMenu;
use crate::chat::privacy::PrivacyNotice;
use crate::chat::screen::ButtonTarget;
use crate::chat::text::Lang;

fn context() -> TurnContext<'static> {
    static NOTHING: LazyLock<CommandMenu> = LazyLock::new(CommandMenu::default);
    static OURS: PrivacyNotice = PrivacyNotice::of_the_bot();
    TurnContext {
        address: ChatAddress { chat_id: 7, owner: 7, thread: None, reply_to: None },
        language: Lang::En,
        admin: false,
        bot: "freefans_bot",
        menu: &NOTHING,
        privacy: &OURS,
    }
}

/// A person, their session, and what was said so far.
#[derive(Default)]
struct Chat {
    session: Session,
    log: String,
    asked: Option<Question>,
    tasks: u32,
    updates: u32,
    screen: Screen,
}

impl Chat {
    fn writes(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.log, "user: {text}");
        match Event::read_text(text, "freefans_bot", true) {
            Some(event) => self.happens(&event),
            None => self,
        }
    }

    /// Presses the button with this text on the last message.
    fn presses(&mut self, label: &str) -> &mut Self {
        let buttons = self.screen.buttons.iter().flatten();
        let found = buttons.clone().find(|button| button.text.contains(label));
        let data = match found.map(|button| &button.target) {
            Some(ButtonTarget::Callback(action)) => {
                action.encode(&ChatAddress { chat_id: 7, owner: 7, ..ChatAddress::default() })
            }
            other => panic!("no button `{label}` to press: {other:?}"),
        };
        self.presses_data(label, &data)
    }

    fn presses_data(&mut self, label: &str, data: &str) -> &mut Self {
        let _ = writeln!(self.log, "user: [{label}]");
        let query_id = "q".to_owned();
        let data = data.to_owned();
        self.happens(&Event::Press { query_id, message_id: 7, data })
    }

    fn happens(&mut self, event: &Event) -> &mut Self {
        self.updates += 1;
        for effect in react(&mut self.session, context(), self.updates, event) {
            match effect {
                Effect::Say(screen) => self.shows("bot:  ", screen),
                Effect::Show { screen, .. } => self.shows("bot*: ", screen),
                Effect::AnswerButton { note, .. } => {
                    if let Some(note) = note {
                        let _ = writeln!(self.log, "note: {note}");
                    }
                }
                Effect::Cancel { tasks, .. } => {
                    let _ = writeln!(self.log, "stop: {}", tasks.len());
                }
                Effect::Status(pending) => {
                    let called: Vec<String> = pending.into_iter().map(|of| of.called).collect();
                    let _ = writeln!(self.log, "status of: {}", called.join(", "));
                }
                Effect::Album { media, .. } => {
                    let _ = writeln!(self.log, "album: {}", media.len());
                }
                Effect::SetLanguage(lang) => {
                    let _ = writeln!(self.log, "choose: {lang:?}");
                }
                Effect::DeleteData { tasks } => {
                    let _ = writeln!(self.log, "forget, and stop: {}", tasks.len());
                    self.session = Session::default();
                }
                Effect::Stats
                | Effect::Plugins
                | Effect::ReplayDead { .. }
                | Effect::Resume { .. } => self.log.push_str("for an administrator\n"),
                Effect::Submit { question, .. } => {
                    let name = question.task_type().unwrap();
                    let params = Value::Object(question.params());
                    let _ = writeln!(self.log, "task: {name} {params}");
                    self.asked = Some(question);
                }
            }
        }
        self
    }

    fn answered(&mut self, result: &TaskResult) -> &mut Self {
        let question = self.asked.take().expect("something was asked");
        self.tasks += 1;
        let id = TaskId::from_cause(
            &queue::Lane::whole(&question.task_type().unwrap()),
            &self.tasks.to_string(),
        );
        let before = self.session.clone();
        let screen = answer::answer(&mut self.session, view_name(&id), &question, result);
        let after = self.session.clone();
        let again = answer::answer(&mut self.session, view_name(&id), &question, result);
        assert_eq!((&again, &self.session), (&screen, &after), "the same answer twice");
        let same = |of: &Session| Session { failed: Vec::new(), ..of.clone() };
        assert!(result.success || same(&before) == same(&after), "a failure changes nothing");
        self.shows("bot*: ", screen);
        self
    }

    fn shows(&mut self, who: &str, screen: Screen) {
        let text = plain(&screen.html).replace('\n', "\n      ");
        let _ = writeln!(self.log, "{who}{text}");
        for row in &screen.buttons {
            let labels: Vec<&str> = row.iter().map(|button| button.text.as_str()).collect();
            let _ = writeln!(self.log, "      [{}]", labels.join("] ["));
        }
        self.screen = screen;
    }

    #[track_caller]
    fn reads(&self, expected: &str) {
        let lines = |text: &str| {
            text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(lines(&self.log).trim(), lines(expected).trim(), "\n{}", self.log);
    }
}

/// The text without its tags.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut tag = false;
    for letter in html.chars() {
        match letter {
            '<' => tag = true,
            '>' => tag = false,
            _ if !tag => text.push(letter),
            _ => {}
        }
    }
    text
}

fn found() -> TaskResult {
    TaskResult::success(json!({"exact_match": false, "creators": [
        {"name": "Luna Marlowe", "url": "https://c.example/luna", "item_count": 12, "aliases": ["Luna M"]},
        {"name": "Noor Marlowe", "url": "https://c.example/noor", "item_count": 1},
    ]}))
}

fn items(from: usize, to: usize, more: bool) -> TaskResult {
    let items: Vec<Value> = (from..=to)
        .map(|n| {
            json!({"id": n.to_string(), "title": format!("Item {n}"), "type": "picture",
                   "url": format!("https://m.example/{n}"), "date": "2026-01-01"})
        })
        .collect();
    TaskResult::success(json!({"content_directory": {
        "items": items, "total_items": 12, "has_more": more, "cursor": "next",
    }}))
}

#[test]
fn from_a_name_to_items_and_back() {
    let mut chat = Chat::default();
    chat.writes("luna marlow").answered(&found());
    chat.presses("Luna Marlowe").answered(&items(1, 10, true));
    chat.presses("Load more").answered(&items(11, 12, false));
    chat.presses("Previous").presses("Results");
    chat.reads(
        r#"
user: luna marlow
task: search_creator {"limit":30,"query":"luna marlow"}
bot*: 🔎 Closest to luna marlow:

      1. Luna Marlowe (Luna M)
      2. Noor Marlowe
      [Luna Marlowe · 12 items]
      [Noor Marlowe · 1 item]
      [🔎 Search more]
user: [Luna Marlowe]
task: load_content {"creator_name":"Luna Marlowe","creator_url":"https://c.example/luna"}
bot*: 📂 Luna Marlowe · 12 items
      Page 1 of 2

      1. 🖼 Item 1 2026-01-01
      2. 🖼 Item 2 2026-01-01
      3. 🖼 Item 3 2026-01-01
      4. 🖼 Item 4 2026-01-01
      5. 🖼 Item 5 2026-01-01
      6. 🖼 Item 6 2026-01-01
      7. 🖼 Item 7 2026-01-01
      8. 🖼 Item 8 2026-01-01
      9. 🖼 Item 9 2026-01-01
      10. 🖼 Item 10 2026-01-01
      [⬇ Load more]
      [• All] [🖼 Pictures] [🎬 Videos]
      [👁 Show here] [↩ Results]
user: [Load more]
task: load_more_pages {"creator_name":"Luna Marlowe","creator_url":"https://c.example/luna","cursor":"next","pages_to_fetch":3}
bot*: 📂 Luna Marlowe · 12 items
      Page 2 of 2

      11. 🖼 Item 11 2026-01-01
      12. 🖼 Item 12 2026-01-01
      [◀ Previous]
      [• All] [🖼 Pictures] [🎬 Videos]
      [👁 Show here] [↩ Results]
user: [Previous]
bot*: 📂 Luna Marlowe · 12 items
      Page 1 of 2

      1. 🖼 Item 1 2026-01-01
      2. 🖼 Item 2 2026-01-01
      3. 🖼 Item 3 2026-01-01
      4. 🖼 Item 4 2026-01-01
      5. 🖼 Item 5 2026-01-01
      6. 🖼 Item 6 2026-01-01
      7. 🖼 Item 7 2026-01-01
      8. 🖼 Item 8 2026-01-01
      9. 🖼 Item 9 2026-01-01
      10. 🖼 Item 10 2026-01-01
      [Next ▶]
      [• All] [🖼 Pictures] [🎬 Videos]
      [👁 Show here] [↩ Results]
user: [Results]
bot*: 🔎 Closest to luna marlow:

      1. Luna Marlowe (Luna M)
      2. Noor Marlowe
      [Luna Marlowe · 12 items]
      [Noor Marlowe · 1 item]
      [🔎 Search more]
"#,
    );
}

#[test]
fn the_forum_is_asked_from_the_results_and_leads_back() {
    let mut chat = Chat::default();
    chat.writes("/search nobody").answered(&TaskResult::success(json!({"creators": []})));
    let topics = json!({"creators": [
        {"name": "A thread", "url": "https://f.example/t/1", "replies": 4, "snippet": "so it is said"},
    ]});
    chat.presses("Search more").answered(&TaskResult::success(topics));
    chat.presses("Results");
    chat.reads(
        r#"
user: /search nobody
task: search_creator {"limit":30,"query":"nobody"}
bot*: 🤷 Nothing found for nobody.

      Try another spelling or a shorter part of the name.
      [🔎 Search more]
user: [Search more]
task: search_simpcity {"page":1,"query":"nobody"}
bot*: 🔎 The forum's results for nobody:

      1. A thread · 4 replies
          so it is said
      [A thread]
      [↩ Results]
user: [Results]
bot*: 🤷 Nothing found for nobody.

      Try another spelling or a shorter part of the name.
      [🔎 Search more]
"#,
    );
}

#[test]
fn a_random_creator_is_not_the_one_just_seen() {
    let pick = |name: &str| {
        let url = format!("https://c.example/{name}");
        TaskResult::success(json!({"creator_name": name, "creator_url": url, "item_count": 30}))
    };
    let mut chat = Chat::default();
    chat.writes("/random").answered(&pick("otis")).presses("Another").answered(&pick("noor"));
    chat.reads(
        r#"
user: /random
task: get_random_creator {"exclude":[],"min_items":25}
bot*: 🎲 How about otis?
      30 items
      [📂 Show items] [Open page]
      [🎲 Another]
user: [Another]
task: get_random_creator {"exclude":["https://c.example/otis"],"min_items":25}
bot*: 🎲 How about noor?
      30 items
      [📂 Show items] [Open page]
      [🎲 Another]
"#,
    );
}

#[test]
fn failures_say_what_happened_in_plain_words_and_leave_a_way_on() {
    let mut chat = Chat::default();
    chat.writes("luna").answered(&found());
    let broke = TaskResult::failure(FailureCode::Trap, "wasm `unreachable` at 0x12");
    chat.presses("Luna").answered(&broke).presses("Results");
    chat.presses("Search more")
        .answered(&TaskResult::failure(FailureCode::PluginFailed, "not configured: set `x`"));
    chat.presses("Results").presses("Luna").answered(&items(1, 2, true));
    chat.presses("Load more").answered(&TaskResult::failure(FailureCode::DeadlineExceeded, "late"));
    chat.writes("/random").answered(&TaskResult::success(json!({"creator_name": 7})));
    let said: Vec<&str> = chat.log.lines().filter(|line| line.contains("⚠️")).collect();
    assert_eq!(
        said,
        [
            "bot*: ⚠️ Something broke while I was answering. Please try again.",
            "bot*: ⚠️ Extended search is not available here.",
            "bot*: ⚠️ I did not get to it in time. Please try again.",
            "bot*: ⚠️ Something broke while I was answering. Please try again.",
        ]
    );
    let kept = "in time. Please try again.\n      \n      📂 Luna Marlowe · 12 items";
    assert!(chat.log.contains(kept), "what was there stays there:\n{}", chat.log);
}

#[test]
fn what_cannot_be_asked_is_explained() {
    let mut chat = Chat::default();
    chat.writes("/search").writes("/nonsense").writes("?!").writes(&"x".repeat(201));
    chat.happens(&Event::NoText { album: None });
    for (n, part) in [
        "Who are you looking for",
        "do not know this command",
        "one letter or digit",
        "too long",
        "text only",
    ]
    .iter()
    .enumerate()
    {
        let said = chat.log.lines().filter(|line| line.starts_with("bot:")).nth(n).unwrap();
        assert!(said.contains(part), "{said}");
    }
    assert!(!chat.log.contains("task:"));
}

#[test]
fn in_a_group_an_unknown_command_is_answered_only_when_it_names_the_bot() {
    let mut chat = Chat::default();
    for text in ["/weather", "/weather@freefans_bot", "/help"] {
        chat.happens(&Event::read_text(text, "freefans_bot", false).unwrap());
    }
    let said: Vec<&str> = chat.log.lines().filter(|line| line.starts_with("bot:")).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("do not know this command"), "{said:?}");
}

#[test]
fn stale_strange_and_foreign_buttons_are_explained() {
    let mut chat = Chat::default();
    chat.writes("luna").answered(&found());
    for data in ["", "junk", "c:abcdef:0", "p:abcdef:1", "m:abcdef", "r:abcdef", "e:abcdef"] {
        chat.presses_data(data, data);
        let last = chat.log.lines().last().unwrap();
        assert_eq!(last, format!("note: {}", Lang::En.text("stale-button")), "{data}");
    }
}

#[test]
fn the_items_are_filtered_on_the_same_message_and_shown_themselves() {
    let mut chat = Chat::default();
    chat.writes("luna").answered(&found());
    chat.presses("Luna").answered(&items(1, 2, true));
    chat.presses("Videos")
        .answered(&TaskResult::success(json!({"content_directory": {"items": []}})));
    chat.presses("All").answered(&items(1, 2, true));
    chat.presses("Show here");
    let log = chat.log.clone();
    assert!(log.contains(r#""filters":{"type":"video"}"#), "{log}");
    assert!(log.contains("has no such items"), "{log}");
    assert!(log.contains("[All] [🖼 Pictures] [• 🎬 Videos]"), "{log}");
    assert!(log.ends_with("album: 2\n"), "{log}");
}

#[test]
fn what_failed_is_asked_again_by_a_button() {
    let mut chat = Chat::default();
    chat.writes("luna").answered(&TaskResult::failure(FailureCode::WallLimit, "late"));
    chat.presses("Try again").answered(&found());
    let asked = chat.log.matches("task: search_creator").count();
    assert_eq!(asked, 2, "{}", chat.log);
    assert!(chat.log.contains("Closest to luna"), "{}", chat.log);
}

#[test]
fn the_language_is_the_persons_until_they_choose_one() {
    let german = TurnContext { language: Lang::De, ..context() };
    let mut session = Session::default();
    let says = |session: &mut Session, context, update, event: &Event| {
        let effects = react(session, context, update, event);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Say(screen) | Effect::Show { screen, .. } => Some(screen),
            _ => None,
        })
    };
    let command = |name: &str| Event::read_text(&format!("/{name}"), "freefans_bot", true).unwrap();
    let screen = says(&mut session, german, 1, &command("settings")).unwrap();
    assert!(screen.html.contains("Deutsch, wie in deinem Telegram"), "{}", screen.html);
    let press = |data: &str| Event::Press {
        query_id: "q".to_owned(),
        message_id: 7,
        data: data.to_owned(),
    };
    let screen = says(&mut session, german, 2, &press("n:en")).unwrap();
    assert!(screen.html.contains("Language: English"), "{}", screen.html);
    let screen = says(&mut session, german, 3, &command("help")).unwrap();
    assert!(screen.html.contains("What I can do"), "{}", screen.html);
    let screen = says(&mut session, german, 4, &press("n:auto")).unwrap();
    assert!(screen.html.contains("wie in deinem Telegram"), "{}", screen.html);
}

#[test]
fn the_keys_below_the_input_field_are_commands_in_any_language() {
    let mut chat = Chat::default();
    chat.writes("/start");
    let keys: Vec<String> = chat.screen.keys.concat();
    assert_eq!(keys, ["🔎 Search", "🎲 Random", "⏳ Status", "⚙️ Settings"]);
    chat.writes("🎲 Random")
        .answered(&TaskResult::failure(FailureCode::NotFound, "nobody has enough"));
    chat.writes("🔎 Suchen").writes("⏳ Status").writes("⚙️ Settings");
    for said in ["task: get_random_creator", "Who are you looking for", "status of: ", "Settings"] {
        assert!(chat.log.contains(said), "{said} in {}", chat.log);
    }
}

#[test]
fn whoever_wants_to_be_forgotten_is_asked_once_and_forgotten() {
    let mut chat = Chat::default();
    chat.writes("luna").answered(&found());
    chat.writes("/settings").presses("Forget me").presses("Back").presses("Forget me");
    chat.presses("Yes, delete");
    assert!(chat.log.contains("forget, and stop: 0\nbot*: 🗑 Deleted."), "{}", chat.log);
    assert!(chat.session.results.is_empty());
}

#[test]
fn in_a_group_buttons_are_their_owners() {
    let group = ChatAddress { chat_id: -5, owner: 7, ..ChatAddress::default() };
    let here = TurnContext { address: group, ..context() };
    let mut ann = Session::default();
    let mut bob = Session::default();
    let data = ButtonAction::Random.encode(&group);
    let press = Event::Press { query_id: "q".to_owned(), message_id: 7, data };
    let asked = react(&mut ann, here, 1, &press);
    assert!(matches!(asked.as_slice(), [Effect::Submit { .. }]), "{asked:?}");
    let other = TurnContext { address: ChatAddress { owner: 8, ..group }, ..context() };
    let refused = react(&mut bob, other, 2, &press);
    let note = Some(Lang::En.text("foreign-button"));
    assert_eq!(refused, [Effect::AnswerButton { query_id: "q".to_owned(), note }]);
}

#[test]
fn only_administrators_are_told_how_the_bot_does() {
    let mut session = Session::default();
    let stats = Event::read_text("/stats", "freefans_bot", true).unwrap();
    assert_ne!(react(&mut session, context(), 1, &stats), [Effect::Stats]);
    let admin = TurnContext { admin: true, ..context() };
    assert_eq!(react(&mut session, admin, 2, &stats), [Effect::Stats]);
}

/// A menu with a plugin's `/roll`, which needs to be told what for.
fn menu_with_roll() -> CommandMenu {
    let roll = json!({"name": "roll", "description": "Roll dice", "task_type": "roll_dice",
        "argument": {"param": "dice", "required": true, "example": "2d6"}});
    CommandMenu {
        commands: [("roll".to_owned(), serde_json::from_value(roll).unwrap())].into(),
        offered: ["roll_dice".parse().unwrap()].into(),
        ..CommandMenu::default()
    }
}

#[test]
fn a_plugins_command_is_asked_and_its_view_leads_on() {
    let menu = menu_with_roll();
    let context = TurnContext { menu: &menu, ..context() };
    let mut session = Session::default();
    let mut update = 0;
    let mut happens = |session: &mut Session, context, event: &Event| {
        update += 1;
        react(session, context, update, event)
    };
    let write = |text: &str| Event::read_text(text, "freefans_bot", true).unwrap();
    let asked = happens(&mut session, context, &write("/roll 2d6"));
    let [Effect::Submit { question, .. }] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(Value::Object(question.params()), json!({"dice": "2d6"}));
    let rolled = TaskResult::success(json!({"view": {"version": 1, "text": "**7**",
        "buttons": [[{"text": "Again", "task_type": "roll_dice", "params": {"dice": "2d6"}}]]}}));
    let screen = answer::answer(&mut session, "ab12".to_owned(), question, &rolled);
    assert_eq!(screen.html, "<b>7</b>");
    let press = |data: &str| Event::Press {
        query_id: "q".to_owned(),
        message_id: 7,
        data: data.to_owned(),
    };
    let again = happens(&mut session, context, &press("t:ab12:0"));
    let [Effect::Submit { question, .. }] = again.as_slice() else { panic!("{again:?}") };
    let late = TaskResult::failure(FailureCode::WallLimit, "late");
    let screen = answer::answer(&mut session, "cd34".to_owned(), question, &late);
    assert!(screen.html.contains("took too long") && screen.html.ends_with("<b>7</b>"));
    assert_eq!(screen.buttons.len(), 1, "the button that asks again is still there");
    // The last worker that offers it goes away.
    let gone = happens(&mut session, self::context(), &press("t:ab12:0"));
    let note = Some(Lang::En.text("gone-button"));
    assert_eq!(gone, [Effect::AnswerButton { query_id: "q".to_owned(), note }]);
}

#[test]
fn a_plugins_command_says_what_it_needs_and_is_in_the_help() {
    let menu = menu_with_roll();
    let context = TurnContext { menu: &menu, ..context() };
    let says = |text: &str| {
        let event = Event::read_text(text, "freefans_bot", true).unwrap();
        match react(&mut Session::default(), context, 1, &event).as_slice() {
            [Effect::Say(screen)] => screen.html.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert!(says("/roll").contains("<code>/roll 2d6</code>"));
    assert!(says("/help").contains("• /roll: Roll dice"));
    assert!(says(&format!("/roll {}", "x".repeat(1_001))).contains("at most 1000 characters"));
}

#[test]
fn what_is_kept_is_told_in_the_persons_language_or_in_the_operators_words() {
    let said = |context| {
        let asked =
            Event::Command { name: "privacy".to_owned(), argument: String::new(), addressed: true };
        let effects = react(&mut Session::default(), context, 1, &asked);
        let [Effect::Say(screen)] = effects.as_slice() else { panic!("{effects:?}") };
        screen.html.clone()
    };
    let ours = said(context());
    assert!(ours.contains("180 days") && ours.contains("/settings"), "{ours}");
    assert!(said(TurnContext { language: Lang::De, ..context() }).contains("180 Tage"));
    let privacy = PrivacyNotice::new(Some("We keep <nothing> & no more.".to_owned()), Vec::new());
    let own = TurnContext { privacy: &privacy, ..context() };
    assert_eq!(said(own), "We keep &lt;nothing&gt; &amp; no more.");
}
