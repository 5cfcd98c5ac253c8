//! Names in a schema that are no keywords of JSON Schema. They check nothing, and mostly are keywords misspelt.

use std::collections::BTreeSet;

use chat_commands::remarks::{Place, Remarks, did_you_mean, quoted};
use serde_json::{Map, Value};

/// Keywords of draft 2020-12 whose value is a schema.
const OF_ONE: &[&str] = &[
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
];
/// Whose value is a list of schemas.
const OF_LIST: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
/// Whose value has schemas under names that are free.
const OF_NAMES: &[&str] = &["$defs", "dependentSchemas", "patternProperties", "properties"];
/// All others that are allowed.
const PLAIN: &[&str] = &[
    "$comment",
    "$ref",
    "$schema",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];
/// What older drafts and `OpenAPI` call something that has another name here.
const RENAMED: &[(&str, &str)] = &[
    ("additionalItems", "items"),
    ("definitions", "$defs"),
    ("dependencies", "dependentRequired"),
    ("example", "examples"),
];

/// Remarks on each name that stands where a keyword is expected, and is none. A name with `x-` is somebody's own.
pub(crate) fn add_unknown(schema: &Value, place: &Place<'_>, remarks: &mut Remarks) {
    let Value::Object(members) = schema else { return };
    for (name, member) in members {
        let keyword = name.as_str();
        let place = place.name(name);
        if OF_ONE.contains(&keyword) {
            add_unknown(member, &place, remarks);
        } else if OF_LIST.contains(&keyword) {
            for (index, part) in member.as_array().into_iter().flatten().enumerate() {
                add_unknown(part, &place.index(index), remarks);
            }
        } else if OF_NAMES.contains(&keyword) {
            for (name, part) in member.as_object().into_iter().flatten() {
                add_unknown(part, &place.name(name), remarks);
            }
        } else if !PLAIN.contains(&keyword) && !keyword.starts_with("x-") {
            remarks.add(&place, || {
                format!("it is no keyword of JSON Schema and checks nothing{}", instead_of(name))
            });
        }
    }
}

fn instead_of(name: &str) -> String {
    match RENAMED.iter().find(|(old, _)| *old == name) {
        Some((_, new)) => format!("; did you mean `{new}`?"),
        None => did_you_mean(name, &[OF_ONE, OF_LIST, OF_NAMES, PLAIN].concat()),
    }
}

/// What a schema says about the names of params.
#[derive(Debug, Default)]
pub(crate) struct KnownParams<'a> {
    names: BTreeSet<&'a str>,
    /// It also says something about names that it does not list.
    any: bool,
}

impl<'a> KnownParams<'a> {
    pub(crate) fn of(schema: &'a Value) -> Self {
        let mut known = Self::default();
        known.add(schema, schema.get("$defs").and_then(Value::as_object), MAX_LEVELS);
        known
    }

    /// Why a param with this name is probably a mistake; none when it is not.
    pub(crate) fn problem(&self, name: &str) -> Option<String> {
        // A schema without any properties takes params that nobody described.
        if self.any || self.names.is_empty() || self.names.contains(name) {
            return None;
        }
        let names: Vec<&str> = self.names.iter().copied().collect();
        let instead = did_you_mean(name, &names);
        let name = quoted(name);
        Some(format!("its schema has no param `{name}`, so nothing checks it{instead}"))
    }

    fn add(&mut self, schema: &'a Value, definitions: Option<&'a Map<String, Value>>, levels: u8) {
        let (Value::Object(members), Some(levels)) = (schema, levels.checked_sub(1)) else {
            return;
        };
        for (name, member) in members {
            match (name.as_str(), member) {
                ("properties", Value::Object(properties)) => {
                    self.names.extend(properties.keys().map(String::as_str));
                }
                ("patternProperties" | "propertyNames", _) => self.any = true,
                ("additionalProperties", allowed) if *allowed != Value::Bool(false) => {
                    self.any = true;
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                    parts.iter().for_each(|part| self.add(part, definitions, levels));
                }
                ("if" | "then" | "else", part) => self.add(part, definitions, levels),
                ("$ref", Value::String(to)) => {
                    let target = to.strip_prefix("#/$defs/").and_then(|to| definitions?.get(to));
                    match target {
                        Some(target) => self.add(target, definitions, levels),
                        None => self.any = true,
                    }
                }
                _ => {}
            }
        }
        self.any |= levels == 0;
    }
}

/// How far references and alternatives are followed. Deeper ones are rare, and then no param is called unknown.
const MAX_LEVELS: u8 = 6;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(schema: &Value) -> Vec<String> {
        let mut remarks = Remarks::new();
        add_unknown(schema, &Place::root("schema"), &mut remarks);
        remarks.into_lines()
    }

    #[test]
    fn a_misspelt_keyword_is_told_where_keywords_stand_and_nowhere_else() {
        let wrong = json!({
            "propertys": {}, "requird": ["a"],
            "properties": {"requird": {"minlength": 1}}, "allOf": [{"definitions": {}}],
        });
        let part = "it is no keyword of JSON Schema and checks nothing; did you mean";
        assert_eq!(
            told(&wrong),
            [
                format!("`schema.allOf[0].definitions`: {part} `$defs`?"),
                format!("`schema.properties.requird.minlength`: {part} `minLength`?"),
                format!("`schema.propertys`: {part} `properties`?"),
                format!("`schema.requird`: {part} `required`?"),
            ]
        );
        let right = json!({
            "type": "object", "x-ui": 1, "properties": {"propertys": {"enum": [{"requird": 1}]}, "b": true},
            "default": {"propertys": 1}, "const": {"a": 1}, "examples": [{"a": 1}],
        });
        assert_eq!(told(&right), Vec::<String>::new());
    }

    #[test]
    fn a_param_is_unknown_only_to_a_schema_that_lists_its_params() {
        let unknown = |schema: Value| KnownParams::of(&schema).problem("dise");
        let of = json!({"dice": true});
        let problem = unknown(json!({"properties": of})).unwrap();
        assert!(problem.ends_with("so nothing checks it; did you mean `dice`?"), "{problem}");
        let parts = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"properties": of}]}}});
        assert!(unknown(parts).is_some());
        for open in [
            json!({}),
            json!({"properties": {"dise": true}}),
            json!({"properties": of, "additionalProperties": true}),
            json!({"properties": of, "patternProperties": {"^d": true}}),
            json!({"properties": of, "anyOf": [{"properties": {"dise": true}}]}),
        ] {
            assert_eq!(unknown(open.clone()), None, "{open}");
        }
    }
}
