//! From `2d6+1` to dice that were thrown.

use std::fmt;

use freefans_plugin::Random;

/// Bounds that keep an answer readable.
pub const MAX_DICE: u32 = 20;
/// The same for sides.
pub const MAX_SIDES: u32 = 1_000;
/// The same for what is added.
pub const MAX_BONUS: u64 = 1_000;

/// What is to be thrown: `count` dice with `sides` sides, and `bonus` added to their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    count: u32,
    sides: u32,
    bonus: i64,
}

/// What is wrong with dice that somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// They are no dice.
    Unclear,
    /// There are too many, or none.
    Count,
    /// They have too many sides, or too few.
    Sides,
    /// Too much is added or taken away.
    Bonus,
}

impl Dice {
    /// Reads `2d6`, `d20`, `3d8+2` or `2W6 - 1`, as people write them: large or small letters, spaces, the German `w`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let text = text.to_lowercase();
        let unclear = || Problem::Unclear;
        let (count, rest) = text.split_once(['d', 'w']).ok_or_else(unclear)?;
        let (sides, bonus) = match rest.find(['+', '-']) {
            Some(place) => rest.split_at(place),
            None => (rest, "0"),
        };
        let count = if count.is_empty() { "1" } else { count };
        let number = |text: &str| text.parse::<u32>().map_err(|_error| unclear());
        let dice = Self {
            count: number(count)?,
            sides: number(sides)?,
            bonus: bonus.parse().map_err(|_error| unclear())?,
        };
        if !(1..=MAX_DICE).contains(&dice.count) {
            return Err(Problem::Count);
        }
        if !(2..=MAX_SIDES).contains(&dice.sides) {
            return Err(Problem::Sides);
        }
        if dice.bonus.unsigned_abs() > MAX_BONUS {
            return Err(Problem::Bonus);
        }
        Ok(dice)
    }

    /// Throws them.
    pub fn throw(self, mut random: Random) -> Thrown {
        let sides = u64::from(self.sides);
        let throw = |_| u32::try_from(random.below(sides) + 1).unwrap_or(1);
        let rolls: Vec<u32> = (0..self.count).map(throw).collect();
        let sum = rolls.iter().copied().map(i64::from).sum::<i64>() + self.bonus;
        Thrown { dice: self, rolls, sum }
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d{}", self.count, self.sides)?;
        match self.bonus {
            0 => Ok(()),
            bonus => write!(f, "{bonus:+}"),
        }
    }
}

/// Dice that lie on the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thrown {
    /// Which.
    pub dice: Dice,
    /// What each shows.
    pub rolls: Vec<u32>,
    /// All together, with what is added.
    pub sum: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, Problem>) {
        let read = Dice::parse(text).map(|dice| dice.to_string());
        assert_eq!(read.as_deref(), expected.as_ref().map(|dice| *dice), "{text}");
    }

    #[test]
    fn dice_are_read_as_people_write_them() {
        check("2d6", Ok("2d6"));
        check(" 2 D 6 + 1 ", Ok("2d6+1"));
        check("d20", Ok("1d20"));
        check("3W8-2", Ok("3d8-2"));
        check("20d1000+1000", Ok("20d1000+1000"));
    }

    #[test]
    fn what_is_no_dice_is_answered_kindly() {
        for text in ["", "six", "2d", "2d6+", "2d6++1", "d6d6", "-1d6", "2d6.5", "99999999999d6"] {
            check(text, Err(Problem::Unclear));
        }
        check("0d6", Err(Problem::Count));
        check("21d6", Err(Problem::Count));
        check("1d1", Err(Problem::Sides));
        check("1d1001", Err(Problem::Sides));
        check("1d6+1001", Err(Problem::Bonus));
        check("1d6-9223372036854775808", Err(Problem::Bonus));
    }

    #[test]
    fn every_side_comes_up_and_none_that_is_not_there() {
        let mut seen = [0_u32; 7];
        for seed in 0..1_000 {
            let thrown = Dice { count: 2, sides: 6, bonus: 3 }.throw(Random::new(seed));
            assert_eq!(thrown.sum, i64::from(thrown.rolls[0] + thrown.rolls[1]) + 3);
            for roll in thrown.rolls {
                seen[roll as usize] += 1;
            }
        }
        assert_eq!(seen[0], 0);
        // 2,000 throws: 333 of each, give or take.
        assert!(seen[1..].iter().all(|times| (250..420).contains(times)), "{seen:?}");
    }
}
