//! Hostile guests in WebAssembly's text format: `host/tests/guests/hostile/*.wat`.
//!
//! A file begins with a sentence about the guest and with how it must end. The rest replaces parts of `frame.wat`, a
//! harmless plugin, unless it begins with `(component` or `(module`.

use std::path::Path;

use crate::root;

const FRAME: &str = "frame";

/// A hostile guest.
#[derive(Debug)]
pub struct HostileGuest {
    /// Its file's name.
    pub name: String,
    /// What it does, in one sentence.
    pub what: String,
    /// Its task type, which no other guest has.
    pub task_type: String,
    /// How it must end.
    pub ending: Ending,
    /// The component.
    pub wasm: Vec<u8>,
}

/// How a hostile guest must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It is not published; the refusal's code.
    Refused(String),
    /// Its task fails; the failure's code.
    Fails(String),
    /// Its task succeeds; the limit that the result names.
    Answers(String),
}

/// All hostile guests, by name.
///
/// # Panics
///
/// When a file is invalid.
pub fn hostile_guests() -> Vec<HostileGuest> {
    let folder = root().join("host/tests/guests/hostile");
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != FRAME)
        .collect();
    names.sort();
    names.into_iter().enumerate().map(|(number, name)| guest(&folder, number, name)).collect()
}

/// The frame alone: a harmless guest with the task type `hostile`.
///
/// # Panics
///
/// When it is not a component.
pub fn harmless_guest() -> Vec<u8> {
    harmless_guest_named("hostile")
}

/// The frame alone under another name, which is its task type's too. It does nothing.
///
/// # Panics
///
/// When the name does not have seven bytes, because the frame has offsets, or when it is not a component.
pub fn harmless_guest_named(name: &str) -> Vec<u8> {
    assert_eq!(name.len(), "hostile".len(), "`{name}` must have seven bytes");
    let wat = frame();
    build(FRAME, &wat.replace("\"hostile\"", &format!("\"{name}\"")))
}

fn guest(folder: &Path, number: usize, name: String) -> HostileGuest {
    let text = read(folder, &name);
    let mut lines = text.lines();
    let what = lines.next().and_then(|line| line.strip_prefix(";; ")).unwrap().to_owned();
    let (how, code) =
        lines.next().and_then(|line| line.strip_prefix(";; ")?.split_once(": ")).unwrap();
    let code = code.to_owned();
    let ending = match how {
        "refused" => Ending::Refused(code),
        "fails" => Ending::Fails(code),
        "answers" => Ending::Answers(code),
        _ => panic!("{name}.wat: `{how}` is no ending"),
    };
    let body: Vec<&str> = lines.collect();
    let alone = body.first().is_some_and(|line| !line.starts_with(";; <"));
    let wat = if alone { body.join("\n") } else { framed(&read(folder, FRAME), &body) };
    // Both names keep their length, because the frame has offsets.
    let task_type = format!("bad{number:04}");
    let wasm = build(&name, &wat.replace("\"hostile\"", &format!("\"{task_type}\"")));
    HostileGuest { name, what, task_type, ending, wasm }
}

/// The frame with a guest's parts inserted.
pub(crate) fn framed(frame: &str, body: &[&str]) -> String {
    let mut wat = frame.to_owned();
    for part in body.join("\n").split(";; <").filter(|part| !part.is_empty()) {
        let (marker, code) = part.split_once(">\n").unwrap();
        let marker = format!(";; <{marker}>\n");
        assert!(wat.contains(&marker), "the frame has no marker `{}`", marker.trim());
        wat = wat.replacen(&marker, &format!("{code}\n"), 1);
    }
    wat
}

pub(crate) fn build(name: &str, wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}.wat: {error}"))
}

/// The text of the frame.
pub(crate) fn frame() -> String {
    read(&root().join("host/tests/guests/hostile"), FRAME)
}

fn read(folder: &Path, name: &str) -> String {
    let path = folder.join(name).with_extension("wat");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_built_and_says_how_it_ends() {
        let guests = hostile_guests();
        assert!(guests.len() > 25);
        assert!(guests.iter().all(|guest| guest.what.ends_with('.')));
        assert!(guests.iter().any(|guest| guest.ending == Ending::Fails("cpu-limit".to_owned())));
        harmless_guest();
    }
}
