//! What is accepted and what is refused, each with its sentence. Keys and signatures are made here by the signing crate.

use minisign::KeyPair;

use super::*;
use crate::grants::diff::Access;

const COMPONENT: &[u8] = b"\0asm something";
const SETTINGS: &str = "[grants]\ncache = true\n";

struct Key(KeyPair);

impl Key {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn trusted(&self) -> TrustedKey {
        TrustedKey::parse(&self.0.pk.to_base64()).unwrap()
    }

    fn sign(&self, comment: &str) -> String {
        minisign::sign(Some(&self.0.pk), &self.0.sk, COMPONENT, Some(comment), None)
            .unwrap()
            .into_string()
    }
}

fn comment(version: &str, timestamp: u64, more: &str) -> String {
    let settings = CoveredSettings::of(SETTINGS);
    format!(
        "freefans-plugin name=a version={version} settings={settings} timestamp={timestamp}{more}"
    )
}

fn signed(signature: Option<&str>) -> Signed<'_> {
    Signed {
        plugin: "a",
        component: COMPONENT,
        settings: SETTINGS,
        signature,
        declared: Some(Declared { name: "a", version: "1.2.0" }),
        remembered: None,
        from_archive: false,
    }
}

fn remembered(version: &str, timestamp: u64) -> Remembered {
    let access = Access::default();
    Remembered { version: version.parse().unwrap(), timestamp, access }
}

#[track_caller]
fn refused(policy: &Policy, artefact: &Signed<'_>, code: &str, words: &str) {
    let refusal = policy.check(artefact).unwrap_err();
    assert_eq!(refusal.code(), code, "{refusal}");
    assert!(refusal.to_string().contains(words), "{refusal}");
}

#[test]
fn without_trusted_keys_nothing_is_looked_at() {
    let policy = Policy::default();
    assert!(!policy.is_active());
    assert_eq!(policy.check(&signed(Some("nonsense"))), Ok(Verdict::Unchecked));
}

#[test]
fn a_right_signature_is_accepted_and_covers_the_settings() {
    let key = Key::new();
    let policy = Policy::new(vec![Key::new().trusted(), key.trusted()], true);
    let text = key.sign(&comment("1.2.0", 5, ""));
    let verdict = policy.check(&signed(Some(&text))).unwrap();
    assert!(verdict.covers_settings());
    assert_eq!(verdict.accepted().unwrap().key_id, key.trusted().id);
    let any = key.sign("freefans-plugin name=a version=1.2.0 settings=any");
    let verdict = policy.check(&signed(Some(&any))).unwrap();
    assert!(!verdict.covers_settings());
}

#[test]
fn a_missing_signature_is_refused_only_where_one_is_required() {
    let key = Key::new();
    let keys = vec![key.trusted()];
    assert_eq!(Policy::new(keys.clone(), false).check(&signed(None)), Ok(Verdict::Unsigned));
    refused(&Policy::new(keys, true), &signed(None), "signature-missing", "put a.wasm.minisig");
}

#[test]
fn what_is_there_must_be_right_even_where_it_is_not_required() {
    let key = Key::new();
    let text = key.sign(&comment("1.2.0", 5, ""));
    for required in [false, true] {
        let policy = Policy::new(vec![key.trusted()], required);
        let foreign = Policy::new(vec![Key::new().trusted()], required);
        let id = key.trusted().id;
        refused(&foreign, &signed(Some(&text)), "signature-foreign-key", &id);
        let mut flipped = COMPONENT.to_vec();
        flipped[7] ^= 1;
        let altered = Signed { component: &flipped, ..signed(Some(&text)) };
        refused(&policy, &altered, "signature-altered", "was changed after it was signed");
        let settings = Signed { settings: "[grants]\nnet = []\n", ..signed(Some(&text)) };
        refused(&policy, &settings, "signature-altered-settings", "a.toml was changed");
        let settings = Signed { settings: "", ..signed(Some(&text)) };
        refused(&policy, &settings, "signature-altered-settings", "missing or empty");
        let copied = Signed { plugin: "b", ..signed(Some(&text)) };
        refused(&policy, &copied, "signature-other-name", "its file is b.wasm instead of a.wasm");
        let declared = Some(Declared { name: "c", version: "1.2.0" });
        let other = Signed { declared, ..signed(Some(&text)) };
        refused(&policy, &other, "signature-other-name", "it calls itself `c`");
        let declared = Some(Declared { name: "a", version: "1.1.0" });
        let other = Signed { declared, ..signed(Some(&text)) };
        refused(&policy, &other, "signature-other-version", "calls itself 1.1.0");
        refused(&policy, &signed(Some("x")), "signature-unreadable", "minisign's format");
    }
}

