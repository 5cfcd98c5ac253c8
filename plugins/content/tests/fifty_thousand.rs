//! Pages over 50,000 items of a project that changes meanwhile: nothing is shown twice, nothing is left out.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper reports failure by panicking"
)]

use std::collections::BTreeSet;

use content::filter::Filter;
use content::item::{Item, Kind};
use content::page::Loaded;
use content::params::Wanted;
use content::remote::{Remote, Setup};
use freefans_plugin::http::{HttpError, Request, Response};
use proptest::prelude::*;
use services::{Asked, Project, Row};

/// Whether a row fits a filter.
type Fits<'a> = &'a dyn Fn(&Row) -> bool;

const LUNA: &str = "https://c.example/luna";

fn row(id: i64, creator: &str, day: i64, second: i64) -> Row {
    Row {
        id,
        creator_url: creator.to_owned(),
        creator_name: "Luna".to_owned(),
        title: if id % 10 == 0 { format!("Harbour Lights {id}") } else { format!("Item {id}") },
        url: format!("https://m.example/{id}"),
        kind: if id % 3 == 0 { "video" } else { "picture" }.to_owned(),
        posted_at: format!("2026-{:02}-{:02}T00:00:{second:02}+00:00", 1 + day / 28, 1 + day % 28),
    }
}

/// 50,000 items of two creators, about 150 of each creator a day and many at the same second.
fn project() -> Project {
    let creators = [LUNA, "https://c.example/other"];
    let rows = (0..50_000)
        .map(|id| row(id, creators[usize::from(id % 2 == 1)], id / 2 * 5 % 168, id % 4))
        .collect();
    Project { key: "key".to_owned(), table: "content".to_owned(), rows, max_rows: 1_000 }
}

fn remote() -> Remote {
    let get = |key: &str| (key == "supabase_url").then(|| "https://project.example".to_owned());
    match Remote::from(get, &mut Vec::new()) {
        Ok(Setup::Remote(remote)) => *remote,
        other => panic!("{other:?}"),
    }
}

fn send(project: &Project, request: &Request) -> Result<Response, HttpError> {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    headers.push(("apikey".to_owned(), project.key.clone()));
    headers.push(("authorization".to_owned(), format!("Bearer {}", project.key)));
    let target = request.url.strip_prefix("https://project.example").unwrap().to_owned();
    let answer = project.answer(&Asked { target, headers, ..Asked::default() });
    Ok(Response { status: answer.status, headers: answer.headers, body: answer.body.into_bytes() })
}

fn wanted(filter: Filter, pages: usize) -> Wanted {
    let creator_url = Some(LUNA.to_owned());
    Wanted { creator_name: "Luna".to_owned(), creator_url, filter, after: None, pages }
}

fn load(project: &Project, wanted: &Wanted, size: usize) -> Loaded {
    let remote = remote();
    let answer = send(project, &remote.request(wanted, size));
    remote.read(wanted, size, answer).unwrap().0.pages(wanted, size)
}

/// What the database would list, newest first.
fn expected(project: &Project, wanted: impl Fn(&Row) -> bool) -> Vec<i64> {
    let mut rows: Vec<&Row> =
        project.rows.iter().filter(|row| row.creator_url == LUNA && wanted(row)).collect();
    rows.sort_by(|a, b| (&b.posted_at, b.id).cmp(&(&a.posted_at, a.id)));
    rows.into_iter().map(|row| row.id).collect()
}

fn ids(items: &[Item]) -> Vec<i64> {
    items.iter().map(|item| item.id.parse().unwrap()).collect()
}

#[test]
fn the_first_page_is_the_newest_with_the_total() {
    let project = project();
    let loaded = load(&project, &wanted(Filter::default(), 1), 10);
    assert_eq!(ids(&loaded.items), expected(&project, |_| true)[..10]);
    assert_eq!((loaded.page, loaded.total_items, loaded.total_pages), (1, 25_000, 2_500));
}

