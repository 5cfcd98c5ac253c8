//! Rolls dice: a plugin to read before you write one of your own.
//!
//! It brings the command `/roll` along, reads what a person wrote ([`dice`]), and answers with a view in the person's language
//! ([`words`]): text, a list and buttons that a chat shows as they are. All of it is plain Rust, tested without a worker.

pub mod dice;
pub mod words;

use freefans_plugin::{Answer, Button, Command, Description, Error, Item, Plugin, Task, View};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dice::{Dice, Thrown};
use crate::words::Lang;

const TASK: &str = "roll_dice";
/// What is rolled when nothing is said.
const DEFAULT: &str = "1d6";
/// Other dice to try, a row of buttons.
const OTHERS: [&str; 4] = ["d6", "d20", "2d6", "d100"];

/// What is asked. The host checks the params against the schema of this type.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Params {
    /// Dice as people write them, for instance 2d6+1.
    #[schemars(length(max = 32))]
    dice: Option<String>,
    /// The person's language, two letters.
    #[schemars(length(max = 2))]
    lang: Option<String>,
}

/// What is answered, beside the view.
#[derive(Debug, Serialize)]
struct Rolled {
    dice: String,
    rolls: Vec<u32>,
    sum: i64,
}

/// The plugin.
#[derive(Debug)]
pub struct Roller;

impl Plugin for Roller {
    fn describe() -> Description {
        Description::new("dice", "1.0.0")
            .task(TASK, "Rolls dice, for instance 2d6+1.", roll)
            .command(
                Command::new("roll", "Roll dice, for instance 2d6+1", TASK)
                    .described_in("de", "Würfelt, zum Beispiel 2d6+1")
                    .argument("dice")
                    .example("2d6+1")
                    .language_param("lang"),
            )
    }
}

freefans_plugin::export!(Roller);

fn roll(params: &Params, task: &Task) -> Result<Answer, Error> {
    let lang = Lang::of(params.lang.as_deref());
    let text = params.dice.as_deref().unwrap_or(DEFAULT);
    let dice = Dice::parse(text).map_err(|problem| Error::invalid(lang.problem(problem)))?;
    let thrown = dice.throw(task.random());
    let view = view(&thrown, lang);
    let rolled = Rolled { dice: dice.to_string(), rolls: thrown.rolls, sum: thrown.sum };
    Ok(Answer::of(&rolled)?.with_view(view))
}

fn view(thrown: &Thrown, lang: Lang) -> View {
    let dice = thrown.dice.to_string();
    // One die says it all in the text.
    let single = if thrown.rolls.len() == 1 { &[] } else { thrown.rolls.as_slice() };
    View::text(format!("🎲 {dice}: **{}**", thrown.sum))
        .items(single.iter().map(|roll| Item::new(lang.shows(*roll))))
        .row([button(lang.again(), &dice, lang)])
        .row(OTHERS.map(|other| button(other, other, lang)))
}

/// A button that asks for another throw.
fn button(label: &str, dice: &str, lang: Lang) -> Button {
    let params = Params { dice: Some(dice.to_owned()), lang: Some(lang.code().to_owned()) };
    Button::ask(label, TASK, &params)
}

#[cfg(test)]
mod tests {
    use freefans_plugin::test::Host;
    use serde_json::{Value, json};

    use super::*;

    fn answer(params: &str) -> Value {
        Host::new().seed(7).run::<Roller>(TASK, params).unwrap().data().clone()
    }

    #[test]
    fn the_sum_the_single_dice_and_the_ways_on_are_shown() {
        let data = answer(r#"{"dice":"3d6+1"}"#);
        let view = &data["view"];
        assert_eq!(view["text"], format!("🎲 3d6+1: **{}**", data["sum"]));
        assert_eq!(view["items"].as_array().unwrap().len(), 3);
        assert_eq!(view["buttons"][0][0]["params"], json!({"dice": "3d6+1", "lang": "en"}));
        assert_eq!(view["buttons"][1][1]["params"], json!({"dice": "d20", "lang": "en"}));
    }

    #[test]
    fn a_german_is_answered_in_german() {
        let data = answer(r#"{"dice":"2w6","lang":"de"}"#);
        let view = &data["view"];
        assert!(view["items"][0]["title"].as_str().unwrap().starts_with("zeigt "));
        assert_eq!(view["buttons"][0][0]["text"], "🎲 Noch einmal");
        assert_eq!(view["buttons"][0][0]["params"]["lang"], "de");
    }

    #[test]
    fn one_die_is_not_listed() {
        assert_eq!(answer(r#"{"dice":"d20"}"#)["view"]["items"], json!([]));
        assert_eq!(answer("{}")["dice"], "1d6");
    }

    #[test]
    fn what_is_no_dice_is_a_question_to_ask_differently() {
        let asked = Host::new().run::<Roller>(TASK, r#"{"dice":"a hundred"}"#);
        assert!(matches!(asked, Err(Error::Invalid(text)) if text.contains("for instance 2d6")));
    }
}
