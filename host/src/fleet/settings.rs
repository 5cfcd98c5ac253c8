//! Settings as text, and literal secrets in them.

use toml::{Table, Value};

/// Words in the name of a setting whose value is a secret.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "secret", "token", "apikey", "api_key", "api-key", "credential"];
/// The longest text before a secret in a header that is not a secret itself, such as `Bearer `.
const MAX_PREFIX_CHARS: usize = 16;

/// A settings file with these sections.
pub(super) fn text(settings: &Table) -> String {
    let (sections, rest): (Vec<_>, Vec<_>) =
        settings.iter().partition(|(_, value)| value.is_table());
    let mut text = String::new();
    // What is no section must come first.
    for (key, value) in rest {
        line(&mut text, key, value);
    }
    for (name, section) in sections {
        text.push_str(&format!("[{}]\n", quoted(name)));
        for (key, value) in section.as_table().into_iter().flatten() {
            line(&mut text, key, value);
        }
    }
    text
}

fn line(text: &mut String, key: &str, of: &Value) {
    text.push_str(&format!("{} = {}\n", quoted(key), value(of)));
}

/// A value on one line.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "nan".to_owned(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(on) => on.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(self::value).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Table(table) => {
            let table =
                table.iter().map(|(key, of)| format!("{} = {}", quoted(key), self::value(of)));
            format!("{{ {} }}", table.collect::<Vec<_>>().join(", "))
        }
    }
}

/// TOML takes JSON's escapes, and wants one more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// The settings in a file that hold a secret instead of naming it, each with what to write. `not_secret` are keys whose
/// values are none though they look like one.
pub(crate) fn literal_secrets(text: &str, not_secret: &[String]) -> Result<Vec<String>, String> {
    let settings: Table =
        text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut found = Vec::new();
    let config = settings.get("config").and_then(Value::as_table);
    for (key, value) in config.into_iter().flatten() {
        let Some(text) = value.as_str().filter(|text| !text.starts_with("${")) else { continue };
        let lower = key.to_lowercase();
        let looks_secret = SECRET_WORDS.iter().any(|word| lower.contains(word)) && !text.is_empty();
        if (looks_secret || has_password(text)) && !not_secret.contains(key) {
            let variable: String = key
                .to_uppercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            found.push(format!(
                "`{key}` under [config] holds what looks like a secret; write `{key} = \"${{{variable}}}\"` and set the variable on \
                 the workers, or add --not-secret {key}"
            ));
        }
    }
    let secrets = settings.get("secrets").and_then(Value::as_array);
    for secret in secrets.into_iter().flatten() {
        let prefix = secret.get("prefix").and_then(Value::as_str).unwrap_or_default();
        if prefix.chars().count() > MAX_PREFIX_CHARS {
            found.push("a `prefix` under [[secrets]] is too long to be no secret; put all of it into the variable".to_owned());
        }
    }
    Ok(found)
}

/// Whether a text is an address with a password.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let source = "top = [1, { a = \"x\" }]\n[config]\n\"odd key\" = \"tab\\t quote\\\" del\\u007f\"\n\
                      at = 2026-01-02T03:04:05Z\nwhole = 1.0\nbig = 1e300\n[grants]\ndata = { w = \"w\" }\n[[secrets]]\nenv = \"X\"\n";
        let table: Table = source.parse().unwrap();
        let again: Table = text(&table).parse().unwrap();
        assert_eq!(again, table, "{}", text(&table));
    }

    #[test]
    fn a_secret_is_named_and_not_written() {
        let found = |text: &str| literal_secrets(text, &["sort_token".to_owned()]).unwrap().len();
        assert_eq!(found("[config]\napi_token = \"abc\"\n"), 1);
        assert_eq!(found("[config]\nurl = \"https://user:word@a.example/x\"\n"), 1);
        assert_eq!(
            found("[config]\napi_token = \"${API_TOKEN}\"\nurl = \"https://a.example/@x:y\"\n"),
            0
        );
        assert_eq!(found("[config]\nsort_token = \"name\"\npassword = \"\"\n"), 0);
        let secret = |prefix: &str| format!("[[secrets]]\nenv = \"X\"\nprefix = \"{prefix}\"\n");
        assert_eq!(found(&secret("Bearer ")), 0);
        assert_eq!(found(&secret("Bearer abcdefghijklmnop")), 1);
        let error = literal_secrets("[config]\npassword = \"hunter2\n", &[]).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
