//! `worker plugins run` with `--profile` and `--coredump`: what an author sees of a plugin from inside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use test_kit::{DescribedGuest, GuestAnswer, hostile_guests};

use crate::offline::{file, plugins};
use crate::support::{Folder, said};

/// The number of samples in a file for Firefox Profiler, and in how many of them each function is.
fn samples(profile: &Path) -> (usize, BTreeMap<String, usize>) {
    let profile: Value = serde_json::from_slice(&std::fs::read(profile).unwrap()).unwrap();
    let thread = &profile["threads"][0];
    let column = |table: &str, name: &str, row: &Value| {
        thread[table][name][usize::try_from(row.as_u64().unwrap()).unwrap()].clone()
    };
    let stacks = thread["samples"]["stack"].as_array().unwrap();
    let mut functions = BTreeMap::new();
    for sample in stacks {
        let mut stack = sample.clone();
        let mut seen = BTreeSet::new();
        while !stack.is_null() {
            let frame = column("stackTable", "frame", &stack);
            let function = column("frameTable", "func", &frame);
            let name = column("funcTable", "name", &function);
            let name = &thread["stringArray"][usize::try_from(name.as_u64().unwrap()).unwrap()];
            seen.insert(name.as_str().unwrap().to_owned());
            stack = column("stackTable", "prefix", &stack);
        }
        seen.into_iter().for_each(|name| *functions.entry(name).or_insert(0) += 1);
    }
    (stacks.len(), functions)
}

fn run_with_profile(folder: &Folder, plugin: &str, flags: &[&str]) -> (Output, PathBuf) {
    let profile = folder.path().join("profile.json");
    let plugin = file(folder, &format!("{plugin}.wasm"));
    let to = profile.display().to_string();
    let ran = plugins(&[&["run", &plugin, "--profile", &to], flags].concat());
    (ran, profile)
}

#[test]
fn a_profile_names_the_function_in_which_the_time_goes() {
    let folder = Folder::with(&["probe"]);
    let endless = DescribedGuest::new("endless", &["endless"]);
    folder.put("endless", &DescribedGuest { answer: GuestAnswer::Loop, ..endless }.build());
    folder.settings("endless", "[limits]\ncpu_ms = 300\n");
    // Its limit holds as in a worker, and the profile is of the time until then.
    let (ran, profile) = run_with_profile(&folder, "endless", &[]);
    assert!(said(&ran).contains("cpu-limit"), "{}", said(&ran));
    let (all, functions) = samples(&profile);
    assert!(said(&ran).contains(&format!("{all} in all; open it at")), "{}", said(&ran));
    assert!(functions["handle"] > all / 2, "{all}: {functions:?}");

    // Names of Rust, in a component that starts from a snapshot.
    let spin = ["--task-type", "probe_spin", "--params", r#"{"ms":300}"#, "--repeat", "2"];
    let (ran, profile) = run_with_profile(&folder, "probe", &spin);
    assert!(ran.status.success(), "{}", said(&ran));
    let (all, functions) = samples(&profile);
    let handle = functions.iter().find(|(name, _)| name.contains("probe::guest::Probe"));
    assert!(handle.is_some_and(|(_, count)| *count > all / 2), "{all}: {functions:?}");
}

fn run_with_core_dump(folder: &Folder, plugin: &str, dump: &Path) -> Output {
    let plugin = file(folder, &format!("{plugin}.wasm"));
    plugins(&["run", &plugin, "--coredump", &dump.display().to_string()])
}

#[test]
fn a_trap_leaves_a_core_dump_and_an_answer_leaves_none() {
    let folder = Folder::with(&[]);
    let guest = DescribedGuest::new("tide", &["tide"]);
    let dump = folder.path().join("core");
    folder.put("tide", &guest.build());
    let answered = run_with_core_dump(&folder, "tide", &dump);
    assert_eq!(answered.status.code(), Some(0), "{}", said(&answered));
    assert!(said(&answered).contains("no core dump: the plugin did not trap"));
    assert!(!dump.exists());

    folder.put("tide", &DescribedGuest { answer: GuestAnswer::Trap, ..guest }.build());
    let trapped = run_with_core_dump(&folder, "tide", &dump);
    let told = said(&trapped);
    assert_eq!(trapped.status.code(), Some(1), "{told}");
    let bytes = std::fs::read(&dump).unwrap();
    assert!(told.contains(&format!("core dump: {} bytes in", bytes.len())), "{told}");
    // The log has the backtrace, and not the dump too.
    assert!(told.contains("wasm backtrace") && !told.contains("globals:"), "{told}");
    assert!(bytes.starts_with(b"\0asm"));
    for section in [&b"\x04core"[..], b"\x09corestack", b"\x0bcoremodules"] {
        assert!(bytes.windows(section.len()).any(|part| part == section), "{section:?}");
    }
}

#[test]
fn a_trap_between_components_is_told_where_no_core_dump_can_be_made() {
    let folder = Folder::with(&[]);
    let parted = hostile_guests().into_iter().find(|guest| guest.name == "trap-in-a-part").unwrap();
    folder.put("parted", &parted.wasm);
    let dump = folder.path().join("core");
    let trapped = run_with_core_dump(&folder, "parted", &dump);
    let told = said(&trapped);
    assert_eq!(trapped.status.code(), Some(1), "{told}");
    assert!(told.contains("no core dump: the plugin is made of several components"), "{told}");
    assert!(!told.contains("panicked") && !dump.exists(), "{told}");
}
