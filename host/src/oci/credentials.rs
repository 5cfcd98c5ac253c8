//! The user's password for a registry, from the places where `docker login` and `podman login` leave it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ops::secret::Secret;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::RegistryError;

/// Largest file with passwords, in bytes. Each registry takes about 200.
const FILE_BYTES: u64 = 1 << 20;
/// How long a program that keeps passwords may take. It may ask the system's keyring.
const HELPER_TIME: Duration = Duration::from_secs(30);

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Secret<String>,
}

/// The file's form, as far as it matters. The parser's own errors are never shown: they may quote a password.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Where the password is.
enum Found {
    Here(Credentials),
    /// In the keeping of `docker-credential-…`.
    With(String),
}

impl Credentials {
    /// Looks in the file that `REGISTRY_AUTH_FILE` names, or else in Docker's, then in Podman's.
    pub(super) async fn find(
        registry: &str,
        repository: &str,
    ) -> Result<Option<Self>, RegistryError> {
        for (path, must_exist) in files(&|name| std::env::var_os(name)) {
            let text = match read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
                Err(error) => {
                    return Err(RegistryError::AuthFile { path, problem: error.to_string() });
                }
            };
            let found = look_up(&text, registry, repository)
                .map_err(|problem| RegistryError::AuthFile { path, problem })?;
            match found {
                Some(Found::Here(credentials)) => return Ok(Some(credentials)),
                Some(Found::With(helper)) => {
                    if let Some(credentials) = ask(&helper, registry).await? {
                        return Ok(Some(credentials));
                    }
                }
                None => {}
            }
        }
        Ok(None)
    }
}

/// The files to look into, and whether it is an error when one is missing.
fn files(environment: &dyn Fn(&str) -> Option<OsString>) -> Vec<(PathBuf, bool)> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = set("REGISTRY_AUTH_FILE") {
        return vec![(named, true)];
    }
    let docker = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")));
    let podman = set("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let docker = docker.map(|folder| folder.join("config.json"));
    docker.into_iter().chain(podman).map(|path| (path, false)).collect()
}

fn read(path: &Path) -> io::Result<String> {
    use io::Read;
    let file = crate::plugin::read::open_regular(path)?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

fn look_up(text: &str, registry: &str, repository: &str) -> Result<Option<Found>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let file: AuthFile = serde_json::from_str(text).map_err(|error| {
        format!("it is not in the form that `docker login` writes (line {})", error.line())
    })?;
    let names = names(registry, repository);
    let by_name = |key: &str| names.iter().position(|name| name == registry_of(key));
    let helper = file.cred_helpers.iter().find(|(key, _)| by_name(key).is_some());
    let helper = helper.map(|(_, helper)| helper.clone());
    let entry = file
        .auths
        .into_iter()
        .filter_map(|(key, entry)| Some((by_name(&key)?, entry)))
        .min_by_key(|(position, _)| *position);
    if let Some(helper) = helper {
        return Ok(Some(Found::With(helper)));
    }
    let here = match entry {
        Some((_, entry)) => credentials(entry)?,
        None => None,
    };
    Ok(here.map(Found::Here).or(file.creds_store.map(Found::With)))
}

/// The keys under which a password may stand, the closest first: Podman has some for a part of a registry.
fn names(registry: &str, repository: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = format!("{registry}/{repository}");
    while let Some((shorter, _)) = name.rsplit_once('/') {
        names.push(name.clone());
        name = shorter.to_owned();
    }
    names.push(name);
    if registry == "docker.io" {
        names.push("index.docker.io".to_owned());
    }
    names
}

/// A key without the scheme and the version of the interface, which older tools wrote.
fn registry_of(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

fn credentials(entry: Entry) -> Result<Option<Credentials>, String> {
    if entry.identitytoken.is_some_and(|token| !token.is_empty()) {
        return Err(
            "its entry is an identity token, which is not supported; log in with a password or an access token"
                .to_owned(),
        );
    }
    if let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) {
        let wrong = || "the `auth` of its entry is not `user:password` in base64".to_owned();
        let decoded = STANDARD.decode(auth.trim()).map_err(|_quotes| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_quotes| wrong())?;
        let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
        let password = Secret::new(password.trim_end_matches('\0').to_owned());
        return Ok(Some(Credentials { user: user.to_owned(), password }));
    }
    let user = entry.username.filter(|user| !user.is_empty());
    Ok(user
        .zip(entry.password)
        .map(|(user, password)| Credentials { user, password: Secret::new(password) }))
}

