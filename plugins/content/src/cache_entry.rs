//! Answers of the remote source as cache entries. Keys are short hashes, so an entry repeats the request that it answers.
//! How much a chat has seen already is not in the entry: it is counted for each request. Pure.

use freefans_plugin::http::Request;
use serde_json::{Value, json};

use crate::fingerprint::fingerprint;
use crate::item::{Item, Kind};
use crate::page::Part;

/// The key of a request's answer. The number is the version of the format.
pub fn key(request: &Request) -> String {
    format!("page3:{:016x}", fingerprint(&asked(request)))
}

/// The entry to store.
pub fn entry(request: &Request, part: &Part) -> String {
    json!({
        "asked": asked(request),
        "items": part.items.iter().map(Item::to_json).collect::<Vec<_>>(),
        "read": part.read,
        "left": part.left,
        "last": part.last,
    })
    .to_string()
}

/// Reads an entry; none when it answers another request.
pub fn read(request: &Request, entry: &[u8]) -> Option<Part> {
    let entry: Value = serde_json::from_slice(entry).ok()?;
    (entry.get("asked")?.as_str()? == asked(request)).then_some(())?;
    let number = |key: &str| usize::try_from(entry.get(key)?.as_u64()?).ok();
    let items = entry.get("items")?.as_array()?.iter().map(read_item).collect::<Option<_>>()?;
    let last = serde_json::from_value(entry.get("last")?.clone()).ok()?;
    Some(Part { items, read: number("read")?, left: number("left")?, last })
}

fn read_item(value: &Value) -> Option<Item> {
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    Some(Item {
        id: text("id")?,
        title: text("title")?,
        url: text("url")?,
        kind: Kind::parse(value.get("type")?.as_str()?)?,
        date: text("date")?,
    })
}

/// Everything that determines the answer: project, table, columns, filters and cursor are in the address, the pages in
/// `Range`.
fn asked(request: &Request) -> String {
    let range = request.headers.iter().find(|(name, _)| *name == "range");
    format!("{} {}", range.map_or("", |(_, value)| value), request.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, range: &str) -> Request {
        let mut request = Request::get(url);
        request.headers.push(("range", range.to_owned()));
        request
    }

    fn part(last: Option<(&str, &str)>) -> Part {
        let text = str::to_owned;
        let item = Item {
            id: text("7"),
            title: text("Harbour"),
            url: text("https://m.example/7"),
            kind: Kind::Video,
            date: text("2026-01-02"),
        };
        let last = last.map(|(at, id)| (text(at), text(id)));
        Part { items: vec![item], read: 2, left: 3, last }
    }

    #[test]
    fn what_goes_into_the_cache_comes_out_the_same() {
        let request = request("https://project.example/?x=1", "0-9");
        for part in [part(None), part(Some(("2026-01-02T03:04:05+00:00", "7")))] {
            assert_eq!(read(&request, entry(&request, &part).as_bytes()), Some(part));
        }
    }

    #[test]
    fn an_entry_answers_its_own_request_only() {
        let one = request("https://project.example/?x=1", "0-9");
        let entry = entry(&one, &part(None));
        for other in [request("https://project.example/?x=2", "0-9"), request(&one.url, "0-29")] {
            assert_eq!(read(&other, entry.as_bytes()), None);
            assert_ne!(key(&other), key(&one));
        }
        assert_eq!(read(&one, b"{}"), None);
        let long = request(&format!("https://project.example/?x={}", "1".repeat(4_000)), "0-9");
        assert!(key(&long).len() <= 256, "longer keys are not taken");
    }
}
