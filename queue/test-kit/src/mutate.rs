//! Damage, as a fuzzer does it to an input that is well-formed.

/// `seed` with some changes, each a place, a kind and a byte.
pub fn mutate(seed: &[u8], changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for &(place, kind, byte) in changes {
        let place = place % (bytes.len() + 1);
        match kind % 5 {
            0 | 1 if place == bytes.len() => bytes.push(byte),
            0 => bytes[place] ^= 1 << (byte % 8),
            1 => bytes[place] = byte,
            2 => bytes.insert(place, byte),
            3 => bytes.truncate(place),
            _ => {
                let end = bytes.len().min(place + usize::from(byte));
                bytes.drain(place..end);
            }
        }
    }
    bytes
}
