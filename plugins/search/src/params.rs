//! Parses the params JSON into a checked request. Every wrong input has its own sentence.

use serde_json::{Map, Value};

use crate::descriptor::{DEFAULT_LIMIT, MAX_EXCLUDED, MAX_LIMIT, MAX_PAGE, MAX_QUERY_CHARS};

/// `search_creator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// What to look for.
    pub query: String,
    /// The most creators in the answer.
    pub limit: usize,
}

/// `search_simpcity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedRequest {
    /// What to look for.
    pub query: String,
    /// Which page of results, from 1.
    pub page: u64,
}

/// `get_random_creator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomRequest {
    /// The fewest items that the creator must have.
    pub min_items: u64,
    /// Addresses of creators that were shown already, the last one last.
    pub exclude: Vec<String>,
}

impl SearchRequest {
    /// Reads the params.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(params: &str) -> Result<Self, String> {
        let params = object(params)?;
        let limit = whole(&params, "limit", DEFAULT_LIMIT as u64)?;
        let limit = usize::try_from(limit).unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
        Ok(Self { query: query(&params)?, limit })
    }
}

impl ExtendedRequest {
    /// Reads the params.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(params: &str) -> Result<Self, String> {
        let params = object(params)?;
        Ok(Self { query: query(&params)?, page: whole(&params, "page", 1)?.clamp(1, MAX_PAGE) })
    }
}

impl RandomRequest {
    /// Reads the params. The default for the fewest items is 25.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(params: &str) -> Result<Self, String> {
        let params = object(params)?;
        let exclude = match params.get("exclude") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => {
                let urls = list.iter().filter_map(Value::as_str);
                let urls = urls.skip(list.len().saturating_sub(MAX_EXCLUDED));
                urls.map(str::to_owned).collect()
            }
            Some(_) => return Err("`exclude` must be a list of addresses".to_owned()),
        };
        Ok(Self { min_items: whole(&params, "min_items", 25)?, exclude })
    }
}

fn object(params: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(params) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the params must be a JSON object".to_owned()),
        Err(error) => Err(format!("the params are not JSON: {error}")),
    }
}

fn query(params: &Map<String, Value>) -> Result<String, String> {
    let query = match params.get("query") {
        Some(Value::String(query)) => query,
        Some(_) => return Err("`query` must be a text".to_owned()),
        None => return Err("`query` is missing: say which name to look for".to_owned()),
    };
    if query.chars().count() > MAX_QUERY_CHARS {
        return Err(format!("that name is too long: at most {MAX_QUERY_CHARS} characters"));
    }
    let query = freefans_plugin::text::clean(query, MAX_QUERY_CHARS);
    if !query.chars().any(char::is_alphanumeric) {
        return Err("please send a name with at least one letter or digit".to_owned());
    }
    Ok(query)
}

fn whole(params: &Map<String, Value>, key: &str, default: u64) -> Result<u64, String> {
    match params.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => {
            value.as_u64().ok_or_else(|| format!("`{key}` must be a whole number, not negative"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_has_a_query_and_a_bounded_limit() {
        let request = SearchRequest::parse(r#"{"query":" luna ","limit":900}"#).unwrap();
        assert_eq!(request, SearchRequest { query: "luna".to_owned(), limit: 50 });
        assert_eq!(SearchRequest::parse(r#"{"query":"x"}"#).unwrap().limit, 10);
    }

    #[test]
    fn every_bad_search_has_its_sentence() {
        for (params, part) in [
            ("{", "not JSON"),
            ("[]", "JSON object"),
            ("{}", "missing"),
            (r#"{"query":7}"#, "must be a text"),
            (r#"{"query":""}"#, "at least one letter"),
            (r#"{"query":"  \u202e!? "}"#, "at least one letter"),
            (r#"{"query":"x","limit":-1}"#, "whole number"),
        ] {
            let error = SearchRequest::parse(params).unwrap_err();
            assert!(error.contains(part), "{params}: {error}");
        }
        let long = format!(r#"{{"query":"{}"}}"#, "x".repeat(201));
        assert!(SearchRequest::parse(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn a_random_pick_asks_for_25_items_by_default() {
        let request = RandomRequest::parse(r#"{"exclude":["a",1]}"#).unwrap();
        assert_eq!(request, RandomRequest { min_items: 25, exclude: vec!["a".to_owned()] });
    }
}
