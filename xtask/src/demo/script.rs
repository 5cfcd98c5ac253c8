//! The conversation that the demo plays, and what each answer must show.

use anyhow::{Context, ensure};

use crate::chat::{Chat, Message};

/// Plays it all; the error names the step whose answer was wrong.
pub(crate) fn play(chat: &mut Chat) -> anyhow::Result<()> {
    greet(chat).context("step `/start`")?;
    let results = search(chat).context("step `luna marlow`")?;
    let first_page = open(chat, &results).context("step: open the first result")?;
    load_more(chat, &first_page).context("step: load more")?;
    random(chat).context("step `/random`")
}

fn greet(chat: &mut Chat) -> anyhow::Result<()> {
    chat.say("/start")?;
    chat.expect("a welcome", |message| !message.text.trim().is_empty())?;
    Ok(())
}

/// Asks with a typing mistake, which the search must forgive.
fn search(chat: &mut Chat) -> anyhow::Result<Message> {
    chat.say("luna marlow")?;
    let placeholder = chat.expect("a placeholder at once", |message| !message.edited)?;
    let results = chat.expect("the placeholder edited into results", |message| {
        message.edited && message.id == placeholder.id && !message.buttons.is_empty()
    })?;
    let (label, _) = results.buttons.first().context("the results have no buttons")?;
    ensure!(
        label.contains("Luna Marlowe"),
        "the first result is `{label}`, expected `Luna Marlowe`"
    );
    Ok(results)
}

fn open(chat: &mut Chat, results: &Message) -> anyhow::Result<Message> {
    chat.press(results, "Luna Marlowe")?;
    chat.expect("the message edited into content with a button `Load more`", |message| {
        message.edited && message.id == results.id && message.button("Load more").is_some()
    })
}

fn load_more(chat: &mut Chat, before: &Message) -> anyhow::Result<()> {
    chat.press(before, "Load more")?;
    chat.expect("further items with the page they are on", |message| {
        message.edited
            && message.id == before.id
            && message.text != before.text
            && shows_page(message)
    })?;
    Ok(())
}

fn random(chat: &mut Chat) -> anyhow::Result<()> {
    chat.say("/random")?;
    let placeholder = chat.expect("a placeholder at once", |message| !message.edited)?;
    // Only an answer about a creator has a button to open them.
    chat.expect("a creator", |message| {
        message.edited && message.id == placeholder.id && !message.buttons.is_empty()
    })?;
    Ok(())
}

/// `2/5` or `Page 2`, in the text or on a button between "previous" and "next".
fn shows_page(message: &Message) -> bool {
    let labels = message.buttons.iter().map(|(label, _)| label.as_str());
    labels.chain([message.text.as_str()]).any(|text| {
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '/');
        let mut fractions = words.filter_map(|word| word.split_once('/'));
        let number = |text: &str| text.parse::<u32>().is_ok();
        fractions.any(|(page, of)| number(page) && number(of))
            || text.to_lowercase().contains("page ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, button: &str, expected: bool) {
        let buttons = vec![(button.to_owned(), None)];
        let message = Message { text: text.to_owned(), buttons, ..Message::default() };
        assert_eq!(shows_page(&message), expected);
    }

    #[test]
    fn a_page_is_recognised_in_text_or_buttons() {
        check("Luna Marlowe · 2/5", "Back", true);
        check("Page 2 of 5", "Back", true);
        check("items", "2/5", true);
        check("see https://creators.example/luna", "Back", false);
        check("96 items", "Load more", false);
    }
}
