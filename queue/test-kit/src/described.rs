//! Guests that describe themselves as a test says, and answer every task in the same way.

use crate::hostile::{build, frame, framed};

/// The frame's guest with another description and answer.
#[derive(Debug, Clone)]
pub struct DescribedGuest {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name and params schema of each task type.
    pub task_types: Vec<(String, String)>,
    /// A JSON object.
    pub extensions: String,
    /// How each task ends.
    pub answer: GuestAnswer,
    /// More imports, in WebAssembly's text format.
    pub imports: String,
}

/// How a guest ends each task.
#[derive(Debug, Clone)]
pub enum GuestAnswer {
    /// With this data.
    Data(String),
    /// It asks to be tried again, for this reason.
    Retry(String),
    /// It traps.
    Trap,
    /// It never ends.
    Loop,
}

/// A list of task types lies at a multiple of four, behind everything that the frame has in its memory.
const LIST: usize = 512;
/// Texts lie behind the place where the host's lie; the memory has 64 KiB.
const TEXTS: usize = 16 << 10;
const MEMORY: usize = 64 << 10;

impl DescribedGuest {
    /// A plugin that takes any params, has no commands and answers with `{}`.
    pub fn new(name: &str, task_types: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            task_types: task_types
                .iter()
                .map(|name| ((*name).to_owned(), "{}".to_owned()))
                .collect(),
            extensions: "{\"version\":1}".to_owned(),
            answer: GuestAnswer::Data("{}".to_owned()),
            imports: String::new(),
        }
    }

    /// The component.
    ///
    /// # Panics
    ///
    /// When its texts do not fit into its memory, or when it is not a component.
    pub fn build(&self) -> Vec<u8> {
        let mut texts = Vec::new();
        let mut place = |text: &str| {
            let at = TEXTS + texts.len();
            texts.extend_from_slice(text.as_bytes());
            (at, text.len())
        };
        let mut string = |text: &str| {
            let (at, length) = place(text);
            words(&[at, length])
        };
        let head = format!("{}{}", string(&self.name), string(&self.version));
        let list: String = self
            .task_types
            .iter()
            .map(|(name, schema)| {
                let name = string(name);
                let schema = string(schema);
                format!("{name}{name}{schema}")
            })
            .collect();
        let descriptor =
            format!("{head}{}{}", words(&[LIST, self.task_types.len()]), string(&self.extensions));
        let handle = match &self.answer {
            GuestAnswer::Data(data) => {
                let (at, length) = place(data);
                format!("(return (call $answer (i32.const {at}) (i32.const {length})))")
            }
            // `err`, the case `retry`, its reason, and no time.
            GuestAnswer::Retry(reason) => {
                let (at, length) = place(reason);
                let stores = [(256, 1), (264, 2), (272, at), (276, length), (280, 0)];
                let stores = stores
                    .map(|(at, value)| format!("(i32.store (i32.const {at}) (i32.const {value}))"));
                format!("{} (return (i32.const 256))", stores.concat())
            }
            GuestAnswer::Trap => "unreachable".to_owned(),
            GuestAnswer::Loop => "(loop $on (br $on)) unreachable".to_owned(),
        };
        assert!(LIST + self.task_types.len() * 24 <= 4096, "too many task types");
        assert!(TEXTS + texts.len() <= MEMORY, "too much text");
        let texts: String = texts.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let core = format!(
            ";; <core>\n(data (i32.const 32) \"{descriptor}\") (data (i32.const {LIST}) \"{list}\") \
             (data (i32.const {TEXTS}) \"{texts}\")"
        );
        let mut body = vec![core.as_str(), ";; <handle>", &handle];
        if !self.imports.is_empty() {
            body.extend([";; <imports>", &self.imports]);
        }
        build(&self.name, &framed(&frame(), &body))
    }
}

/// A guest with this name and these task types, which traps at every task.
///
/// # Panics
///
/// As [`DescribedGuest::build`].
pub fn trapping_guest(name: &str, task_types: &[&str]) -> Vec<u8> {
    let guest = DescribedGuest::new(name, task_types);
    DescribedGuest { version: "9.0.0".to_owned(), answer: GuestAnswer::Trap, ..guest }.build()
}

/// Numbers as a guest's memory has them, in the notation of the text format.
fn words(numbers: &[usize]) -> String {
    let bytes = numbers.iter().flat_map(|number| u32::try_from(*number).unwrap().to_le_bytes());
    bytes.map(|byte| format!("\\{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_built_whatever_it_says() {
        let guest = DescribedGuest::new("tide", &["tide", "ebb"]);
        for answer in [
            GuestAnswer::Data("{\"a\": \"ü\"}".to_owned()),
            GuestAnswer::Retry("busy".to_owned()),
            GuestAnswer::Trap,
            GuestAnswer::Loop,
        ] {
            DescribedGuest { answer, ..guest.clone() }.build();
        }
        trapping_guest("search", &["search_creator", "other"]);
    }
}
