use serde_json::json;

use super::*;

#[track_caller]
fn refused(schema: &Value) -> String {
    ParamsSchema::new(schema).map(|_| ()).unwrap_err()
}

#[test]
fn params_are_told_where_they_do_not_fit() {
    let schema = json!({
        "$schema": DRAFT,
        "type": "object",
        "required": ["query"],
        "properties": {
            "query": {"type": "string", "minLength": 1},
            "from": {"$ref": "#/$defs/day"},
            "to": {"$ref": "#/$defs/day"},
        },
        "$defs": {"day": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"}},
    });
    let schema = ParamsSchema::new(&schema).unwrap();
    let misfit = |params: Value| schema.misfit(&params, params.to_string().len());
    assert_eq!(misfit(json!({"query": "luna", "from": "2026-01-31"})), None);
    assert!(misfit(json!({})).unwrap().contains("\"query\" is a required property"));
    assert!(misfit(json!({"query": "luna", "to": "today"})).unwrap().starts_with("params/to: "));
    // Of large ones only that they do not fit.
    let large = misfit(json!({"query": 7, "more": "x".repeat(100_000)})).unwrap();
    assert_eq!(large, "params: they do not fit their schema");
}

#[test]
fn a_few_names_that_unfold_to_millions_are_refused() {
    // Two references each: 26 levels froze a worker, and a few less are not too deep.
    let mut definitions = Map::new();
    definitions.insert("d0".to_owned(), json!({"type": "integer"}));
    for level in 1..=20 {
        let before = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        definitions.insert(format!("d{level}"), json!({"anyOf": [before, before]}));
    }
    let schema = json!({"$ref": "#/$defs/d20", "$defs": definitions});
    assert!(refused(&schema).contains("more than 4096"));
    let few = json!({"$ref": "#/$defs/d5", "$defs": definitions});
    assert!(ParamsSchema::new(&few).is_ok());
}

#[test]
fn a_reference_to_itself_is_refused() {
    let tree = json!({"properties": {"child": {"$ref": "#/$defs/tree"}}});
    let schema = json!({"$ref": "#/$defs/tree", "$defs": {"tree": tree}});
    assert!(refused(&schema).contains("deeper than 64 levels"));
}

#[test]
fn what_reaches_outside_or_costs_more_than_it_shows_is_refused() {
    for (schema, part) in [
        (json!({"$ref": "https://evil.example/schema"}), "is not `#/$defs/NAME`"),
        (json!({"$ref": "#"}), "is not `#/$defs/NAME`"),
        (json!({"$ref": "#/$defs/missing"}), "is not `#/$defs/NAME`"),
        // What the library would look up under another name than we.
        (
            json!({"$ref": "#/$defs/a~10", "$defs": {"a~10": true, "a/0": {}}}),
            "is not `#/$defs/NAME`",
        ),
        (json!({"$ref": "#/$defs/%61", "$defs": {"%61": true, "a": {}}}), "is not `#/$defs/NAME`"),
        (
            json!({"$ref": "#/$defs/a/properties/b", "$defs": {"a/properties/b": true}}),
            "is not `#/$defs/NAME`",
        ),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "`$schema`"),
        (json!({"$defs": {"a": {"$dynamicRef": "#a"}}}), "`$dynamicRef`"),
        (json!({"allOf": [{"unevaluatedProperties": false}]}), "`unevaluatedProperties`"),
        (json!({"pattern": "(a)\\1"}), "not a JSON Schema"),
        (json!({"pattern": "(?=a)"}), "not a JSON Schema"),
        (json!({"pattern": "a{1000}{1000}"}), "not a JSON Schema"),
        (json!({"type": "nothing"}), "not a JSON Schema"),
        (json!({"enum": vec![0; 5_000]}), "more than 4096"),
    ] {
        let error = refused(&schema);
        assert!(error.contains(part), "{schema}: {error}");
    }
    assert!(read(&format!("\"{}\"", "x".repeat(MAX_BYTES))).unwrap_err().contains("65536"));
    assert!(read("true").unwrap_err().contains("not a JSON object"));
    assert!(read("{").unwrap_err().contains("not JSON"));
}

#[test]
fn the_heavier_a_schema_the_smaller_its_params() {
    let most = |schema: Value| ParamsSchema::new(&schema).unwrap().max_bytes();
    assert!(most(json!({"type": "object"})) >= 1 << 20);
    let heavy = most(json!({"enum": (0..4_000).collect::<Vec<_>>()}));
    assert!((16 << 10..18 << 10).contains(&heavy), "{heavy}");
}

#[test]
fn usual_patterns_are_taken() {
    for pattern in ["^[a-z0-9_-]{1,64}$", "^https?://[^\\s/]+/", "^\\w+@\\w+\\.[a-z]{2,}$"] {
        let schema = ParamsSchema::new(&json!({"pattern": pattern}));
        assert!(schema.is_ok(), "{pattern}: {schema:?}");
    }
}
