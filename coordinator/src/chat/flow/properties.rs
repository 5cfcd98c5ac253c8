//! Damaged sessions, delivery addresses and plugins' answers are read, read in part, or refused.

use proptest::prelude::*;
use queue::TaskResult;
use serde_json::{Value, json};
use test_kit::mutate;

use super::answer::answer;
use crate::chat::address::ChatAddress;
use crate::chat::question::{Question, ReplyTo};
use crate::chat::session::Session;
use crate::chat::text::Lang;

fn changes() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..5)
}

/// What plugins answer, one of each kind.
fn answers() -> Vec<(Question, Value)> {
    let creator = json!({"name": "Luna", "url": "https://c.example/l", "aliases": ["Lu"], "score": 0.9, "item_count": 7});
    let item = json!({"id": "1", "title": "t", "url": "https://m.example/1", "type": "video", "date": "2026-01-02"});
    let view = json!({
        "version": 1, "text": "A *text*", "items": [{"title": "One", "url": "https://i.example", "text": "x"}],
        "media": [{"url": "https://m.example/1.png", "caption": "c"}],
        "buttons": [[{"label": "Again", "task_type": "roll_dice", "params": {"dice": "2d6"}}]],
    });
    let plugin = Question::Plugin {
        task_type: "roll_dice".parse().unwrap(),
        params: serde_json::Map::new(),
        title: "/roll".to_owned(),
        back: String::new(),
    };
    vec![
        (
            Question::Search { query: "luna".to_owned() },
            json!({"query": "luna", "creators": [creator], "exact_match": true, "source": "csv"}),
        ),
        (
            Question::Random { exclude: Vec::new() },
            json!({"creator_name": "Luna", "creator_url": "https://c.example/l", "item_count": 30}),
        ),
        (plugin, json!({"view": view, "content_directory": {"items": [item], "has_more": true}})),
    ]
}

/// A session in which each of them was shown.
fn lived_in() -> Session {
    let mut session = Session::default();
    for (number, (question, data)) in answers().into_iter().enumerate() {
        let turn = session.turn_of(u32::try_from(number).unwrap());
        answer(&mut session, format!("{turn:012x}"), &question, &TaskResult::success(data));
        session.may_show(7, turn);
        session.keep_failed(format!("{turn:x}"), question);
    }
    session
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: test_kit::cases(1_024), ..ProptestConfig::default() })]

    #[test]
    fn a_session_that_is_read_is_written_as_the_same(changes in changes()) {
        let json = mutate(&serde_json::to_vec(&lived_in()).unwrap(), &changes);
        if let Ok(session) = serde_json::from_slice::<Session>(&json) {
            let written = serde_json::to_vec(&session).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Session>(&written).unwrap(), session);
        }
    }

    #[test]
    fn whatever_a_plugin_answers_there_is_something_to_show(which in 0..3_usize, changes in changes()) {
        let (question, data) = answers().swap_remove(which);
        let json = mutate(data.to_string().as_bytes(), &changes);
        if let Ok(data) = serde_json::from_slice::<Value>(&json) {
            let mut session = lived_in();
            let screen = answer(&mut session, "0123456789ab".to_owned(), &question, &TaskResult::success(data));
            prop_assert!(!screen.html.trim().is_empty());
        }
    }

    #[test]
    fn where_an_answer_goes_is_read_or_refused(changes in changes()) {
        let address = ChatAddress { chat_id: 7, owner: 7, ..ChatAddress::default() };
        let question = Question::Search { query: "luna".to_owned() };
        let to = ReplyTo { address, message_id: Some(5), turn: 3, lang: Lang::De, question };
        let json = mutate(&serde_json::to_vec(&to).unwrap(), &changes);
        let _ = serde_json::from_slice::<ReplyTo>(&json); // Read or refused.
        let _ = serde_json::from_slice::<ChatAddress>(&json);
    }
}
