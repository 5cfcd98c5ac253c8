//! Short numbers for long texts.

/// A number that is the same for the same text in every build (FNV-1a). Not for secrets, and not proof of sameness.
pub fn fingerprint(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}
