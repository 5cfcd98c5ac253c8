//! From dice to what the chat shows: a view, as `docs/plugin-contract.md` describes it.

use serde_json::{Value, json};

use crate::descriptor::TASK_TYPE;
use crate::dice::Thrown;
use crate::words::Lang;

/// Other dice to try, a row of buttons.
const OTHERS: &[&str] = &["d6", "d20", "2d6", "d100"];

/// The answer's data.
pub fn data(thrown: &Thrown, lang: Lang) -> Value {
    let dice = thrown.dice.to_string();
    // One die says it all in the text.
    let single = if thrown.rolls.len() == 1 { &[] } else { thrown.rolls.as_slice() };
    let items: Vec<Value> = single.iter().map(|roll| json!({"title": lang.shows(*roll)})).collect();
    let others: Vec<Value> = OTHERS.iter().map(|other| button(other, other, lang)).collect();
    json!({
        "dice": dice, "rolls": thrown.rolls, "sum": thrown.sum,
        "view": {
            "version": 1,
            "text": format!("🎲 {dice}: **{}**", thrown.sum),
            "items": items,
            "buttons": [[button(lang.again(), &dice, lang)], others],
        },
    })
}

/// A button that asks for another throw.
fn button(text: &str, dice: &str, lang: Lang) -> Value {
    let params = json!({"dice": dice, "lang": lang.code()});
    json!({"text": text, "task_type": TASK_TYPE, "params": params})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    #[test]
    fn the_sum_the_single_dice_and_the_ways_on_are_shown() {
        let data = data(&Dice::parse("3d6+1").unwrap().throw(7), Lang::En);
        let view = &data["view"];
        assert_eq!(view["text"], format!("🎲 3d6+1: **{}**", data["sum"]));
        assert_eq!(view["items"].as_array().unwrap().len(), 3);
        assert_eq!(view["buttons"][0][0]["params"], json!({"dice": "3d6+1", "lang": "en"}));
        assert_eq!(view["buttons"][1][1]["params"], json!({"dice": "d20", "lang": "en"}));
    }

    #[test]
    fn a_german_is_answered_in_german() {
        let data = data(&Dice::parse("2w6").unwrap().throw(7), Lang::of(Some("de")));
        let view = &data["view"];
        assert!(view["items"][0]["title"].as_str().unwrap().starts_with("zeigt "));
        assert_eq!(view["buttons"][0][0]["text"], "🎲 Noch einmal");
        assert_eq!(view["buttons"][0][0]["params"]["lang"], "de");
    }

    #[test]
    fn one_die_is_not_listed() {
        let data = data(&Dice::parse("d20").unwrap().throw(7), Lang::En);
        assert_eq!(data["view"]["items"], json!([]));
    }
}
