use super::*;
use crate::fleet::PluginReport;

fn entry(number: u64, digest: &str, removed: bool) -> Entry {
    let record = Record { removed, digest: digest.to_owned(), ..Record::default() };
    Entry { name: "a".to_owned(), at: Revision { era: "e".to_owned(), number }, record }
}

#[track_caller]
fn check(history: &[(&str, bool)], expected: Option<&str>) {
    let mut history: Vec<Entry> = (1..)
        .zip(history)
        .map(|(number, (digest, removed))| entry(number, digest, *removed))
        .collect();
    history.reverse();
    let found = before(&history, &history[0]).map(|entry| entry.record.digest.as_str());
    assert_eq!(found, expected);
}

#[test]
fn going_back_again_goes_further_back() {
    check(&[("x", false), ("y", false), ("z", false)], Some("y"));
    check(&[("x", false), ("y", false), ("z", false), ("y", false)], Some("x"));
    check(&[("x", false), ("y", false), ("x", false)], None);
    check(&[("x", false)], None);
}

#[test]
fn a_removal_is_taken_back() {
    check(&[("x", false), ("y", false), ("y", true)], Some("y"));
}

#[test]
fn a_worker_refuses_what_was_signed_before_the_version_that_it_runs() {
    let signed = |seconds: u64| Record {
        signature: Some(format!(
            "untrusted comment: x\nabc\ntrusted comment: freefans-plugin name=a version=1.0.0 settings=none \
             timestamp={seconds}\nabc\n"
        )),
        ..Record::default()
    };
    let plugin =
        PluginReport { name: "a".to_owned(), signed_at: Some(10), ..PluginReport::default() };
    let worker = |signatures| WorkerReport {
        signatures,
        plugins: vec![plugin.clone()],
        ..WorkerReport::default()
    };
    let checks = worker(Signatures::Checked);
    assert!(checks.would_refuse("a", &signed(9)).is_some());
    assert_eq!(checks.would_refuse("a", &signed(10)), None);
    assert_eq!(checks.would_refuse("b", &signed(9)), None, "it has never had this one");
    assert_eq!(checks.would_refuse("a", &Record::default()), None);
    let unsigned = worker(Signatures::Required).would_refuse("a", &Record::default());
    assert!(unsigned.unwrap().contains("no signature"));
    assert_eq!(worker(Signatures::Untold).would_refuse("a", &Record::default()), None);
}
