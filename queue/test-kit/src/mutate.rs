//! Damages well-formed inputs like a fuzzer.

/// Bytes that often break parsers: invalid UTF-8, half an emoji, numbers out of range, extra quotes and brackets, nesting,
/// NUL, byte order marks.
const BAD: [&[u8]; 16] = [
    b"\xff\xfe",
    b"\\ud83d",
    b"1e999",
    b"-9223372036854775809",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\",
    b"null",
    b"\0",
    b"\xef\xbb\xbf",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\r\n",
];

/// How many damaged inputs a test tries: `usual`, or the number in the variable `FUZZ_CASES`.
pub fn cases(usual: u32) -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// `seed` with some changes, each a position, a kind and a byte.
pub fn mutate(seed: &[u8], changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for &(place, kind, byte) in changes {
        let place = place % (bytes.len() + 1);
        match kind % 7 {
            0 | 1 if place == bytes.len() => bytes.push(byte),
            0 => bytes[place] ^= 1 << (byte % 8),
            1 => bytes[place] = byte,
            2 => bytes.insert(place, byte),
            3 => bytes.truncate(place),
            4 => {
                let bad = BAD[usize::from(byte) % BAD.len()];
                bytes.splice(place..place, bad.iter().copied());
            }
            5 => {
                let end = bytes.len().min(place + usize::from(byte));
                let again = bytes[place..end].to_vec();
                bytes.splice(place..place, again);
            }
            _ => {
                let end = bytes.len().min(place + usize::from(byte));
                bytes.drain(place..end);
            }
        }
    }
    bytes
}
