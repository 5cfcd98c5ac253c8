use clap::{CommandFactory, Parser};

use super::*;
use crate::flags::{MonitoringFlags, RedisFlags};
use crate::settings::setting::settings_of;

/// A program with each kind of setting.
#[derive(Parser)]
#[command(name = "worker")]
struct Program {
    #[command(flatten)]
    _redis: RedisFlags,
    #[command(flatten)]
    _monitoring: MonitoringFlags,
    #[arg(long, id = "concurrency", env = "CONCURRENCY", default_value_t = 16)]
    _concurrency: u16,
    #[arg(long, id = "fleet", env = "FLEET")]
    _fleet: bool,
    #[arg(long = "label", id = "labels", env = "LABELS", value_delimiter = ',')]
    _labels: Vec<String>,
    #[arg(
        long,
        id = "allowed_ids",
        env = "ALLOWED_IDS",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    _allowed_ids: Vec<i64>,
}

fn read_text(text: &str) -> Result<FileValues, String> {
    parse(text, "worker", &settings_of(&Program::command()))
}

fn problems(text: &str) -> Vec<String> {
    read_text(text).unwrap().problems
}

#[test]
fn common_settings_stand_at_the_top_and_a_programs_own_in_its_table() {
    let found = read_text(
        r#"
        redis-url = "redis://a"
        listen = "127.0.0.1:1"
        [worker]
        listen = "127.0.0.1:2"
        fleet = true
        labels = { zone = "eu", gpu = 1 }
        allowed_ids = [7, -100]
        [coordinator]
        what_only = "the other knows"
        "#,
    )
    .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let said: Vec<String> =
        found.values.iter().map(|(name, values)| format!("{name} {}", values.join(","))).collect();
    assert_eq!(
        said,
        [
            "ALLOWED_IDS 7,-100",
            "FLEET true",
            "LABELS gpu=1,zone=eu",
            "LISTEN 127.0.0.1:2",
            "REDIS_URL redis://a"
        ]
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_likely_one() {
    for (text, expected) in [
        (
            "redis_ulr = 'x'",
            "`redis_ulr` is no setting of both programs; did you mean `redis_url`? Settings of one belong below [worker] or [coordinator]",
        ),
        (
            "[wroker]\na = 1",
            "`wroker` is no setting of both programs; did you mean `worker`? Settings of one belong below [worker] or [coordinator]",
        ),
        (
            "qqq = 1",
            "`qqq` is no setting of both programs. Settings of one belong below [worker] or [coordinator]",
        ),
        (
            "[worker]\nlog-fromat = 'json'",
            "[worker] `log-fromat` is no setting; did you mean `log_format`?",
        ),
        ("[worker]\nsupabase_url = 'x'", "[worker] `supabase_url` is no setting"),
        ("[worker]\nconfig = 'x'", "[worker] `config` is no setting"),
        ("labels = 'gpu'", "`labels` is a setting of the worker alone; it belongs below [worker]"),
        // Only of a secret may a file be named.
        (
            "redis_ca_file = 'x'",
            "`redis_ca_file` is no setting of both programs; did you mean `redis_ca`? Settings of one belong below [worker] or [coordinator]",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn every_wrong_value_is_told_with_its_key() {
    let found = problems(
        "listen = 'nowhere'\nredis_ca = 1979-05-27\nlog_format = ['text', 'json']\n\
         [worker]\nconcurrency = 70000\nallowed_ids = ['me']\nlabels = [['a']]",
    );
    assert_eq!(found.len(), 6, "{found:#?}");
    for (found, part) in found.iter().zip([
        "`listen`: invalid value 'nowhere'",
        "`log_format` takes one value",
        "`redis_ca` takes one value",
        "[worker] `allowed_ids`: invalid value 'me'",
        "[worker] `concurrency`: invalid value '70000'",
        "[worker] `labels` takes one value or a list of values",
    ]) {
        assert!(found.contains(part), "{found} / {part}");
    }
}

#[test]
fn a_list_that_opens_the_bot_to_everybody_is_never_empty() {
    let empty = "[worker] `allowed_ids` is empty; without a list, leave the key out";
    assert_eq!(problems("[worker]\nallowed_ids = []"), [empty]);
    assert_eq!(problems("[worker]\nallowed_ids = ''").len(), 1);
    assert_eq!(problems("[worker]\nlabels = []"), Vec::<String>::new());
}

#[test]
fn a_secret_or_the_file_that_holds_it_is_named_once() {
    let found = read_text("redis_url_file = '/run/redis'").unwrap();
    assert_eq!(found.secret_files["REDIS_URL"], Path::new("/run/redis"));
    let twice = problems("redis_url = 'redis://a'\nredis_url_file = '/run/redis'");
    assert_eq!(twice, ["`redis_url_file` is given twice"]);
    assert_eq!(problems("redis_url = 'a'\nredis-url = 'b'").len(), 1);
    let own =
        read_text("redis_url = 'redis://a'\n[worker]\nredis_url_file = '/run/redis'").unwrap();
    assert!(own.values.is_empty() && own.secret_files.len() == 1, "the program's own wins");
}

#[test]
fn a_line_that_is_no_toml_is_named_by_its_number_and_never_quoted() {
    let problem = read_text("log_format = 'json'\nredis_url = redis://:s3cret@a\n").err().unwrap();
    assert!(problem.starts_with(", line 2: ") && !problem.contains("s3cret"), "{problem}");
}
