//! Damaged updates: each is lost alone. The seeds are all kinds of updates and all fields of a message in the Bot API.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use test_kit::mutate;

use super::batch::{self, ReadProgress};
use super::incoming::{self, BotIdentity};
use super::update;

/// Every kind of update, and a message with every field.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let specification: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/bot_api.json")).unwrap();
    let with = |kind: &str, body: &Value| {
        let mut update = json!({"update_id": 11});
        update[kind] = body.clone();
        update.to_string().into_bytes()
    };
    let kinds = specification["update"].as_object().unwrap();
    let fields = specification["message"].as_object().unwrap();
    let messages = fields.iter().map(|(name, value)| {
        let chat = json!({"id": 77, "type": "private", "first_name": "Ann"});
        let from = json!({"id": 77, "is_bot": false, "first_name": "Ann"});
        let mut message = json!({"message_id": 5, "date": 1, "chat": chat, "from": from});
        message[name] = value.clone();
        with("message", &message)
    });
    kinds.iter().map(|(kind, body)| with(kind, body)).chain(messages).collect()
});

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..5);
    (prop::sample::select(SEEDS.clone()), changes)
        .prop_map(|(seed, changes)| mutate(&seed, &changes))
}

fn asks(id: u32) -> Vec<u8> {
    let chat = json!({"id": id, "type": "private", "first_name": "Ann"});
    let from = json!({"id": id, "is_bot": false, "first_name": "Ann"});
    let message = json!({"message_id": 5, "date": 1, "chat": chat, "from": from, "text": "luna"});
    json!({"update_id": id, "message": message}).to_string().into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: test_kit::cases(2_048), ..ProptestConfig::default() })]

    #[test]
    fn whatever_becomes_of_an_update_its_neighbours_are_read(bad in damaged()) {
        let list = [b"[".as_slice(), &asks(10), b",", &bad, b",", &asks(12), b"]"].concat();
        let batch = batch::read(&list, 10, &mut ReadProgress::default()).unwrap();
        for id in [10, 12] {
            let found = batch.iter().any(|one| one.id == Some(id) && one.parsed.update.is_ok());
            prop_assert!(found, "{id} is lost: {:?}", batch);
        }
    }

    /// As a webhook receives it.
    #[test]
    fn an_update_is_read_or_it_is_known_why_not(bad in damaged()) {
        let parsed = update::read(&bad);
        match parsed.update {
            Ok(update) => {
                let me = BotIdentity { id: 1, username: "freefans_bot" };
                let _ = incoming::read(parsed.id.unwrap(), update, me); // Asked, or silent by a rule.
            }
            Err(error) => prop_assert!(!error.reason().is_empty()),
        }
    }
}
