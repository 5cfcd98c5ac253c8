//! Registries that lie: each answer comes from a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::registry::{encoded, login};
use super::{dice, plugins, plugins_at, refused, text};
use crate::support::said;

/// What a server does with a request: its method and path, and its answer.
type Script = dyn Fn(&str) -> Answer + Send + Sync;

struct Answer {
    head: String,
    body: Vec<u8>,
    /// How often the body is sent.
    times: usize,
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n");
    Answer { head, body: body.to_vec(), times: 1 }
}

fn ok(body: &[u8]) -> Answer {
    answer("200 OK", &format!("content-length: {}\r\n", body.len()), body)
}

/// A server on this machine that remembers the heads of what it was asked.
struct Liar {
    host: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    fn start(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let kept = Arc::clone(&heads);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let script = Arc::clone(&script);
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(connection, &*script, &kept));
            }
        });
        Self { host, heads }
    }

    fn address(&self) -> String {
        format!("oci://{}/dice:1", self.host)
    }

    fn heads(&self) -> String {
        self.heads.lock().unwrap().join("\n")
    }
}

fn serve(mut connection: TcpStream, script: &Script, heads: &Mutex<Vec<String>>) {
    let mut head = String::new();
    let mut length = 0;
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body); // The client may give up.
    let asked: Vec<&str> = head.split_whitespace().take(2).collect();
    let Answer { head: said, body, times } = script(&asked.join(" "));
    heads.lock().unwrap().push(head);
    // The client is expected to hang up on what is too large.
    let _ = connection.write_all(said.as_bytes());
    for _ in 0..times {
        if connection.write_all(&body).is_err() {
            return;
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A manifest for a component.
fn manifest(bytes: &[u8], size: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "size": 2, "digest": digest(b"{}")},
        "layers": [{"mediaType": "application/wasm", "size": size, "digest": digest(bytes)}],
    })
}

/// A registry that serves this manifest, and this answer for every blob.
fn with(manifest: impl Into<Vec<u8>>, blob: impl Fn() -> Answer + Send + Sync + 'static) -> Liar {
    let manifest = manifest.into();
    Liar::start(move |asked| match asked {
        "GET /v2/" => ok(b"{}"),
        path if path.contains("/manifests/") => ok(&manifest),
        _ => blob(),
    })
}

fn endless(status: &str) -> Answer {
    // 64 GiB without a length.
    Answer { times: 1 << 16, ..answer(status, "", &vec![b' '; 1 << 20]) }
}

#[test]
fn an_honest_answer_in_the_same_form_is_taken() {
    let bytes = std::fs::read(dice()).unwrap();
    let registry = with(manifest(&bytes, bytes.len()).to_string(), move || ok(&bytes));
    let folder = tempfile::tempdir().unwrap();
    let pulled = plugins(&["pull", &registry.address(), "--to", text(folder.path())]);
    assert_eq!(pulled.status.code(), Some(0), "{}", said(&pulled));
    assert!(!registry.heads().contains("authorization"), "{}", registry.heads());
}

#[test]
fn a_manifest_without_end_and_one_with_another_digest_are_refused() {
    let registry = Liar::start(|asked| match asked {
        "GET /v2/" => ok(b"{}"),
        _ => endless("200 OK"),
    });
    refused(&registry.address(), "manifest has more than 1048576 bytes");
    let bytes = b"component";
    let text = manifest(bytes, bytes.len()).to_string();
    let registry = with(text.clone(), move || ok(bytes));
    let other = digest(b"other");
    refused(&format!("oci://{}/dice@{other}", registry.host), "nothing of it is used");
    let registry = Liar::start(move |asked| match asked {
        "GET /v2/" => ok(b"{}"),
        _ => answer(
            "200 OK",
            &format!("docker-content-digest: {other}\r\ncontent-length: {}\r\n", text.len()),
            text.as_bytes(),
        ),
    });
    refused(&registry.address(), "nothing of it is used");
}

#[test]
fn a_component_that_is_larger_than_allowed_or_announced_is_refused() {
    let large = with(manifest(b"x", (64 << 20) + 1).to_string(), || ok(b"x"));
    refused(&large.address(), "component has more than 67108864 bytes");
    assert!(!large.heads().contains("/blobs/"), "it is not asked for: {}", large.heads());
    let endless = with(manifest(b"x", 1000).to_string(), || endless("200 OK"));
    refused(&endless.address(), "instead of the 1000");
    let short = with(manifest(b"x", 1000).to_string(), || ok(b"x"));
    refused(&short.address(), "instead of the 1000");
    let other = with(manifest(b"x", 1).to_string(), || ok(b"y"));
    refused(&other.address(), "nothing of it is used");
}

#[test]
fn other_addresses_in_a_manifest_are_not_followed() {
    let elsewhere = Liar::start(|_| ok(b"x"));
    let mut named = manifest(b"x", 1);
    named["layers"][0]["urls"] = json!([format!("http://{}/secret", elsewhere.host)]);
    let registry = with(named.to_string(), || answer("404 Not Found", "", b""));
    refused(&registry.address(), "status 404");
    assert_eq!(elsewhere.heads(), "");
}

