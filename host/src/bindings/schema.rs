//! The JSON Schema of a task type's params: what it may hold, what it costs, and whether params fit it.
//!
//! Params are checked on the worker's own threads, where no limit of a task holds. So a schema's weight is found when its
//! plugin is loaded: the number of its names and values, with what its references lead to in their place. None of them
//! looks at a value of the params twice, so weight times bytes bounds the work, and that product is bounded.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Text of one schema, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// Levels of its JSON, references followed. A reference to what it stands in never ends, so it is refused here.
const MAX_LEVELS: usize = 64;
/// The shipped schemas weigh up to 600.
const MAX_WEIGHT: usize = 4_096;
/// What one regular expression counts for, and how large it may become.
const PATTERN_WEIGHT: usize = 256;
const PATTERN_BYTES: usize = 16 << 10;
/// Weight times bytes of params: some tenths of a second at the worst.
const MAX_COST: usize = 64 << 20;
/// Up to here the first misfit is told; each one that is found on the way takes memory.
const EXPLAINED_COST: usize = 1 << 20;
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// What reaches outside the text, or costs more than the text shows.
const REFUSED: &[&str] = &[
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$vocabulary",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// A schema that was weighed and compiled.
#[derive(Debug, Clone)]
pub(crate) struct ParamsSchema {
    validator: Validator,
    weight: usize,
}

impl ParamsSchema {
    /// The error says what is wrong with it.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let weight = weigh(schema)?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(false)
            // The engine that takes linear time: no look-around, no references to groups.
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(1 << 20),
            )
            .build(schema)
            .map_err(|error| format!("it is not a JSON Schema: {error}"))?;
        Ok(Self { validator, weight })
    }

    /// Params with more bytes of JSON would take too long to check.
    pub(crate) fn most_bytes(&self) -> usize {
        MAX_COST / self.weight.max(1)
    }

    /// Why params of so many bytes do not fit; none when they do.
    pub(crate) fn misfit(&self, params: &Value, bytes: usize) -> Option<String> {
        if self.validator.is_valid(params) {
            return None;
        }
        let explained = self.weight.saturating_mul(bytes) <= EXPLAINED_COST;
        let first = explained.then(|| self.validator.iter_errors(params).next()).flatten();
        Some(first.map_or_else(
            || "params: they do not fit their schema".to_owned(),
            |error| {
                let place = error.instance_path().to_string();
                let place =
                    if place.is_empty() { "params".to_owned() } else { format!("params{place}") };
                format!("{place}: {error}")
            },
        ))
    }
}

/// Reads a schema's text. The error says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    if MAX_BYTES < text.len() {
        return Err(format!("it has {} bytes; at most {MAX_BYTES} are taken", text.len()));
    }
    let schema = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match schema {
        Value::Object(_) => Ok(schema),
        _ => Err("it is not a JSON object".to_owned()),
    }
}

fn weigh(schema: &Value) -> Result<usize, String> {
    refuse_keywords(schema)?;
    if let Some(draft) = schema.get("$schema")
        && draft.as_str().map(|draft| draft.trim_end_matches('#')) != Some(DRAFT)
    {
        return Err(format!("its `$schema` is not {DRAFT}"));
    }
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let mut scales = Scales { definitions, weight: 0 };
    scales.put(schema, MAX_LEVELS)?;
    Ok(scales.weight)
}

/// Looks at all of it, what is never referred to included.
fn refuse_keywords(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_keywords),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            if REFUSED.contains(&name.as_str()) {
                return Err(format!("it has `{name}`, which is not taken"));
            }
            refuse_keywords(member)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

struct Scales<'a> {
    definitions: Option<&'a Map<String, Value>>,
    weight: usize,
}

impl<'a> Scales<'a> {
    fn add(&mut self, weight: usize) -> Result<(), String> {
        self.weight = self.weight.saturating_add(weight);
        if MAX_WEIGHT < self.weight {
            return Err(format!(
                "it is too large: names and values, references followed, and {PATTERN_WEIGHT} for each pattern, make more than {MAX_WEIGHT}"
            ));
        }
        Ok(())
    }

    fn put(&mut self, value: &'a Value, levels: usize) -> Result<(), String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(format!(
                "it is nested deeper than {MAX_LEVELS} levels, references followed"
            ));
        };
        self.add(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.put(item, levels)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                self.add(1)?;
                self.put_member(name, member, levels)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn put_member(&mut self, name: &str, member: &'a Value, levels: usize) -> Result<(), String> {
        match (name, member) {
            ("$ref", Value::String(to)) => {
                // The library decodes and splits what stands here: only a name that means itself is looked up as one.
                let plain = |name: &&str| {
                    let mut bytes = name.bytes();
                    bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
                };
                let target = to.strip_prefix("#/$defs/").filter(plain);
                let target =
                    target.and_then(|name| self.definitions?.get(name)).ok_or_else(|| {
                        format!(
                            "its reference `{to}` is not `#/$defs/NAME` with a name that is there, of letters, digits, `_`, `-` and `.`"
                        )
                    })?;
                self.put(target, levels)
            }
            // Counted where it is referred to.
            ("$defs", _) if levels + 1 == MAX_LEVELS => Ok(()),
            ("pattern", Value::String(_)) => self.add(PATTERN_WEIGHT),
            ("patternProperties", Value::Object(patterns)) => {
                self.add(PATTERN_WEIGHT.saturating_mul(patterns.len()))?;
                self.put(member, levels)
            }
            // Values are compared with each other.
            ("uniqueItems", Value::Bool(true)) => self.add(PATTERN_WEIGHT),
            _ => self.put(member, levels),
        }
    }
}

#[cfg(test)]
mod tests;
