//! Where settings come from, as an operator gives them to the real programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_kit::{Process, TestRedis};

use crate::support::{COORDINATOR, Telegram};

const TOKEN: &str = "123456:SIMULATOR";

fn worker() -> PathBuf {
    test_kit::program(COORDINATOR, "worker")
}

/// A folder that a program is started in, with nothing in its environment.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, program: impl AsRef<Path>, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().current_dir(self.path()).envs(environment.iter().copied());
        command
    }

    /// The exit code and all output.
    fn run(
        &self,
        program: impl AsRef<Path>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let output = self.command(program, environment).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// The value and the source of a setting.
    fn shown(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
        key: &str,
    ) -> (String, String) {
        let arguments = [&["config", "show", "--json"], arguments].concat();
        let (code, said) = self.run(worker(), &arguments, environment);
        assert_eq!(code, Some(0), "{said}");
        let shown: Value = serde_json::from_str(&said).unwrap();
        let settings = shown["settings"].as_array().unwrap();
        let row = settings.iter().find(|row| row["name"] == key).unwrap();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("value"), text("source"))
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_dotenv_which_beats_the_file() {
    let place = Place::with(&[
        ("freefans.toml", "[worker]\nconcurrency = 3\n"),
        ("other.toml", "worker.concurrency = 7\n"),
    ]);
    let dotenv = place.path().join(".env").canonicalize().unwrap_or(place.path().join(".env"));
    let environment = &[("CONCURRENCY", "5")][..];
    let flag = &["--concurrency", "6"][..];
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        place.shown(arguments, environment, "concurrency")
    };
    let expected = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(shown(&[], &[]), expected("3", "freefans.toml"));
    assert_eq!(shown(&["--config", "other.toml"], &[]), expected("7", "other.toml"));
    assert_eq!(shown(&[], &[("CONFIG", "other.toml")]), expected("7", "other.toml"));
    fs::write(&dotenv, "CONCURRENCY=4\n").unwrap();
    let (value, source) = shown(&[], &[]);
    assert!(value == "4" && source.ends_with("/.env"), "{value} {source}");
    assert_eq!(shown(&[], environment), expected("5", "environment"));
    assert_eq!(shown(flag, environment), expected("6", "flag"));
    // A variable that is set to nothing is not set, in Compose files for instance.
    fs::remove_file(&dotenv).unwrap();
    assert_eq!(shown(&[], &[("CONCURRENCY", "")]), expected("3", "freefans.toml"));
    fs::remove_file(place.path().join("freefans.toml")).unwrap();
    assert_eq!(shown(&[], &[]).1, "default");
}

