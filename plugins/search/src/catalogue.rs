//! From the operator's CSV to creators. A bad row is skipped and named, never fatal.

use std::borrow::Cow;

use freefans_plugin::text::{clean, web_address};
use kit::sheet::{Column, Holds, Row as SheetRow, Rows, Sheet};
use kit::text::without_entities;

/// Longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 120;
/// Other names of one creator; more are left out.
const MAX_ALIASES: usize = 15;
/// Rows that are read. What an index over so many takes is in docs/search.md.
pub const MAX_ROWS: usize = 300_000;
/// What the columns are called, for whoever has to write them.
const EXAMPLE: &str = "model_name,profile_link,aliases,item_count";

const COLUMNS: [Column; 4] = [
    Column { names: &["model_name", "name"], holds: Holds::Text },
    Column { names: &["profile_link", "url"], holds: Holds::Address },
    Column { names: &["aliases", "alias"], holds: Holds::Extra },
    Column { names: &["item_count", "items"], holds: Holds::Extra },
];
const NAME: usize = 0;
const URL: usize = 1;
const ALIASES: usize = 2;
const ITEM_COUNT: usize = 3;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name to show.
    pub name: String,
    /// The creator's page.
    pub url: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// How many items there are, when the catalogue says so.
    pub item_count: Option<u64>,
}

/// What the operator should know about a catalogue that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noticed {
    /// How many rows were taken.
    pub accepted: usize,
    /// Rows that were left out.
    pub skipped: Rows,
    /// Rows that were kept without their number of items.
    pub uncounted: Rows,
    /// Rows that were kept and have fewer cells than the header, or more that hold something.
    pub ragged: Rows,
    /// What is odd about the lines above the rows.
    pub remarks: Vec<String>,
}

/// Reads a CSV with a header line, as spreadsheets save it ([`kit::sheet`]), and hands each good row to `take`, which
/// says whether there was room for it. What could not be used is in what comes back.
///
/// # Errors
///
/// What is wrong with the file as a whole, with its line: then it would lose more than a row.
pub fn read_catalogue(bytes: &[u8], mut take: impl FnMut(Row) -> bool) -> Result<Noticed, String> {
    let mut sheet = Sheet::open("catalogue", bytes, &COLUMNS, EXAMPLE)?;
    let mut noticed = Noticed { remarks: sheet.remarks().to_vec(), ..Noticed::default() };
    while let Some(found) = sheet.next_row()? {
        if found.is_blank() || found.is_comment() {
            continue;
        }
        let row = if noticed.accepted < MAX_ROWS {
            read_row(&found)
        } else {
            Err("more rows than are read".into())
        };
        let taken = row.and_then(|(row, counted)| {
            take(row).then_some(counted).ok_or("more text than there is room for".into())
        });
        match taken {
            Ok(counted) => {
                noticed.accepted += 1;
                if !counted {
                    noticed.uncounted.add(found.line, "the number of items is no whole number");
                }
                if found.ragged {
                    noticed.ragged.add(found.line, "another number of cells than the header");
                }
            }
            Err(reason) => noticed.skipped.add(found.line, reason),
        }
    }
    match noticed.skipped.named.first() {
        Some(first) if noticed.accepted == 0 => Err(format!(
            "none of the {} rows of the catalogue can be used; {first}",
            noticed.skipped.count
        )),
        _ => Ok(noticed),
    }
}

