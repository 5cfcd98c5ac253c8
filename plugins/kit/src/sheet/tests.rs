use proptest::prelude::*;

use super::*;

const COLUMNS: [Column; 3] = [
    Column { names: &["model_name", "name"], holds: Holds::Text },
    Column { names: &["url"], holds: Holds::Address },
    Column { names: &["items"], holds: Holds::Extra },
];

fn open(bytes: &[u8]) -> Result<Sheet<'_, 3>, String> {
    Sheet::open("table", bytes, &COLUMNS, "name,url,items")
}

/// All rows as line, name and address.
fn rows(bytes: &[u8]) -> Result<Vec<(u64, String, String)>, String> {
    let mut sheet = open(bytes)?;
    let mut rows = Vec::new();
    while let Some(row) = sheet.next_row()? {
        let cell = |column| row.cell(column).map_or_else(Cow::into_owned, str::to_owned);
        rows.push((row.line, cell(0), cell(1)));
    }
    Ok(rows)
}

#[track_caller]
fn reads(bytes: impl AsRef<[u8]>, wanted: &[(u64, &str)]) {
    let rows = rows(bytes.as_ref()).unwrap();
    let names: Vec<_> = rows.iter().map(|(line, name, _)| (*line, name.as_str())).collect();
    assert_eq!(names, wanted);
}