#[test]
fn what_cannot_be_used_is_refused_whole_and_told_at_once() {
    let place = Place::with(&[(
        "freefans.toml",
        "listen = 'nowhere'\n[worker]\nconcurency = 3\n[coordinator]\nlimit_overal = 1\nallowed_ids = []\n",
    )]);
    for arguments in [&[][..], &["config", "check"], &["plugins", "list"]] {
        let (code, said) = place.run(worker(), arguments, &[]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("`concurency` is no setting; did you mean `concurrency`?"), "{said}");
        assert!(said.contains("`listen`: invalid value 'nowhere'"), "{said}");
        assert!(!said.contains("limit_overal"), "the other program's: {said}");
    }
    let (code, said) = place.run(COORDINATOR, &["config", "check"], &[]);
    assert_eq!(code, Some(64));
    for part in
        ["did you mean `limit_overall`?", "`allowed_ids` is empty", "TELEGRAM_BOT_TOKEN is not set"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Help is there all the same, and shows the program's own defaults.
    let (code, said) = place.run(COORDINATOR, &["--help"], &[]);
    assert!(code == Some(0) && said.contains("[default: 30]"), "{said}");
    let (code, said) = place.run(worker(), &["--config", "missing.toml"], &[]);
    assert!(code == Some(64) && said.contains("missing.toml: cannot be read"), "{said}");
}

#[test]
fn a_dotenv_file_that_cannot_be_read_to_its_end_is_refused_without_quoting_it() {
    let place = Place::with(&[(
        ".env",
        "LISTEN=127.0.0.1:1\nTELEGRAM_BOT_TOKEN=12 s3cret\nDENIED_IDS=7\n",
    )]);
    for arguments in [&[][..], &["queue", "stats"], &["config", "check"]] {
        let (code, said) = place.run(COORDINATOR, arguments, &[]);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(".env, line 2: it is not `NAME=value`"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let place = Place::with(&[
        (
            "freefans.toml",
            "redis_url_file = 'redis'\n[coordinator]\ntelegram_bot_token = '1:s3cret'\n",
        ),
        ("redis", "redis://user:s3cret@db.example:6380/1\n"),
        ("token", "2:s3cret\n"),
        ("empty", "\n"),
    ]);
    let check =
        |environment: &[(&str, &str)]| place.run(COORDINATOR, &["config", "check"], environment);
    assert_eq!(check(&[]), (Some(0), "the settings can be used\n".to_owned()));
    let (_, said) =
        place.run(COORDINATOR, &["config", "show"], &[("TELEGRAM_BOT_TOKEN_FILE", "token")]);
    assert!(said.contains("environment names the file token"), "{said}");
    assert!(said.contains("redis://***@db.example:6380"), "{said}");
    assert!(said.contains("freefans.toml names the file redis"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    for (environment, part) in [
        (&[("TELEGRAM_BOT_TOKEN_FILE", "empty")][..], "TELEGRAM_BOT_TOKEN_FILE: empty is empty"),
        (&[("REDIS_URL_FILE", "nowhere")], "REDIS_URL_FILE: cannot read nowhere"),
        (
            &[("TELEGRAM_BOT_TOKEN", "3:s3cret"), ("TELEGRAM_BOT_TOKEN_FILE", "token")],
            "TELEGRAM_BOT_TOKEN and TELEGRAM_BOT_TOKEN_FILE are both set",
        ),
        (&[("REDIS_CA", "nowhere.pem")], "REDIS_CA: cannot read nowhere.pem"),
        (&[("PRIVACY_FILE", "empty")], "PRIVACY_FILE: empty: it is empty"),
        (&[("RUST_LOG", "info,=")], "RUST_LOG"),
    ] {
        let (code, said) = check(environment);
        assert!(code == Some(64) && said.contains(part) && !said.contains("s3cret"), "{said}");
    }
    // Compose files set unused variables to nothing.
    assert_eq!(check(&[("TELEGRAM_BOT_TOKEN_FILE", "")]).0, Some(0));
    let (_, said) = place.run(COORDINATOR, &["--help"], &[("TELEGRAM_BOT_TOKEN_FILE", "token")]);
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_programs_run_from_one_file() {
    let redis = TestRedis::start();
    let telegram = Telegram::start().await;
    let place = Place::with(&[("redis", &format!("{}\n", redis.url())), ("token", TOKEN)]);
    let settings = format!(
        "redis_url_file = 'redis'\nlog_format = 'json'\n[worker]\nplugins = '.'\nplugin_cache = 'none'\n\
         [coordinator]\ntelegram-bot-token-file = 'token'\ntelegram_api_url = '{}'\ndenied_ids = [8]\n\
         queue_partitions = {{ search_creator = 2 }}\n",
        telegram.address()
    );
    fs::write(place.path().join("freefans.toml"), settings).unwrap();
    let _worker = Process::start_until(&mut place.command(worker(), &[]), "ready: ").await;
    let mut command = place.command(COORDINATOR, &[]);
    let coordinator = Process::start_until(&mut command, "\"message\":\"coordinator ready\"").await;
    telegram.write(8, "/start").await;
    telegram.write(7, "/start").await;
    telegram.bot_says(7, "creator").await;
    assert_eq!(telegram.bot_messages(8).await.len(), 0, "the deny list is in the file");
    let (code, said) = place.run(COORDINATOR, &["queue", "stats"], &[]);
    assert!(code == Some(0) && said.contains("running"), "subcommands read it too: {said}");
    drop(coordinator);
}

#[test]
fn the_documented_table_is_made_from_the_programs() {
    let page = fs::read_to_string(test_kit::root().join("docs/configuration.md")).unwrap();
    let place = Place::with(&[]);
    for (program, name) in [(PathBuf::from(COORDINATOR), "coordinator"), (worker(), "worker")] {
        let (code, table) = place.run(program, &["config", "table"], &[]);
        assert_eq!(code, Some(0));
        let is_ours = |line: &&str| {
            [" | both | ", &format!(" | {name} | ")].iter().any(|program| line.contains(program))
        };
        let mut documented: Vec<&str> = page.lines().filter(is_ours).collect();
        let mut made: Vec<&str> = table.lines().collect();
        documented.sort_unstable();
        made.sort_unstable();
        assert_eq!(documented, made, "write it anew with `cargo xtask settings-doc`");
    }
}

#[test]
fn the_sample_file_has_every_setting_and_can_be_used() {
    let sample = fs::read_to_string(test_kit::root().join("docs/freefans.toml")).unwrap();
    // As an operator would, one comment sign away.
    let all: String = sample
        .lines()
        .map(|line| line.strip_prefix("#").filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let place = Place::with(&[("all.toml", &all), ("sample.toml", &sample)]);
    for (program, name) in [(PathBuf::from(COORDINATOR), "coordinator"), (worker(), "worker")] {
        let shown = ["config", "show", "--json", "--config", "all.toml"];
        let (_, said) = place.run(&program, &shown, &[]);
        let shown: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
        let problems = shown["problems"].as_array().unwrap();
        // The files with secrets are not here.
        let real = problems.iter().filter(|problem| !problem.as_str().unwrap().contains("_file`"));
        assert_eq!(real.count(), 0, "{problems:#?}");
        for row in shown["settings"].as_array().unwrap() {
            let from_file = row["source"] == "all.toml";
            let secret = problems.iter().any(|problem| {
                problem
                    .as_str()
                    .unwrap()
                    .contains(&format!("`{}_file`", row["name"].as_str().unwrap()))
            });
            assert!(from_file || secret, "{name}: {row} is not in docs/freefans.toml");
        }
    }
}

#[test]
fn completions_and_man_pages_are_made_from_the_command_line() {
    let place = Place::with(&[]);
    for (program, flag) in [
        (PathBuf::from(COORDINATOR), "--webhook-url"),
        (worker(), "--plugin-cache"),
        (worker().with_file_name("telegram-simulator"), "--http-webhooks"),
    ] {
        for shell in ["bash", "zsh", "fish"] {
            let (code, said) = place.run(&program, &["completions", shell], &[]);
            let flag = if shell == "fish" { flag.trim_start_matches('-') } else { flag };
            assert!(code == Some(0) && said.contains(flag), "{shell}: {said}");
        }
        let pages = place.path().join("man1");
        let (code, said) = place.run(&program, &["man", "--to", pages.to_str().unwrap()], &[]);
        assert_eq!(code, Some(0), "{said}");
        let name = program.file_name().unwrap().to_str().unwrap();
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".TH ") && page.contains("completions"), "{page}");
        assert!(pages.join(format!("{name}-completions.1")).is_file());
    }
    // A shell reads its own.
    let (_, bash) = place.run(worker(), &["completions", "bash"], &[]);
    fs::write(place.path().join("complete"), bash).unwrap();
    let checked = Command::new("bash").arg("-n").arg(place.path().join("complete")).status();
    assert!(checked.unwrap().success());
}
