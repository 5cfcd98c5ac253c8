//! The updates of one `getUpdates` answer, each with its update id. Pure.
//!
//! An update whose id cannot be read gets one from its neighbours: Telegram's ids are sequential (Bot API, `Update`). When
//! no update in a batch has an id, the first is taken to be the requested offset. If the same batch comes again, it is
//! taken to be the next id, and after [`ONE_BY_ONE`] such batches the step doubles each time. So no unreadable update blocks
//! those after it.

use std::collections::BTreeSet;

use super::update::{self, ParsedUpdate};
use queue::json::elements;

/// Batches without ids for which the offset moves by one, before the step doubles.
pub const ONE_BY_ONE: u32 = 16;
/// How often a truncated update at the end of an answer is requested again before it is skipped.
pub const CUT_AT_MOST: u32 = 3;

/// An update and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Its id, read or inferred; none when its neighbours leave no id for it.
    pub id: Option<u32>,
    /// What it says.
    pub parsed: ParsedUpdate,
}

/// State of reading over several fetches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadProgress {
    /// Consecutive fetches in which no update had an id.
    nameless: u32,
    /// Consecutive fetches with nothing but a truncated update.
    cut: u32,
}

/// Reads the result of `getUpdates`. None when it is not a list.
pub fn read(list: &[u8], offset: u32, progress: &mut ReadProgress) -> Option<Vec<Numbered>> {
    let found = elements(list, update::begins)?;
    let mut all_parsed: Vec<ParsedUpdate> =
        found.whole.iter().map(|json| update::read(json)).collect();
    match found.cut {
        // Complete updates are handled, the truncated one is requested again.
        Some(json) if all_parsed.is_empty() => {
            progress.cut += 1;
            if progress.cut >= CUT_AT_MOST {
                all_parsed.push(update::read(json));
            }
        }
        Some(_) | None => progress.cut = 0,
    }
    let nameless = !all_parsed.is_empty() && all_parsed.iter().all(|parsed| parsed.id.is_none());
    let first = offset.saturating_add(ahead(progress.nameless));
    progress.nameless = if nameless { progress.nameless.saturating_add(1) } else { 0 };
    Some(number(all_parsed, if nameless { first } else { offset }))
}

/// How far above the offset the first update of a batch without ids is assumed to be.
fn ahead(fetches: u32) -> u32 {
    let doublings = fetches.saturating_sub(ONE_BY_ONE);
    1_u32.checked_shl(doublings).unwrap_or(u32::MAX) - 1
}