#[test]
fn each_filter_lists_what_the_database_would() {
    let project = project();
    let text = str::to_owned;
    let kind = Filter { kind: Some(Kind::Video), ..Filter::default() };
    let days = Filter {
        from: Some(text("2026-02-11")),
        to: Some(text("2026-02-12")),
        ..Filter::default()
    };
    let words = Filter { text: Some(text("harbour lights")), ..Filter::default() };
    let all = Filter {
        kind: Some(Kind::Video),
        from: days.from.clone(),
        to: days.to.clone(),
        text: words.text.clone(),
    };
    let in_days = |row: &Row| ("2026-02-11".."2026-02-13").contains(&row.posted_at.as_str());
    let fits: [(Filter, Fits<'_>); 4] = [
        (kind, &|row| row.kind == "video"),
        (days, &in_days),
        (words, &|row| row.title.starts_with("Harbour")),
        (all, &|row| row.kind == "video" && in_days(row) && row.title.starts_with("Harbour")),
    ];
    for (filter, fits) in fits {
        let expected = expected(&project, fits);
        assert!(expected.len() > 10, "{filter:?} fits nothing");
        let loaded = load(&project, &wanted(filter.clone(), 10), 50);
        assert_eq!(loaded.total_items, expected.len(), "{filter:?}");
        assert_eq!(ids(&loaded.items), expected[..expected.len().min(500)], "{filter:?}");
    }
}

#[test]
fn ten_pages_on_with_rows_coming_and_going_nothing_is_repeated_or_skipped() {
    let mut project = project();
    let before = expected(&project, |_| true);
    let mut wanted = wanted(Filter::default(), 1);
    let mut seen = Vec::new();
    for page in 0..10 {
        let loaded = load(&project, &wanted, 10);
        assert_eq!(loaded.page, page + 1);
        seen.extend(ids(&loaded.items));
        // New ones in front, one more at the very moment of the last one, and the last one itself goes.
        let last = *seen.last().unwrap();
        let moment = project.rows.iter().find(|row| row.id == last).unwrap().posted_at.clone();
        let new = 60_000 + i64::try_from(page).unwrap() * 10;
        for id in new..new + 5 {
            project.rows.push(row(id, LUNA, 167, 30));
        }
        project.rows.push(Row { posted_at: moment, ..row(new + 9, LUNA, 0, 0) });
        project.rows.retain(|row| row.id != last);
        wanted.after = loaded.next;
    }
    assert_eq!(seen, before[..100]);
}

#[test]
fn a_project_that_gives_fewer_rows_at_once_is_read_to_its_end() {
    let mut project = project();
    project.rows.truncate(600);
    project.max_rows = 7;
    let mut wanted = wanted(Filter::default(), 3);
    let mut seen = Vec::new();
    loop {
        let loaded = load(&project, &wanted, 10);
        seen.extend(ids(&loaded.items));
        assert!(seen.len() <= 300, "it goes on after its end");
        assert_eq!(loaded.total_items, 300);
        wanted.after = loaded.next;
        if wanted.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected(&project, |_| true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rows come and go between pages, many of them at the same moment: every row that was there from the first page
    /// to the last is shown once, and none twice.
    #[test]
    fn whatever_comes_and_goes_nothing_is_repeated_or_skipped(
        moments in proptest::collection::vec(0_i64..6, 1..60),
        changes in proptest::collection::vec(
            (proptest::collection::vec(0_i64..6, 0..6), proptest::collection::vec(0_usize..100, 0..6)), 0..30),
        size in 1_usize..6,
        pages in 1_usize..4,
    ) {
        let rows: Vec<Row> = (0_i64..).zip(&moments).map(|(id, moment)| row(id * 3, LUNA, 0, *moment)).collect();
        let mut project = Project { key: "key".to_owned(), table: "content".to_owned(), rows, max_rows: 9 };
        let mut stayed: BTreeSet<i64> = project.rows.iter().map(|row| row.id).collect();
        let mut wanted = wanted(Filter::default(), pages);
        let mut seen = Vec::new();
        let mut changes = changes.into_iter();
        let mut new = 1;
        loop {
            let loaded = load(&project, &wanted, size);
            seen.extend(ids(&loaded.items));
            prop_assert!(seen.len() < 1_000, "it goes on after its end");
            wanted.after = loaded.next;
            if wanted.after.is_none() {
                break;
            }
            let Some((come, go)) = changes.next() else { continue };
            for moment in come {
                project.rows.push(row(new, LUNA, 0, moment));
                new += 3;
            }
            for at in go {
                if 1 < project.rows.len() {
                    let at = at % project.rows.len();
                    stayed.remove(&project.rows.remove(at).id);
                }
            }
        }
        let once: BTreeSet<i64> = seen.iter().copied().collect();
        prop_assert_eq!(once.len(), seen.len(), "shown twice: {:?}", seen);
        prop_assert!(stayed.is_subset(&once), "left out: {:?}", stayed.difference(&once));
    }
}