/// The row, and whether the number of items is one or left out; or why the row cannot be used.
fn read_row(row: &SheetRow<'_, 4>) -> Result<(Row, bool), Cow<'static, str>> {
    let text = |column| row.cell(column).map(without_entities);
    let mut names = split_names(&text(NAME)?);
    if names.is_empty() {
        return Err("no name".into());
    }
    if row.too_short_for(URL) {
        return Err(format!(
            "fewer cells than the header; cells are separated by {}",
            row.separator()
        )
        .into());
    }
    // As it stands: the content's source knows the creator by it.
    let url = row.cell(URL)?.trim();
    if !web_address(url) {
        return Err("the address does not begin with https:// or http://, or is no address".into());
    }
    for alias in text(ALIASES)?.split(['|', ';']) {
        let alias = clean(alias, MAX_NAME_CHARS);
        if !alias.is_empty() && !names.contains(&alias) {
            names.push(alias);
        }
    }
    let count = row.cell(ITEM_COUNT)?.trim();
    let item_count = whole_number(count);
    let counted = item_count.is_some() || count.is_empty();
    let name = names.remove(0);
    names.truncate(MAX_ALIASES);
    Ok((Row { name, url: url.to_owned(), aliases: names, item_count }, counted))
}

/// A whole number as spreadsheets write it: `1234`, `1,234`, `1.234`, `1 234`, `1'234`, and `96.0`, which some write for
/// whole numbers as soon as one cell of the column is empty.
fn whole_number(text: &str) -> Option<u64> {
    let text =
        [".0", ",0", ".00", ",00"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let Some(mark) = text.chars().find(|letter| !letter.is_ascii_digit()) else {
        return text.parse().ok();
    };
    if !matches!(mark, ',' | '.' | '\'' | '’') && !mark.is_whitespace() {
        return None;
    }
    let mut groups = text.split(mark);
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        digits.push_str(group);
    }
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `A / B | C (D)` names one creator four times; the first is shown.
fn split_names(cell: &str) -> Vec<String> {
    let mut names = Vec::new();
    for part in cell.split(['/', '|', '(', ')']) {
        let name = clean(part, MAX_NAME_CHARS);
        if name.chars().any(char::is_alphanumeric) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use kit::sheet::MAX_NAMED_ROWS;
    use proptest::prelude::*;

    use super::*;

    fn read(csv: impl AsRef<[u8]>) -> (Vec<Row>, Noticed) {
        let mut rows = Vec::new();
        let noticed = read_catalogue(csv.as_ref(), |row| {
            rows.push(row);
            true
        });
        (rows, noticed.unwrap())
    }

    fn names(row: &Row) -> Vec<&str> {
        std::iter::once(&row.name).chain(&row.aliases).map(String::as_str).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let (rows, _) =
            read("\u{feff}URL,Items,Name\r\nhttps://c.example/a,12,\"Ann, \"\"Lee\"\"\"\r\n");
        assert_eq!(rows[0].name, "Ann, \"Lee\"");
        assert_eq!(rows[0].item_count, Some(12));
    }

    #[test]
    fn a_spreadsheet_in_another_language_parts_cells_by_semicolons() {
        let (rows, _) = read("name;url;items\nA;https://c.example/a;7\n");
        assert_eq!((rows[0].name.as_str(), rows[0].item_count), ("A", Some(7)));
    }

    #[test]
    fn one_cell_may_hold_several_names() {
        let (rows, _) = read("name,url,aliases\nA / B | C (D),https://c.example/a,E|B; \n");
        assert_eq!(names(&rows[0]), ["A", "B", "C", "D", "E"]);
        let many: Vec<String> = (0..40).map(|n| format!("n{n}")).collect();
        let (rows, _) = read(format!("name,url\n{},https://c.example/a\n", many.join("|")));
        assert_eq!(names(&rows[0]).len(), 1 + MAX_ALIASES);
    }

    #[test]
    fn bad_rows_are_skipped_and_named_by_line() {
        let (rows, Noticed { skipped, .. }) = read(
            b"name,url\nA,https://c.example/a\n,https://c.example/b\n\n\"two\nlines\",javascript:x\n\xff\xfe,https://c.example/d\nE,https://c.example/e\n",
        );
        assert_eq!(rows.len(), 2);
        let named: Vec<String> = skipped.named.iter().map(ToString::to_string).collect();
        assert_eq!(named[0], "line 3: no name");
        assert!(named[1].starts_with("line 5: the address"), "{named:?}");
        assert!(named[2].starts_with("line 7: not valid UTF-8, byte 0xFF in cell 1"), "{named:?}");
        assert_eq!(skipped.count, 3);
    }

    #[test]
    fn a_thousand_bad_rows_are_counted_and_the_first_named() {
        let (rows, Noticed { accepted, skipped, .. }) =
            read(format!("name,url\n{}B,https://c.example/b\n", "A,nowhere\n".repeat(1_000)));
        assert_eq!((rows.len(), accepted), (1, 1));
        assert_eq!((skipped.count, skipped.named.len()), (1_000, MAX_NAMED_ROWS));
    }

    #[test]
    fn a_catalogue_without_one_good_row_is_refused_and_one_without_rows_is_empty() {
        let bad = "name,url\nA,nowhere\nB,nowhere\n";
        let error = read_catalogue(bad.as_bytes(), |_| true).unwrap_err();
        assert!(
            error.starts_with("none of the 2 rows of the catalogue can be used; line 2: "),
            "{error}"
        );
        assert_eq!(read("name,url\n\n\n"), (Vec::new(), Noticed::default()));
    }

    #[test]
    fn remarks_between_the_rows_are_no_rows_and_ragged_rows_are_told() {
        let (rows, noticed) = read(
            "name,url,items\n# new ones\nA,https://c.example/a\nB,https://c.example/b,1,,\n,,\nC,https://c.example/c,1,x\nD;https://c.example/d\n",
        );
        assert_eq!((rows.len(), noticed.accepted), (3, 3));
        let lines = |rows: &Rows| rows.named.iter().map(|row| row.line).collect::<Vec<_>>();
        assert_eq!((lines(&noticed.ragged), lines(&noticed.skipped)), (vec![3, 6], vec![7]));
        assert!(noticed.skipped.named[0].reason.contains("separated by `,`"), "{noticed:?}");
    }

    #[test]
    fn references_of_html_in_names_are_letters() {
        let (rows, _) =
            read("name,url,aliases\nTom &amp; Ann,https://c.example/a,T&#39;s|A&uuml;\n");
        assert_eq!(names(&rows[0]), ["Tom & Ann", "T's", "Aü"]);
    }

    #[test]
    fn a_catalogue_above_the_bound_is_read_up_to_it() {
        let text = format!("name,url\n{}", "A,http://a\n".repeat(MAX_ROWS + 2));
        let (rows, Noticed { skipped, .. }) = read(text);
        assert_eq!((rows.len(), skipped.count), (MAX_ROWS, 2));
        assert_eq!(skipped.named[0].line, MAX_ROWS as u64 + 2);
        assert_eq!(skipped.named[0].reason, "more rows than are read");
    }

    #[test]
    fn a_file_that_no_row_can_be_read_from_says_why() {
        for (bytes, part) in [
            (b"a,b\n1,2\n".as_slice(), "`model_name` or `name`"),
            (b"name\nA\n", "`profile_link` or `url`"),
            (b"", "`model_name,profile_link,aliases,item_count`"),
            (b"\xff\xfen\0a\0", "found: `na`"),
        ] {
            let error = read_catalogue(bytes, |_| true).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_refuses_the_file_however_small() {
        for rows in [0, 3, 3_000] {
            let rest = "Name,https://creators.example/name,1\n".repeat(rows);
            let text = format!("name,url,items\n\"Luna,https://creators.example/luna,1\n{rest}");
            let error = read_catalogue(text.as_bytes(), |_| true).unwrap_err();
            assert!(
                error.starts_with("line 2 of the catalogue opens a quote that is never closed"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_count_with_an_empty_fraction_is_a_count() {
        let (rows, noticed) = read("name,url,items\nA,https://creators.example/a,96.0\n");
        assert_eq!(rows[0].item_count, Some(96));
        assert_eq!(noticed, Noticed { accepted: 1, ..Noticed::default() });
    }

    #[test]
    fn a_count_in_groups_of_three_is_a_count() {
        for (text, number) in [
            ("1,234", Some(1_234)),
            ("1.234", Some(1_234)),
            ("12'345'678", Some(12_345_678)),
            ("1 234", Some(1_234)),
            ("1\u{202f}234", Some(1_234)),
            ("1,234.0", Some(1_234)),
            ("96,0", Some(96)),
            ("1.5", None),
            ("1,23", None),
            ("1,234.567", None),
            ("1234,567", None),
            (",234", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(whole_number(text), number, "{text}");
        }
    }

    #[test]
    fn a_count_that_is_no_number_is_named_by_line_and_the_creator_kept() {
        let (rows, noticed) = read(
            "name,url,items\nA,http://a,12\n\nB,http://b,about 90\nC,http://c,\nD,http://d,-1\nE,http://e,\n,http://f,x\n",
        );
        let counts: Vec<_> = rows.iter().map(|row| row.item_count).collect();
        assert_eq!(counts, [Some(12), None, None, None, None]);
        let named: Vec<_> = noticed.uncounted.named.iter().map(ToString::to_string).collect();
        let said = |line| format!("line {line}: the number of items is no whole number");
        assert_eq!((named, noticed.uncounted.count), (vec![said(4), said(6)], 2));
        assert_eq!(noticed.skipped.count, 1, "a row that is left out is not named twice");
        let (_, many) = read(format!("name,url,items\n{}", "A,http://a,x\n".repeat(1_000)));
        assert_eq!((many.uncounted.named.len(), many.uncounted.count), (MAX_NAMED_ROWS, 1_000));
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_every_row_that_is_kept_can_be_shown(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut rows = Vec::new();
            let bytes = [b"name,url,aliases\n".as_slice(), &bytes].concat();
            // Whether the file is good as a whole or not.
            let _ = read_catalogue(&bytes, |row| {
                rows.push(row);
                true
            });
            for row in rows {
                prop_assert!(web_address(&row.url));
                for name in names(&row) {
                    prop_assert!(!name.is_empty() && name.chars().count() <= MAX_NAME_CHARS);
                    prop_assert!(!name.chars().any(char::is_control), "{name:?}");
                }
            }
        }

        #[test]
        fn what_a_spreadsheet_writes_is_read_as_it_was(
            rows in prop::collection::vec(("[a-zA-Z,\"';\\n éü]{0,20}[a-z]", 0_u64..1_000), 0..20),
            crlf in any::<bool>(),
            mark in any::<bool>(),
        ) {
            let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
            writer.write_record(["model_name", "profile_link", "item_count"]).unwrap();
            for (name, count) in &rows {
                writer.write_record([name, "https://c.example/x", &count.to_string()]).unwrap();
            }
            let mut bytes = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
            bytes.extend(writer.into_inner().unwrap());
            let (found, noticed) = read(bytes);
            prop_assert_eq!(noticed, Noticed { accepted: rows.len(), ..Noticed::default() });
            let found: Vec<_> = found.into_iter().map(|row| (row.name, row.item_count)).collect();
            let wanted: Vec<_> = rows
                .iter()
                .map(|(name, count)| (clean(name, MAX_NAME_CHARS), Some(*count)))
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
