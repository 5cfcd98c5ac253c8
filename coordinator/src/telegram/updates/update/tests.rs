//! What is read of an update, and what is known of one that cannot be read.

use super::*;

const CHAT: &str = r#""chat":{"id":7,"type":"private"}"#;
const GROUP: &str = r#""chat":{"id":-9,"type":"supergroup"}"#;

fn message_of(members: &str) -> Result<Message, Unreadable> {
    let json = format!(r#"{{"update_id":1,"message":{{{members}}}}}"#);
    read(json.as_bytes()).update.map(|update| match update {
        Update::Message(message) => *message,
        other => panic!("{other:?}"),
    })
}

fn sender_of(update: &str) -> Option<UnreadableSender> {
    read(format!(r#"{{"update_id":1,{update}}}"#).as_bytes()).sender
}

#[test]
fn of_an_update_that_is_no_json_the_number_and_the_reason_are_known() {
    let check = |json: &[u8], id: Option<u32>, reason: Unreadable| {
        let piece = read(json);
        assert_eq!((piece.id, piece.update), (id, Err(reason)), "{}", json.escape_ascii());
    };
    check(br#"{"update_id" : 7,"message":{"#, Some(7), Unreadable::Syntax);
    check(br#"{"message":{"text":"no"},"update_id":7"#, Some(7), Unreadable::Syntax);
    check(b"{\"update_id\":7,\"message\":{\"text\":\"\xff", Some(7), Unreadable::Bytes);
    check(br#"{"update_id":99999999999,"#, None, Unreadable::Syntax);
    // What somebody wrote is no key.
    check(br#"{"text":"update_id":7}"#, None, Unreadable::Syntax);
}

#[test]
fn what_has_no_number_is_known_again_by_its_bytes() {
    for (one, other) in [(r#"{"update_id":-1}"#, r#"{"update_id":-2}"#), ("{", "}")] {
        let known_by = |json: &str| read(json.as_bytes()).nameless;
        assert!(known_by(one).is_some() && known_by(one) == known_by(one), "{one}");
        assert_ne!(known_by(one), known_by(other), "{one}");
    }
    assert_eq!(read(br#"{"update_id":7}"#).nameless, None);
}

#[test]
fn who_sent_what_cannot_be_read_is_found_where_it_is_said() {
    let ann = User { id: 8, bot: false, language: Some("de".to_owned()) };
    let from = r#""from":{"id":8,"language_code":"de"}"#;
    let private = Chat { id: 7, private: true };
    let sent = sender_of(&format!(r#""message":{{{CHAT},{from},"text":1}}"#)).unwrap();
    assert_eq!((sent.chat, sent.from, sent.press), (private, ann.clone(), None));
    // The id of a chat with one person is theirs; in a group nobody is named.
    let sent = sender_of(&format!(r#""message":{{{CHAT},"from":7,"text":1}}"#)).unwrap();
    assert_eq!((sent.chat, sent.from.id), (private, 7));
    assert_eq!(sender_of(&format!(r#""message":{{{GROUP},"from":7,"text":1}}"#)), None);
    let topic = r#""message_thread_id":5,"is_topic_message":true"#;
    let sent = sender_of(&format!(r#""message":{{{GROUP},{from},{topic},"text":1}}"#));
    assert_eq!(sent.unwrap().topic, Some(5));
    let pressed = sender_of(&format!(r#""callback_query":{{"id":"77",{from},"data":1}}"#));
    let chat = Chat { id: 8, private: true };
    let press = Some("77".to_owned());
    assert_eq!(pressed, Some(UnreadableSender { chat, from: ann, topic: None, press }));
    assert_eq!(sender_of(&format!(r#""callback_query":{{{from},"data":1}}"#)), None);
    assert_eq!(sender_of(&format!(r#""message":{{"message_id":1,{CHAT}}}"#)), None);
}

#[test]
fn whoever_was_restricted_may_be_in_the_chat_or_not() {
    let present = |member: &str| {
        let json = format!(
            r#"{{"update_id":1,"my_chat_member":{{{GROUP},"new_chat_member":{{{member}}}}}}}"#
        );
        read(json.as_bytes()).update
    };
    let is = |present| Ok(Update::Membership { chat_id: -9, present });
    assert_eq!(present(r#""status":"restricted","is_member":true"#), is(Some(true)));
    assert_eq!(present(r#""status":"restricted","is_member":false"#), is(Some(false)));
    assert_eq!(present(r#""status":"restricted""#), is(Some(true)));
    assert_eq!(present(r#""status":"administrator""#), is(Some(true)));
    assert_eq!(present(r#""status":"left""#), is(Some(false)));
    assert_eq!(present(r#""status":7"#), is(None));
}

#[test]
fn a_message_needs_its_number_its_chat_and_in_a_group_who_wrote_it() {
    let missing = |name| Err(Unreadable::Missing(name));
    assert_eq!(message_of(r#""message_id":5"#), missing("chat"));
    assert_eq!(message_of(CHAT), missing("message_id"));
    let from = |chat: &str, from: &str| {
        let message = message_of(&format!(r#""message_id":5,{chat},"from":{from}"#));
        message.map(|message| message.from.map(|person| person.id))
    };
    assert_eq!(from(CHAT, r#"{"id":8}"#), Ok(Some(8)));
    assert_eq!(from(CHAT, "{}"), Ok(Some(7)), "the id of a chat with one person is theirs");
    assert_eq!(from(CHAT, "null"), Ok(Some(7)));
    assert_eq!(from(GROUP, "null"), Ok(None));
    assert_eq!(from(GROUP, "{}"), Err(Unreadable::Missing("id")));
}

#[test]
fn what_can_be_done_without_may_be_of_any_kind() {
    let from = r#""from":{"id":8,"is_bot":"no","language_code":1}"#;
    let message = message_of(&format!(r#""message_id":5,{CHAT},{from}"#)).unwrap();
    assert_eq!(message.from, Some(User { id: 8, bot: false, language: None }));
    let chat = |id: i64, more: &str| {
        let message = message_of(&format!(r#""message_id":5,"chat":{{"id":{id}{more}}}"#));
        message.map(|message| message.chat.private)
    };
    assert_eq!(chat(7, ""), Ok(true));
    assert_eq!(chat(7, r#","type":1"#), Ok(true));
    assert_eq!(chat(-7, ""), Ok(false));
    assert_eq!(chat(-7, r#","type":"private""#), Ok(false), "it is no person's id");
    let topic = |more: &str| {
        let thread = r#""message_thread_id":5"#;
        message_of(&format!(r#""message_id":5,{GROUP},{thread}{more}"#)).unwrap().topic
    };
    assert_eq!(topic(r#","is_topic_message":true"#), Some(5));
    assert_eq!(topic(""), None, "a thread of replies is no topic");
    let album = message_of(&format!(r#""message_id":5,{CHAT},"media_group_id":"a""#));
    assert_eq!(album.unwrap().album.as_deref(), Some("a"));
}

#[test]
fn the_words_of_a_rich_message_are_its_lines_as_deep_as_is_looked() {
    let rich = |blocks: &str| {
        let rich = format!(r#""rich_message":{{"blocks":{blocks}}}"#);
        message_of(&format!(r#""message_id":5,{CHAT},{rich}"#)).unwrap().words
    };
    let two = r#"[{"type":"paragraph","text":["a ",{"type":"bold","text":"b"}]},{"type":"heading","text":"c"}]"#;
    assert_eq!(rich(two).as_deref(), Some("a b\nc"));
    let nested = |levels: usize| format!("{}\"a\"{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(rich(&nested(RICH_DEEPEST - 2)).as_deref(), Some("a"));
    assert_eq!(rich(&nested(RICH_DEEPEST)), None);
}

#[test]
fn a_press_needs_who_pressed_and_what_its_answer_names() {
    let press = |members: &str| {
        let json = format!(r#"{{"update_id":1,"callback_query":{{{members}}}}}"#);
        read(json.as_bytes()).update.map(|update| match update {
            Update::Press(press) => (press.message, press.data),
            other => panic!("{other:?}"),
        })
    };
    let from = r#""id":"77","from":{"id":8}"#;
    let message = format!(r#""message":{{"message_id":5,{CHAT}}}"#);
    let chat = Chat { id: 7, private: true };
    let pressed = press(&format!(r#"{from},{message},"data":"d""#));
    assert_eq!(pressed, Ok((Some((chat, 5, None)), Some("d".to_owned()))));
    // Without its message a button leads nowhere, but it was pressed.
    assert_eq!(press(&format!(r#"{from},"message":7"#)), Ok((None, None)));
    assert_eq!(press(&format!(r#"{from},"data":7"#)), Err(Unreadable::Value("data")));
    assert_eq!(press(r#""from":{"id":8}"#), Err(Unreadable::Missing("id")));
}
