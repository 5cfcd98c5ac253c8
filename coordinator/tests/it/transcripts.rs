//! Conversations in `tests/transcripts/*.chat`. Each is played with the real coordinator, worker, plugins and Redis against
//! the simulated Telegram. [`script`] describes their format.
//!
//! `BLESS=1` rewrites the files with what the bot said. Read the changes before you commit them. A step counts as over when
//! nothing happens any more, so a message that comes after a wait (of a stopped task, for example) may end up a step too
//! late. Move such lines by hand.

mod blessing;
mod player;
mod script;
mod stage;
mod talk;

use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    test_kit::root().join("coordinator/tests/transcripts")
}

/// One test for each file.
macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                player::play(&folder().join(concat!(stringify!($name), ".chat"))).await;
            }
        )*

        #[test]
        fn every_file_has_a_test() {
            let files: BTreeSet<String> = folder()
                .read_dir()
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let tests = [$(concat!(stringify!($name), ".chat")),*];
            assert_eq!(files, tests.map(str::to_owned).into(), "the list is in {}", file!());
        }
    };
}

transcripts! {
    a_tour
    at_once
    administrators
    blocked
    coordinator_dies
    deleted_message
    filters
    forgotten_while_waiting
    further_search
    further_search_fails
    further_search_not_configured
    german
    group
    group_moves
    group_stop
    group_topics
    group_without_the_bot
    many_results
    old_buttons
    pictures
    pictures_and_a_crash
    plugin_command
    pressed_twice
    privacy
    private_bot
    random
    redis_dies
    search_open_and_back
    searches
    settings
    settings_last
    start_and_help
    stop_what_runs
    stop_what_waits
    strange_names
    telegram_has_a_bad_day
    too_fast
    too_many_presses
    too_many_questions
    two_coordinators
    waiting_in_line
    webhook
    worker_dies
    worker_ends
}