#[test]
fn a_password_goes_neither_to_another_host_nor_into_an_error() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = Liar::start(|_| answer("404 Not Found", "", b""));
    let there = format!("location: http://localhost:{}/stolen?key=pass\r\n", port(&elsewhere.host));
    let registry = Liar::start(move |asked| match asked {
        "GET /v2/" => answer("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", b""),
        _ => answer("307 Temporary Redirect", &there, b""),
    });
    let told = pull_logged_in(home.path(), &registry);
    assert!(told.contains("status 404"), "{told}");
    assert!(!told.contains("key=pass") && !told.contains("s3cret"), "{told}");
    let sent = encoded("me", "s3cret");
    assert!(registry.heads().contains(&sent), "{}", registry.heads());
    assert!(elsewhere.heads().contains("/stolen"), "{}", elsewhere.heads());
    assert!(!elsewhere.heads().contains(&sent), "{}", elsewhere.heads());
}

#[test]
fn a_token_is_fetched_and_used_and_its_server_is_not_trusted() {
    let home = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(dice()).unwrap();
    let component = bytes.clone();
    let shown = manifest(&bytes, bytes.len()).to_string();
    let tokens = |reply: &'static [u8]| {
        Liar::start(move |asked| {
            assert!(asked.contains("scope=repository%3Adice%3Apull"), "{asked}");
            ok(reply)
        })
    };
    let guarded = |realm: String, component: Vec<u8>, shown: String| {
        Liar::start(move |asked| match asked {
            "GET /v2/" => answer(
                "401 Unauthorized",
                &format!("www-authenticate: Bearer realm=\"{realm}\",service=\"x\"\r\n"),
                b"",
            ),
            path if path.contains("/manifests/") => ok(shown.as_bytes()),
            _ => ok(&component),
        })
    };
    let server = tokens(br#"{"token": "abc.def.ghi", "expires_in": 60}"#);
    let registry =
        guarded(format!("http://{}/token", server.host), component.clone(), shown.clone());
    let told = pull_logged_in(home.path(), &registry);
    assert!(told.contains("in place"), "{told}");
    assert!(server.heads().contains(&encoded("me", "s3cret")), "{}", server.heads());
    assert!(registry.heads().contains("Bearer abc.def.ghi"), "{}", registry.heads());
    assert!(!registry.heads().contains(&encoded("me", "s3cret")), "{}", registry.heads());
    for (reply, part) in [
        (&br#"{"token": "a\nb"}"#[..], "no usable token"),
        (&br#"{"token": ""}"#[..], "no usable token"),
        (&b"<html>"[..], "cannot be read"),
    ] {
        let server = tokens(reply);
        let realm = format!("http://{}/token", server.host);
        let registry = guarded(realm, component.clone(), shown.clone());
        let told = pull_logged_in(home.path(), &registry);
        assert!(told.contains(part) && !told.contains("panicked"), "{told}");
    }
    let server = Liar::start(|_| endless("200 OK"));
    let registry = guarded(format!("http://{}/token", server.host), component, shown);
    let told = pull_logged_in(home.path(), &registry);
    assert!(told.contains("token server's answer has more than 65536 bytes"), "{told}");
}

#[test]
fn a_registry_that_asks_in_another_way_or_fails_is_told() {
    for (challenge, part) in [
        ("www-authenticate: Negotiate\r\n", "neither Basic nor Bearer"),
        ("www-authenticate: Bearer realm=\"nowhere\"\r\n", "no usable address"),
        ("", "neither Basic nor Bearer"),
    ] {
        let registry = Liar::start(move |_| answer("401 Unauthorized", challenge, b""));
        refused(&registry.address(), part);
    }
    let words = json!({"errors": [{"code": "UNKNOWN", "message": "one\n\u{1b}[31mtwo"}]});
    let broken = Liar::start(move |asked| match asked {
        "GET /v2/" => ok(b"{}"),
        _ => answer("500 Oh", "", words.to_string().as_bytes()),
    });
    refused(&broken.address(), "status 500: one [31mtwo");
    let circle = Liar::start(|asked| match asked {
        "GET /v2/" => ok(b"{}"),
        _ => answer("302 Found", "location: /v2/again\r\n", b""),
    });
    refused(&circle.address(), "from one address to the next");
}

#[test]
fn an_upload_address_that_cannot_be_used_is_an_error_and_no_crash() {
    for location in ["http://[", "", "nonsense"] {
        let registry = Liar::start(move |asked| match asked {
            "GET /v2/" => ok(b"{}"),
            _ => answer(
                "202 Accepted",
                &format!("location: {location}\r\ncontent-length: 0\r\n"),
                b"",
            ),
        });
        let pushed = plugins(&["push", text(&dice()), &registry.address()]);
        let told = said(&pushed);
        assert_eq!(pushed.status.code(), Some(1), "{told}");
        assert!(told.contains("the upload of a part"), "{told}");
    }
}

/// The words of a `pull` by somebody who has a password for this registry.
fn pull_logged_in(home: &Path, registry: &Liar) -> String {
    login(home, &registry.host, "me", "s3cret");
    let folder = tempfile::tempdir().unwrap();
    said(&plugins_at(home, &["pull", &registry.address(), "--to", text(folder.path())]))
}

fn port(host: &str) -> &str {
    host.rsplit(':').next().unwrap()
}