fn number(all_parsed: Vec<ParsedUpdate>, first: u32) -> Vec<Numbered> {
    let taken: BTreeSet<u32> = all_parsed.iter().filter_map(|parsed| parsed.id).collect();
    // Updates before the first readable id are numbered backwards from it.
    let known = all_parsed.iter().position(|parsed| parsed.id.is_some());
    let mut next = match known.and_then(|at| Some((at, all_parsed.get(at)?.id?))) {
        Some((at, id)) => id.saturating_sub(u32::try_from(at).unwrap_or(u32::MAX)),
        None => first,
    };
    let mut numbered = Vec::with_capacity(all_parsed.len());
    for parsed in all_parsed {
        let id = parsed.id.or(Some(next).filter(|next| !taken.contains(next)));
        next = id.map_or(next, |id| id.saturating_add(1));
        numbered.push(Numbered { id, parsed });
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, offset: u32, expected: &[(Option<u32>, bool)]) {
        let batch = read(list.as_bytes(), offset, &mut ReadProgress::default()).unwrap();
        let found: Vec<(Option<u32>, bool)> =
            batch.iter().map(|one| (one.id, one.parsed.update.is_ok())).collect();
        assert_eq!(found, expected, "{list}");
    }

    #[test]
    fn an_update_without_a_number_is_counted_by_its_neighbours() {
        check(
            r#"[{"update_id":7},{"update_id":"x"},{"update_id":9}]"#,
            7,
            &[(Some(7), true), (Some(8), false), (Some(9), true)],
        );
        check(
            r#"[{"update_id":7},{"update_id":"x"},{"update_id":8}]"#,
            7,
            &[(Some(7), true), (None, false), (Some(8), true)],
        );
        check(r#"[{"update_id":1e99},{"update_id":9}]"#, 1, &[(Some(8), false), (Some(9), true)]);
        check(
            r#"[{"update_id":9},{"update_id":10,"update_id":11}]"#,
            1,
            &[(Some(9), true), (Some(10), false)],
        );
        check(r#"[{"update_id":99999999999}]"#, 40, &[(Some(40), false)]);
        check(
            r#"[{"update_id":7},{"update_id":8,"x":[},{"update_id":9}]"#,
            7,
            &[(Some(7), true), (Some(8), false), (Some(9), true)],
        );
    }

    #[test]
    fn a_batch_of_nothing_that_has_a_number_is_got_past() {
        let mut progress = ReadProgress::default();
        let mut offset = 5_000_u32;
        let mut fetches = 0;
        // The server repeats the update until the offset is above the server's own id for it.
        while offset <= 900_000_000 {
            let batch = read(b"[{\"update_id\":-1}]", offset, &mut progress).unwrap();
            offset = batch.last().unwrap().id.unwrap() + 1;
            fetches += 1;
            if fetches == ONE_BY_ONE {
                assert_eq!(offset, 5_000 + ONE_BY_ONE, "those behind it may be read still");
            }
        }
        assert!(fetches < 64, "{fetches} fetches");
        read(b"[{\"update_id\":7}]", offset, &mut progress).unwrap();
        assert_eq!(progress, ReadProgress::default());
        // However long it is.
        progress.nameless = u32::MAX;
        let batch = read(b"[{\"update_id\":-1}]", offset, &mut progress).unwrap();
        assert_eq!(batch.last().unwrap().id, Some(u32::MAX));
    }

    #[test]
    fn what_is_cut_off_is_asked_for_again_and_then_passed_over() {
        let mut progress = ReadProgress::default();
        let half = br#"[{"update_id":7,"message":{"te"#;
        assert!(read(half, 7, &mut progress).unwrap().is_empty());
        assert!(read(half, 7, &mut progress).unwrap().is_empty());
        let passed = read(half, 7, &mut progress).unwrap();
        assert_eq!(passed.iter().map(|one| one.id).collect::<Vec<_>>(), [Some(7)]);
        let whole_first = br#"[{"update_id":7},{"update_id":8,"#;
        assert_eq!(read(whole_first, 7, &mut progress).unwrap().len(), 1);
        // A complete update in between restarts the count.
        for _ in 1..CUT_AT_MOST {
            assert!(read(half, 7, &mut progress).unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_whole_is_one_update_whatever_it_holds() {
        check(
            r#"[{"update_id":7,"x":{"update_id":1}},{"update_id":8,"photo":[{"a":1},{"b":2}]}]"#,
            7,
            &[(Some(7), true), (Some(8), true)],
        );
        check(
            r#"[{"update_id":7,"x":[},  {"update_id":8}]"#,
            7,
            &[(Some(7), false), (Some(8), true)],
        );
    }

    #[test]
    fn whatever_one_person_sends_those_behind_are_read() {
        let one = |id: u32, text: &str| {
            format!(
                r#"{{"update_id":{id},"message":{{"message_id":9,"date":1,"from":{{"id":7,"is_bot":false}},"chat":{{"id":7,"type":"private"}},"text":{text}}}}}"#
            )
        };
        let texts = [r#"{"a":["#, r#""no end"#, "[[[[", r#""x\"#, "}}}", "]", "\"a\",\"b"];
        let mut list = Vec::new();
        for (n, text) in (0..).zip(texts) {
            list.push(one(10 + 2 * n, text));
            // Whatever the order of its members.
            let id = 11 + 2 * n;
            list.push(
                one(id, r#""luna""#)
                    .replace(&format!("\"update_id\":{id},"), "")
                    .replace("}}", &format!("}},\"update_id\":{id}}}")),
            );
        }
        let list = format!("[{}]}}", list.join(","));
        let batch = read(list.as_bytes(), 10, &mut ReadProgress::default()).unwrap();
        let good: Vec<u32> =
            batch.iter().filter(|one| one.parsed.update.is_ok()).filter_map(|one| one.id).collect();
        assert_eq!(good, [11, 13, 15, 17, 19, 21, 23]);
        let bad: Vec<u32> = batch
            .iter()
            .filter(|one| one.parsed.update.is_err())
            .filter_map(|one| one.id)
            .collect();
        assert_eq!(bad, [10, 12, 14, 16, 18, 20, 22]);
    }

    #[test]
    fn an_answer_that_is_no_list_is_none() {
        assert_eq!(read(b"{}", 1, &mut ReadProgress::default()), None);
    }
}
