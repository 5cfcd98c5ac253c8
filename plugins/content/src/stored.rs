//! Pages of the remote source as cache entries. A key is short, so the entry itself says which request it answers. Pure.

use kit::http::Request;
use serde_json::{Value, json};

use crate::page::Loaded;

/// A number that is the same for the same text in every build (FNV-1a). Not for secrets, and not proof of sameness.
pub fn fingerprint(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// The key of a request's answer.
pub fn key(request: &Request) -> String {
    format!("page2:{:016x}", fingerprint(&asked(request)))
}

/// The entry to keep.
pub fn entry(request: &Request, loaded: &Loaded) -> String {
    json!({"asked": asked(request), "page": loaded.to_json()}).to_string()
}

/// What an entry holds; none when it answers another request.
pub fn read(request: &Request, entry: &[u8]) -> Option<Loaded> {
    let entry: Value = serde_json::from_slice(entry).ok()?;
    (entry.get("asked")?.as_str()? == asked(request)).then_some(())?;
    Loaded::from_json(entry.get("page")?)
}

/// All that decides the answer: project, table, columns, filters and cursor are in the address, the pages in `Range`.
fn asked(request: &Request) -> String {
    let range = request.headers.iter().find(|(name, _)| *name == "range");
    format!("{} {}", range.map_or("", |(_, value)| value), request.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_answers_its_own_request_only() {
        let request = |url: &str, range: &str| {
            let mut request = Request::get(url.to_owned(), 1_000);
            request.headers.push(("range", range.to_owned()));
            request
        };
        let loaded =
            Loaded { items: Vec::new(), page: 1, total_pages: 2, total_items: 3, next: None };
        let one = request("https://project.example/?x=1", "0-9");
        let entry = entry(&one, &loaded);
        assert_eq!(read(&one, entry.as_bytes()), Some(loaded));
        for other in [request("https://project.example/?x=2", "0-9"), request(&one.url, "0-29")] {
            assert_eq!(read(&other, entry.as_bytes()), None);
            assert_ne!(key(&other), key(&one));
        }
        assert_eq!(read(&one, b"{}"), None);
        let long = request(&format!("https://project.example/?x={}", "1".repeat(4_000)), "0-9");
        assert!(key(&long).len() <= 256, "longer keys are not taken");
    }
}
