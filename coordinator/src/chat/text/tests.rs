//! The catalogues are complete, have the same sentences, and are used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

/// Each id with the variables in its sentence.
fn ids(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut id = String::new();
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(|first: char| first.is_ascii_lowercase()) {
            id = line.split_once(" =").expect("an id with its sentence").0.to_owned();
            assert!(ids.insert(id.clone(), BTreeSet::new()).is_none(), "{id} is there twice");
        }
        for part in line.split('$').skip(1) {
            let name = part.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
            ids.get_mut(&id).unwrap().insert(name.to_owned());
        }
    }
    ids
}

#[test]
fn every_language_has_the_same_sentences() {
    let english = ids(include_str!("../../../locales/en.ftl"));
    assert_eq!(english, ids(include_str!("../../../locales/de.ftl")));
    for lang in Lang::ALL {
        for (id, names) in &english {
            let args: Vec<(&str, Arg<'_>)> =
                names.iter().map(|name| (name.as_str(), Arg::Number(3))).collect();
            let sentence = lang.format(id, &args);
            assert!(sentence != *id && !sentence.contains('$'), "{lang:?} {id}: {sentence}");
        }
    }
}

#[test]
fn every_sentence_is_used_and_every_used_one_is_there() {
    let known = ids(include_str!("../../../locales/en.ftl"));
    let mut sources = String::new();
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    for id in known.keys() {
        assert!(sources.contains(&format!("\"{id}\"")), "nobody says `{id}`");
    }
    for call in [".text(\"", ".format(\"", ".counted(\""] {
        for used in sources.split(call).skip(1) {
            let id = used.split('"').next().unwrap();
            let is_id = id.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            assert!(!is_id || known.contains_key(id), "`{id}` is in no catalogue");
        }
    }
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if !path.ends_with("text/tests.rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_failure_code_has_a_sentence_of_its_own() {
    for &code in FailureCode::ALL {
        assert_ne!(failure_id(Some(code)), failure_id(None), "{code}");
    }
}

#[test]
fn a_language_is_found_by_telegrams_code() {
    for (code, expected) in [
        ("de", Lang::De),
        ("de-AT", Lang::De),
        ("DE", Lang::De),
        ("en-GB", Lang::En),
        ("", Lang::En),
        ("xx", Lang::En),
    ] {
        assert_eq!(Lang::of_code(code), expected, "{code}");
    }
    assert_eq!(Lang::De.counted("items", 1), "1 Eintrag");
    assert_eq!(Lang::De.counted("items", 12), "12 Einträge");
}
