//! From a file's bytes to text: byte order marks, UTF-16, and kinds of file that are no table at all.

use std::borrow::Cow;

/// The text. What cannot be decoded stands in it as a byte that UTF-8 has not, so it costs its row and no other.
///
/// # Errors
///
/// When the bytes are another kind of file.
pub(super) fn decode<'a>(what: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
    let refused = |is: &str| Err(format!("the {what} is {is}; save it as CSV in UTF-8"));
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return refused("UTF-32"),
        [0xff, 0xfe, rest @ ..] => return Ok(Cow::Owned(from_utf16(rest, u16::from_le_bytes))),
        [0xfe, 0xff, rest @ ..] => return Ok(Cow::Owned(from_utf16(rest, u16::from_be_bytes))),
        [b'P', b'K', 3, 4, ..] => return refused("an archive, as .xlsx and .ods files are"),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => return refused("an .xls file"),
        [0x1f, 0x8b, ..] => return refused("compressed"),
        _ => {}
    }
    match zeros(bytes) {
        Some(Zeros::Even) => return Ok(Cow::Owned(from_utf16(bytes, u16::from_be_bytes))),
        Some(Zeros::Odd) => return Ok(Cow::Owned(from_utf16(bytes, u16::from_le_bytes))),
        None => {}
    }
    let mut text = bytes;
    // Programs that add a mark to a text that has one write it twice.
    while let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") {
        text = rest;
    }
    let start = text.trim_ascii_start().get(..5).unwrap_or_default().to_ascii_lowercase();
    if matches!(start.as_slice(), b"<html" | b"<!doc" | b"<?xml") {
        return refused("a web page or XML");
    }
    Ok(Cow::Borrowed(text))
}

/// Where the zeros are in UTF-16 without a mark.
enum Zeros {
    Even,
    Odd,
}

/// A header is ASCII, so every other byte of it is zero in UTF-16 and none in UTF-8.
fn zeros(bytes: &[u8]) -> Option<Zeros> {
    const LOOKED_AT: usize = 16;
    let start = bytes.get(..LOOKED_AT)?;
    let at = |first: usize| start.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    match (at(0), at(1)) {
        (8, 0) => Some(Zeros::Even),
        (0, 8) => Some(Zeros::Odd),
        _ => None,
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = Vec::with_capacity(bytes.len() / 2);
    for letter in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match letter {
            Ok('\u{feff}') if text.is_empty() => {}
            Ok(letter) => text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(_unpaired) => text.push(UNREADABLE),
        }
    }
    text.extend(rest.iter().map(|_| UNREADABLE));
    text
}

/// A byte that is in no UTF-8 text.
const UNREADABLE: u8 = 0xff;
