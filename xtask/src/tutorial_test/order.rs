//! Whether the steps of a tutorial fit each other: what runs in another terminal is there, and ends.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};

use super::step::{End, Step};

/// # Errors
///
/// Begin with the line's number.
pub(super) fn check(steps: &[Step]) -> anyhow::Result<()> {
    let mut running: BTreeSet<&str> = BTreeSet::new();
    let mut is_run = false;
    for (place, step) in steps.iter().enumerate() {
        let at = step.at();
        let ensure_runs = |name: &str, running: &BTreeSet<&str>| {
            ensure!(running.contains(name), "{at}: nothing runs as `{name}` here");
            Ok(())
        };
        match step {
            Step::Run { end: End::Stays(name), .. } => {
                is_run = true;
                ensure!(running.insert(name), "{at}: `{name}` runs already");
                let next = steps.get(place + 1);
                ensure!(
                    matches!(next, Some(Step::See { of: None, .. })),
                    "{at}: a `text` block has to follow: what `{name}` prints when it is ready"
                );
            }
            Step::Run { end: End::Well | End::Fails, .. } => is_run = true,
            Step::See { of: None, .. } => ensure!(is_run, "{at}: no command prints this"),
            Step::See { of: Some(name), .. } => ensure_runs(name, &running)?,
            Step::Chat { .. } => {
                ensure!(!running.is_empty(), "{at}: nothing runs that has a chat page");
            }
            Step::CtrlC { name, .. } => {
                ensure_runs(name, &running)?;
                running.remove(&**name);
            }
            Step::Write { .. } | Step::Change { .. } => {}
        }
    }
    ensure!(is_run, "1: the page has no command: there is no block ```sh");
    if let Some(name) = running.first() {
        bail!("{}: `{name}` is never ended", steps.last().map_or(0, Step::at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::*;

    const STAYS: &str = "<!-- run: stays as a -->\n```sh\nx\n```\n";
    const SEEN: &str = "```text\nup\n```\n";
    const ENDED: &str = "Ctrl-C.\n<!-- ctrl-c: a -->\n";

    #[track_caller]
    fn refused(page: &str, message: &str) {
        let error = check(&page::read(page).unwrap()).unwrap_err().to_string();
        assert_eq!(error, message);
    }

    #[test]
    fn what_stays_is_seen_and_ended() {
        check(&page::read(&format!("{STAYS}{SEEN}{ENDED}")).unwrap()).unwrap();
        refused(&format!("{STAYS}{SEEN}"), "6: `a` is never ended");
        refused(
            &format!("{STAYS}{ENDED}"),
            "3: a `text` block has to follow: what `a` prints when it is ready",
        );
        refused(&format!("{STAYS}{SEEN}{STAYS}{SEEN}{ENDED}"), "10: `a` runs already");
    }

    #[test]
    fn what_is_named_runs() {
        refused("# Title\n", "1: the page has no command: there is no block ```sh");
        refused(SEEN, "2: no command prints this");
        refused(ENDED, "2: nothing runs as `a` here");
        refused(&format!("<!-- of: a -->\n{SEEN}"), "3: nothing runs as `a` here");
        refused("`/a`\n<!-- chat: /a -->\n", "2: nothing runs that has a chat page");
    }
}
