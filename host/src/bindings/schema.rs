//! The JSON Schema of a task type's params: reads it, limits its cost, and checks params against it.
//!
//! Params are checked on the worker's own threads, where a task's limits do not apply. So each schema is weighed when its
//! plugin is loaded: its weight is the number of its names and values, with references expanded. No part of a schema
//! reads a value of the params twice, so weight times bytes is an upper bound of the work, and that product is limited.

pub(crate) mod keywords;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Size of a schema's text.
const MAX_BYTES: usize = 64 << 10;
/// Nesting levels with references expanded. This refuses recursive references as well.
const MAX_LEVELS: usize = 64;
/// The schemas of the shipped plugins weigh up to 600.
const MAX_WEIGHT: usize = 4_096;
/// The weight of one regular expression, and its size when compiled.
const PATTERN_WEIGHT: usize = 256;
const PATTERN_BYTES: usize = 16 << 10;
/// Weight times bytes of params: a few tenths of a second in the worst case.
const MAX_COST: usize = 64 << 20;
/// Up to this cost the first error is reported. Finding errors takes memory for each.
const EXPLAINED_COST: usize = 1 << 20;
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords that refer outside the text, or cost more than the text shows.
const REFUSED_KEYWORDS: &[&str] = &[
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

/// A compiled schema and its weight.
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
            // The engine with linear time: no look-around, no back-references.
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(1 << 20),
            )
            .build(schema)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                let hint = hint(&place);
                format!("it is not a JSON Schema: at `{place}`: {error}{hint}")
            })?;
        Ok(Self { validator, weight })
    }

    /// The largest params, in bytes of JSON, that can be checked within the cost limit.
    pub(crate) fn max_bytes(&self) -> usize {
        MAX_COST / self.weight.max(1)
    }

    /// Why params with this size in bytes do not fit; none when they do.
    pub(crate) fn misfit(&self, params: &Value, bytes: usize) -> Option<String> {
        if self.validator.is_valid(params) {
            return None;
        }
        let explained = self.weight.saturating_mul(bytes) <= EXPLAINED_COST;
        let first = explained.then(|| self.validator.iter_errors(params).next()).flatten();
        Some(first.map_or_else(
            || "params: they do not fit their schema".to_owned(),
            |error| {
                let path = error.instance_path().to_string();
                format!("params{path}: {error}")
            },
        ))
    }
}

/// What is allowed where a schema is wrong, when the error does not say so.
fn hint(place: &str) -> &'static str {
    match place.rsplit('/').next().unwrap_or_default() {
        "type" => {
            "; the types are `array`, `boolean`, `integer`, `null`, `number`, `object` and `string`"
        }
        "pattern" => "; a pattern has no look-around and no back-references, and is not large",
        _ => "",
    }
}

/// Reads a schema's text. The error says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has {} bytes; at most {MAX_BYTES} are allowed", text.len()));
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
    let mut weigher = Weigher { definitions, weight: 0 };
    weigher.add_value(schema, MAX_LEVELS)?;
    Ok(weigher.weight)
}

/// Searches all of the schema, including definitions without references to them.
fn refuse_keywords(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_keywords),
        Value::Object(members) => members.iter().try_for_each(|(name, member)| {
            if REFUSED_KEYWORDS.contains(&name.as_str()) {
                return Err(format!(
                    "it has `{name}`, which is not allowed; remove it, for a schema stands alone"
                ));
            }
            refuse_keywords(member)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

struct Weigher<'a> {
    definitions: Option<&'a Map<String, Value>>,
    weight: usize,
}

impl<'a> Weigher<'a> {
    fn add(&mut self, weight: usize) -> Result<(), String> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT {
            return Err(format!(
                "it is too large: names and values, references expanded, and {PATTERN_WEIGHT} for each pattern, make more than {MAX_WEIGHT}"
            ));
        }
        Ok(())
    }

    fn add_value(&mut self, value: &'a Value, levels: usize) -> Result<(), String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Err(format!(
                "it is nested deeper than {MAX_LEVELS} levels, references expanded"
            ));
        };
        self.add(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.add_value(item, levels)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                self.add(1)?;
                self.add_member(name, member, levels)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn add_member(&mut self, name: &str, member: &'a Value, levels: usize) -> Result<(), String> {
        match (name, member) {
            ("$ref", Value::String(to)) => {
                // The library decodes and splits references: only plain names are looked up as they are.
                let is_plain = |name: &&str| {
                    let mut bytes = name.bytes();
                    bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
                };
                let target = to.strip_prefix("#/$defs/").filter(is_plain);
                let target =
                    target.and_then(|name| self.definitions?.get(name)).ok_or_else(|| {
                        format!(
                            "its reference `{to}` is not `#/$defs/NAME` with a defined name of letters, digits, `_`, `-` and `.`"
                        )
                    })?;
                self.add_value(target, levels)
            }
            // Counted at each reference.
            ("$defs", _) if levels + 1 == MAX_LEVELS => Ok(()),
            ("pattern", Value::String(_)) => self.add(PATTERN_WEIGHT),
            ("patternProperties", Value::Object(patterns)) => {
                self.add(PATTERN_WEIGHT.saturating_mul(patterns.len()))?;
                self.add_value(member, levels)
            }
            // Compares values with each other.
            ("uniqueItems", Value::Bool(true)) => self.add(PATTERN_WEIGHT),
            _ => self.add_value(member, levels),
        }
    }
}

#[cfg(test)]
mod tests;
