//! From pages to the published JSON.

use serde_json::{Value, json};

use crate::item::Item;
use crate::page::Loaded;

/// The answer of both task types; `before` are items that the person has already and wants in front.
pub fn directory(creator_name: &str, loaded: &Loaded, before: &[Value]) -> Value {
    let items: Vec<Value> =
        before.iter().cloned().chain(loaded.items.iter().map(Item::to_json)).collect();
    let mut answer = loaded.to_json();
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("items".to_owned(), items.into());
        fields.insert(
            "has_more".to_owned(),
            loaded.next.as_ref().and_then(crate::cursor::Cursor::encode).is_some().into(),
        );
    }
    json!({"creator_name": creator_name, "content_directory": answer})
}
