//! From a type to the JSON Schema of a task type's params.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of `P`, whole and without references.
pub(crate) fn of<P: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<P>();
    // The Rust name of the type says nothing to who reads the schema.
    schema.remove("title");
    schema.into()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// What to look up.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Params {
        /// A name.
        #[schemars(length(max = 40))]
        name: String,
        #[serde(default)]
        pages: Option<u8>,
        kind: Option<Kind>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        High,
        Low,
    }

    #[test]
    fn a_schema_is_made_from_the_type() {
        let schema = of::<Params>();
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["properties"]["name"]["maxLength"], 40);
        assert_eq!(schema["properties"]["name"]["description"], "A name.");
        assert_eq!(schema["properties"]["kind"]["enum"], json!(["high", "low", null]));
        let text = schema.to_string();
        assert!(
            !text.contains("$ref") && !text.contains("$schema") && !text.contains("title"),
            "{text}"
        );
    }
}