#[track_caller]
fn refuses(bytes: impl AsRef<[u8]>, parts: &[&str]) {
    let error = rows(bytes.as_ref()).unwrap_err();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

/// Many rows without a quote, as one text.
fn many(count: usize) -> String {
    (0..count).map(|n| format!("Person {n},https://c.example/{n},{n}\n")).collect()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

const TABLE: &str = "name;url;items\nRené;https://c.example/r;5\nAnn;https://c.example/a;7\n";
const BOTH: &[(u64, &str)] = &[(2, "René"), (3, "Ann")];

#[test]
fn a_table_is_read_however_it_was_saved() {
    reads(TABLE, BOTH);
    reads(TABLE.replace('\n', "\r\n"), BOTH);
    reads(TABLE.replace('\n', "\r"), BOTH);
    reads(format!("\u{feff}\u{feff}{TABLE}"), BOTH);
    for separator in [",", "\t", "|"] {
        reads(TABLE.replace(';', separator), BOTH);
    }
    for mark in ["\u{feff}", ""] {
        reads(utf16(&format!("{mark}{TABLE}"), u16::to_le_bytes), BOTH);
        reads(utf16(&format!("{mark}{TABLE}"), u16::to_be_bytes), BOTH);
    }
    reads(TABLE.trim_end(), BOTH);
    reads(format!("{TABLE}\n\r\n\n"), BOTH);
}

#[test]
fn what_stands_above_the_header_is_passed_over() {
    let later = [(4, "René"), (5, "Ann")];
    reads(format!("\n\n{TABLE}"), &later);
    reads(format!(";;;\n \n{TABLE}"), &later);
    reads(format!("# the \"best, of\nsep=;\n{TABLE}"), &later);
    let one = [(3, "René"), (4, "Ann")];
    for first in ["sep=;", "SEP=;", "\"sep=;\"", "sep=;;;", "sep=; ", "\u{feff}sep=;"] {
        reads(format!("{first}\n{TABLE}"), &one);
        reads(format!("{first}\n{TABLE}").replace('\n', "\r\n"), &one);
    }
    reads(format!("sep=\t\n{}", TABLE.replace(';', "\t")), &one);
    reads(format!("sep=\\t\n{}", TABLE.replace(';', "\t")), &one);
    reads(format!("sep=^\n{}", TABLE.replace(';', "^")), &one);
    // A line that says it wrongly is not obeyed.
    reads(format!("sep=,\n{TABLE}"), &one);
    let sheet = format!("sep=,\n{TABLE}");
    assert!(open(sheet.as_bytes()).unwrap().remarks()[0].contains("`,`, but they are by `;`"));
}

#[test]
fn a_columns_name_is_known_in_any_dress() {
    for name in [
        " Model Name ",
        "MODEL_NAME",
        "model-name",
        "\"model_name\"",
        "ModelName",
        "model\u{a0}name",
        "\u{200b}model_name",
        "\"\u{feff}model_name\"",
        "#name",
    ] {
        reads(TABLE.replace("name", name), BOTH);
    }
    // A separator inside a quoted name is no separator.
    reads("\"a;b;c;d;e\",name,url\n,Ann,https://c.example/a\n", &[(2, "Ann")]);
}

#[test]
fn a_column_that_is_there_twice_is_told_and_the_first_is_used() {
    let text = b"name,url,Name\nAnn,https://c.example/a,zzz\n";
    reads(text, &[(2, "Ann")]);
    let remarks = open(text).unwrap().remarks().to_vec();
    assert!(remarks[0].contains(
        "line 1 of the table names `model_name` or `name` more than once, in cells 1, 3: cell 1"
    ));
    assert_eq!(remarks.len(), 1);
}

#[test]
fn a_file_that_is_no_such_table_says_what_it_is_and_what_to_do() {
    refuses("", &["empty", "`name,url,items`"]);
    refuses(" \r\n\n", &["empty"]);
    refuses("# only a remark\n", &["no line that names the columns"]);
    refuses("\na,b\n1,2\n", &["line 2", "`model_name` or `name`", "found: `a`, `b`"]);
    refuses("name\nA\n", &["line 1", "`url`"]);
    refuses(b"\xff\xfe\0\0n\0\0\0", &["UTF-32"]);
    refuses(b"PK\x03\x04xlsx", &[".xlsx", "CSV in UTF-8"]);
    refuses(b"\xd0\xcf\x11\xe0xls", &[".xls"]);
    refuses(b"\x1f\x8bxx", &["compressed"]);
    refuses("\n<!DOCTYPE html><title>x</title>", &["web page"]);
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_with_its_line_at_any_size() {
    let head = "name,url,items\nA,https://c.example/a,1\n";
    for rest in [0, 1, 300, 3_000] {
        let rest = many(rest);
        refuses(format!("{head}\"Luna,https://c.example/l,1\n{rest}"), &["line 3", "never closed"]);
        refuses(format!("{head}Luna,\"https://c.example/l,1\n{rest}"), &["line 3", "never closed"]);
        refuses(format!("{head}Luna,https://c.example/l,\"1\n{rest}"), &["line 3", "never closed"]);
        refuses(
            format!("{head}Luna,https://c.example/l,1\n{rest}\""),
            &[&format!("line {}", 4 + rest.lines().count()), "never closed"],
        );
    }
    refuses(format!("name,\"url\n{}", many(3)), &["line 1", "never closed"]);
    refuses(head.replace('\n', "\r\n") + "\r\n\"Luna", &["line 4", "never closed"]);
    refuses(head.replace('\n', "\r") + "\"Luna", &["line 3", "never closed"]);
}

#[test]
fn a_quote_that_the_quote_of_a_later_row_closes_is_an_error_with_its_line() {
    let open = "name,url,items\n\"Luna,https://c.example/l,1\n";
    for rows in [0, 1, 300, 3_000] {
        let rest = many(rows);
        // It closes before a letter …
        refuses(
            format!("{open}{rest}\"Oak, Ann\",https://c.example/o,1\n"),
            &["line 2", "middle of a text"],
        );
        // … or at the end of a cell, as any quoted text does.
        refuses(format!("{open}{rest}Oak\",https://c.example/o,1\n"), &["line 2", "takes line 3"]);
        refuses(
            format!("{open}{rest}Oak,https://c.example/o,\"\"\"\n"),
            &["line 2", "takes line 3"],
        );
    }
    let inside = "name,url,items\nLuna,https://c.example/l,\"1\nAnn,https://c.example/a,1\nOak,https://c.example/o,1\"\n";
    refuses(inside, &["line 2", "takes line 3"]);
    let address = "name,url,items\nLuna,\"https://c.example/l,1\nAnn,https://c.example/a,1\",5\n";
    refuses(address, &["line 2", "takes line 3"]);
}

#[test]
fn rows_that_end_early_are_not_swallowed_either() {
    let short: String = (0..50).map(|n| format!("P{n},https://c.example/{n}\n")).collect();
    refuses(
        format!("name,url,items\n\"Luna,x\n{short}Oak\",https://c.example/o\n"),
        &["line 2", "own"],
    );
    let list = "name,url,notes,items\nLuna,https://c.example/l,\"Links:\nshop,https://s.example\nfan,https://f.example\",3\n";
    reads(list, &[(2, "Luna")]);
}

#[test]
fn a_quote_inside_a_cell_is_a_letter_and_a_text_may_have_lines() {
    reads(
        "name,url\n5\" disc,https://c.example/a\nB,https://c.example/b\n",
        &[(2, "5\" disc"), (3, "B")],
    );
    reads("name,url\n\"The \"\"Moon\"\"\",https://c.example/a\n", &[(2, "The \"Moon\"")]);
    reads("name,url\n\"The\" Moon,https://c.example/a\nB,\n", &[(2, "The Moon"), (3, "B")]);
    reads("name,url\n\"two\r\nlines\",https://c.example/a\nB,\n", &[(2, "two\r\nlines"), (4, "B")]);
    reads("name,url\n\"\",\nB,\"\"", &[(2, ""), (3, "B")]);
}

#[test]
fn a_row_without_end_is_refused_and_a_long_one_costs_itself() {
    let lines = "x\n".repeat(MAX_ROW_LINES + 1);
    refuses(format!("name,url\n\"{lines}\",https://c.example/a\n"), &["line 2", "502 lines"]);
    let long = "x".repeat(MAX_ROW_BYTES);
    refuses(format!("name,url\n\"{long}\n\",https://c.example/a\n"), &["line 2", "2 lines"]);
    reads(
        format!("name,url\n{long},https://c.example/a\nB,\n"),
        &[(2, "more than 64 KiB in one row"), (3, "B")],
    );
}

#[test]
fn bytes_that_are_no_utf8_cost_their_row() {
    reads(
        b"name,url\nRen\xe9,https://c.example/r\nAnn,https://c.example/a\n",
        &[(2, "not valid UTF-8, byte 0xE9 in cell 1; save the file as UTF-8"), (3, "Ann")],
    );
    let mut half = utf16("\u{feff}name,url\nA,x\nB,y\n", u16::to_le_bytes);
    half[20..22].copy_from_slice(&0xd83d_u16.to_le_bytes());
    let names = rows(&half).unwrap();
    assert!(names[0].1.contains("not valid UTF-8") && names[1].1 == "B", "{names:?}");
}

#[test]
fn rows_of_another_width_and_remarks_are_seen() {
    let text = b"name,url,items,\nA,https://c.example/a,1,,,\nB,https://c.example/b\nC,x,1,,y\n# gone since May\n,,\n";
    let mut sheet = open(text).unwrap();
    let mut seen = Vec::new();
    while let Some(row) = sheet.next_row().unwrap() {
        seen.push((row.ragged, row.is_comment(), row.is_blank(), row.too_short_for(1)));
    }
    assert_eq!(
        seen,
        [
            (false, false, false, false),
            (true, false, false, false),
            (true, false, false, false),
            (true, true, false, true),
            (false, false, true, false)
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_sentence(
        head in prop::sample::select(vec!["", "name,url\n", "sep=;\nname;url\n", "\u{feff}"]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\",;\n\r=".to_vec())], 0..200),
    ) {
        if let Err(error) = rows(&[head.as_bytes(), &bytes].concat()) {
            prop_assert!(error.contains("table"), "{}", error);
        }
    }

    #[test]
    fn no_row_is_lost_to_a_quote_that_was_left_out(
        rows_before in 0_usize..20, rows_behind in 1_usize..20, all in any::<bool>(), cell in 0_usize..3, second in any::<bool>(),
    ) {
        // Every cell in quotes, or one row alone; then one quote is taken out.
        let quoted = |n: usize| format!("\"P{n}\",\"https://c.example/{n}\",\"{n}\"\n");
        let plain = |n: usize| format!("P{n},https://c.example/{n},{n}\n");
        let count = rows_before + 1 + rows_behind;
        let lines: Vec<String> = (0..count)
            .map(|n| if all || n == rows_before { quoted(n) } else { plain(n) })
            .collect();
        let mut text = lines.concat();
        let start: usize = lines.iter().take(rows_before).map(String::len).sum();
        let place = text.match_indices('"')
            .filter(|(place, _)| start <= *place)
            .nth(cell * 2 + usize::from(second))
            .unwrap()
            .0;
        text.remove(place);
        // Refused with the line, or all other rows are there.
        match rows(format!("name,url,items\n{text}").as_bytes()) {
            Err(error) => prop_assert!(error.contains(&format!("line {}", rows_before + 2)), "{}", error),
            Ok(read) => {
                let kept = read.iter().filter(|(line, name, _)| {
                    usize::try_from(*line).is_ok_and(|line| *name == format!("P{}", line - 2))
                });
                prop_assert!(count - 1 <= kept.count(), "{read:?}");
            }
        }
    }
}