#[test]
fn a_changed_comment_is_a_changed_signature() {
    let key = Key::new();
    let policy = Policy::new(vec![key.trusted()], true);
    let text = key.sign(&comment("1.2.0", 5, "")).replace("version=1.2.0", "version=9.2.0");
    refused(&policy, &signed(Some(&text)), "signature-altered", "changed after it was signed");
}

#[test]
fn a_comment_that_does_not_say_what_is_covered_is_refused() {
    let key = Key::new();
    let policy = Policy::new(vec![key.trusted()], true);
    let digest = CoveredSettings::of(SETTINGS);
    for (comment, words) in [
        ("timestamp:1\tfile:a.wasm".to_owned(), "does not begin with `freefans-plugin`"),
        (format!("freefans-plugin version=1.2.0 settings={digest}"), "has no `name`"),
        (format!("freefans-plugin name=a settings={digest}"), "has no `version`"),
        ("freefans-plugin name=a version=1.2.0".to_owned(), "has no `settings`"),
        (comment("1.2.0", 5, " only-on=x"), "`only-on=x` in its trusted comment is not known"),
        (comment("1.2.0", 5, " version=1.3.0"), "has `version` twice"),
        (comment("one", 5, ""), "`version=one` is not understood"),
        ("freefans-plugin name=a version=1.2.0 settings=sha256:00".to_owned(), "64 digits"),
    ] {
        let text = key.sign(&comment);
        refused(&policy, &signed(Some(&text)), "signature-unreadable", words);
    }
}

#[test]
fn what_is_older_than_what_was_accepted_is_refused_unless_it_is_signed_as_a_rollback() {
    let key = Key::new();
    let policy = Policy::new(vec![key.trusted()], true);
    let last = remembered("1.3.0", 5);
    let check =
        |text: &str| policy.check(&Signed { remembered: Some(&last), ..signed(Some(text)) });
    let message = |text: &str| check(text).unwrap_err().to_string();
    let old = key.sign(&comment("1.2.0", 9, ""));
    assert!(message(&old).contains("sign --rollback-from 1.3.0"), "{}", message(&old));
    assert!(check(&key.sign(&comment("1.2.0", 9, " rollback-from=1.3.0"))).is_ok());
    // A rollback from another version, and one that was signed before the newest accepted signature.
    let replayed = key.sign(&comment("1.2.0", 9, " rollback-from=1.2.5"));
    assert!(message(&replayed).contains("go back from 1.2.5"), "{}", message(&replayed));
    let replayed = key.sign(&comment("1.2.0", 4, " rollback-from=1.3.0"));
    assert!(message(&replayed).contains("older than the one of 5 s"), "{}", message(&replayed));
    // From the archive it may be older.
    let archived = Signed { remembered: Some(&last), from_archive: true, ..signed(Some(&old)) };
    assert!(policy.check(&archived).is_ok());
}

#[test]
fn the_same_version_with_an_older_signature_is_refused_so_that_old_settings_do_not_come_back() {
    let key = Key::new();
    let policy = Policy::new(vec![key.trusted()], true);
    let text = key.sign(&comment("1.2.0", 5, ""));
    for (timestamp, accepted) in [(4, true), (5, true), (6, false)] {
        let last = remembered("1.2.0", timestamp);
        let checked = policy.check(&Signed { remembered: Some(&last), ..signed(Some(&text)) });
        assert_eq!(checked.is_ok(), accepted, "{checked:?}");
    }
}

#[test]
fn a_comment_reads_as_it_was_written() {
    let covered = Covered::read(&comment("1.2.0+x", 5, " rollback-from=1.3.0")).unwrap();
    assert_eq!(Covered::read(&covered.to_string()), Ok(covered));
}

#[test]
fn another_build_of_the_signed_version_is_another_version() {
    let key = Key::new();
    let policy = Policy::new(vec![key.trusted()], true);
    let text = key.sign(&comment("1.2.0+a", 5, ""));
    let declaring = |version| {
        let declared = Some(Declared { name: "a", version });
        Signed { declared, ..signed(Some(&text)) }
    };
    assert!(policy.check(&declaring("1.2.0+a")).is_ok());
    refused(&policy, &declaring("1.2.0+b"), "signature-other-version", "calls itself 1.2.0+b");
    refused(&policy, &declaring("one"), "signature-other-version", "calls itself one");
}

/// As `minisign -Sl` makes it: Ed25519 over the bytes instead of over their `BLAKE2b`.
#[test]
fn a_signature_of_the_old_kind_is_not_taken() {
    let key = TrustedKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3");
    let policy = Policy::new(vec![key.unwrap()], true);
    let text = "untrusted comment: signature from minisign secret key\n\
                RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
                trusted comment: timestamp:1555779966\tfile:test\n\
                QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==";
    let old = Signed { component: b"test", ..signed(Some(text)) };
    refused(&policy, &old, "signature-unreadable", "sign it with a newer minisign");
}