/// Asks `docker-credential-NAME`; none when it knows nothing of the registry.
async fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>, RegistryError> {
    let program = format!("docker-credential-{helper}");
    let failed = |problem: String| RegistryError::Helper {
        program: program.clone(),
        registry: registry.to_owned(),
        problem,
    };
    // It becomes part of a program's name; the file may be from elsewhere.
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(failed("it is no name of a program".to_owned()));
    }
    let asking = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            let server =
                if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
            // A program that does not read its input says so by its exit code.
            let _ = input.write_all(server.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(HELPER_TIME, asking).await {
        Ok(output) => output.map_err(|error| failed(error.to_string()))?,
        Err(_elapsed) => return Err(failed(format!("no answer in {} s", HELPER_TIME.as_secs()))),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(output.status.to_string()));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_quotes| failed("its answer has no `Username` and `Secret`".to_owned()))?;
    if answer.username == "<token>" {
        return Err(failed("it keeps an identity token, which is not supported".to_owned()));
    }
    let password = Secret::new(answer.secret);
    Ok(Some(Credentials { user: answer.username, password }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user_of(file: &serde_json::Value, registry: &str, repository: &str) -> Option<String> {
        match look_up(&file.to_string(), registry, repository).unwrap()? {
            Found::Here(credentials) => Some(credentials.user),
            Found::With(helper) => Some(format!("helper {helper}")),
        }
    }

    #[test]
    fn the_closest_entry_is_taken() {
        let auth = |user: &str| json!({"auth": STANDARD.encode(format!("{user}:pass:word"))});
        let file = json!({
            "auths": {
                "registry.example": auth("whole"),
                "registry.example/team": auth("team"),
                "https://old.example/v1/": auth("old"),
                "https://index.docker.io/v1/": auth("hub"),
                "plain.example:5000": {"username": "plain", "password": "p"},
                "empty.example": {},
            },
            "credHelpers": {"cloud.example": "cloud"},
            "other": [1],
        });
        for (registry, repository, user) in [
            ("registry.example", "search", Some("whole")),
            ("registry.example", "team/search", Some("team")),
            ("registry.example", "teams/search", Some("whole")),
            ("old.example", "a", Some("old")),
            ("docker.io", "library/a", Some("hub")),
            ("plain.example:5000", "a", Some("plain")),
            ("plain.example", "a", None),
            ("cloud.example", "a", Some("helper cloud")),
            ("empty.example", "a", None),
            ("registry.example.evil.example", "a", None),
        ] {
            assert_eq!(user_of(&file, registry, repository).as_deref(), user, "{registry}");
        }
        let stored = json!({"auths": {"a.example": {}}, "credsStore": "keys"});
        assert_eq!(user_of(&stored, "a.example", "x").as_deref(), Some("helper keys"));
        assert!(look_up(" ", "a.example", "x").unwrap().is_none());
        let Some(Found::Here(credentials)) =
            look_up(&file.to_string(), "registry.example", "a").unwrap()
        else {
            panic!("no entry")
        };
        assert_eq!(credentials.password.expose(), "pass:word");
        assert!(!format!("{credentials:?}").contains("pass:word"));
    }

    #[test]
    fn a_wrong_file_is_refused_without_quoting_it() {
        for text in [
            r#"{"auths": {"a.example": {"auth": 12, "password": "hunter2"}}}"#,
            r#"{"auths": {"a.example": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"a.example": "hunter2"}}"#,
            r#"{"auths": {"a.example": {"auth": "aHVudGVyMg=="}}}"#,
            r#"{"auths": {"a.example": {"identitytoken": "hunter2"}}}"#,
            "hunter2",
        ] {
            let Err(problem) = look_up(text, "a.example", "x") else { panic!("taken: {text}") };
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn the_files_of_docker_and_podman_are_looked_into_unless_one_is_named() {
        let with = |set: &'static [(&str, &str)]| {
            files(&move |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
            })
        };
        assert_eq!(
            with(&[("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/me")]),
            [
                ("/home/me/.docker/config.json".into(), false),
                ("/run/me/containers/auth.json".into(), false)
            ]
        );
        assert_eq!(
            with(&[("HOME", "/home/me"), ("DOCKER_CONFIG", "/etc/d")]),
            [("/etc/d/config.json".into(), false)]
        );
        assert_eq!(
            with(&[("HOME", "/home/me"), ("REGISTRY_AUTH_FILE", "/a.json")]),
            [("/a.json".into(), true)]
        );
        assert!(with(&[]).is_empty());
    }

    #[tokio::test]
    async fn the_name_of_a_program_that_keeps_passwords_is_checked() {
        let error = ask("../../bin/sh", "a.example").await.unwrap_err().to_string();
        assert!(error.contains("no name of a program"), "{error}");
        let error = ask("does-not-exist", "a.example").await.unwrap_err().to_string();
        assert!(error.contains("docker-credential-does-not-exist"), "{error}");
    }
}
