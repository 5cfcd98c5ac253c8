//! Numbers by chance, for games and samples. Not for secrets.

/// `SplitMix64` (Steele, Lea, Flood, 2014): many numbers from one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers. [`crate::Task::random`] takes the task's own.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, without `end`; 0 if `end` is 0. For an `end` below 2^32, low numbers are favoured by less
    /// than one in 2^32.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// One of the list; none if it is empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(list.len()).ok()?;
        list.get(usize::try_from(self.below(end)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_up_and_none_beyond() {
        let mut random = Random::new(7);
        let mut seen = [0_u32; 6];
        for _ in 0..2_000 {
            seen[usize::try_from(random.below(6)).unwrap()] += 1;
        }
        // 333 of each, give or take.
        assert!(seen.iter().all(|times| (250..420).contains(times)), "{seen:?}");
        assert_eq!((random.below(0), random.pick::<u8>(&[])), (0, None));
        assert_eq!(Random::new(1).pick(&["one"]), Some(&"one"));
    }

    #[test]
    fn a_seed_gives_its_own_numbers() {
        assert_eq!(Random::new(1), Random::new(1));
        assert_ne!(Random::new(1).next_u64(), Random::new(2).next_u64());
    }
}
