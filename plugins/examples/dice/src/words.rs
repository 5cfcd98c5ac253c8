//! What people read, by language. The coordinator says which: `language_param` in the command.

use crate::dice::{MAX_BONUS, MAX_DICE, MAX_SIDES, Problem};

/// A language that the plugin speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// English, also for whoever has another one.
    En,
    /// German.
    De,
}

impl Lang {
    /// The language with this code.
    pub fn of(code: Option<&str>) -> Self {
        if code == Some("de") { Self::De } else { Self::En }
    }

    /// Its code, for the params of buttons.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// What one die shows.
    pub fn shows(self, roll: u32) -> String {
        match self {
            Self::En => format!("shows {roll}"),
            Self::De => format!("zeigt {roll}"),
        }
    }

    /// The button that throws the same dice.
    pub fn again(self) -> &'static str {
        match self {
            Self::En => "🎲 Roll again",
            Self::De => "🎲 Noch einmal",
        }
    }

    /// What is wrong with the dice that somebody wrote.
    pub fn problem(self, problem: Problem) -> String {
        match (self, problem) {
            (Self::En, Problem::Unclear) => {
                "I do not know these dice. Write for instance 2d6, d20 or 3d8+2.".to_owned()
            }
            (Self::En, Problem::Count) => format!("I throw 1 to {MAX_DICE} dice at once."),
            (Self::En, Problem::Sides) => format!("My dice have 2 to {MAX_SIDES} sides."),
            (Self::En, Problem::Bonus) => format!("I add or take away at most {MAX_BONUS}."),
            (Self::De, Problem::Unclear) => {
                "Diese Würfel kenne ich nicht. Schreib zum Beispiel 2d6, d20 oder 3d8+2.".to_owned()
            }
            (Self::De, Problem::Count) => format!("Ich werfe 1 bis {MAX_DICE} Würfel auf einmal."),
            (Self::De, Problem::Sides) => format!("Meine Würfel haben 2 bis {MAX_SIDES} Seiten."),
            (Self::De, Problem::Bonus) => {
                format!("Ich zähle höchstens {MAX_BONUS} dazu oder ziehe so viel ab.")
            }
        }
    }
}
