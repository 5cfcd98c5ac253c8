//! Which items a person wants to see. Pure.

use serde_json::Value;

use crate::day::is_date;
use crate::item::{Item, Kind};

/// Conditions that an item must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Not before this day.
    pub from: Option<String>,
    /// Not after this day.
    pub to: Option<String>,
    /// Only titles with this text, in lower case.
    pub text: Option<String>,
}

impl Filter {
    /// Reads the `filters` object.
    ///
    /// # Errors
    ///
    /// A sentence for the person.
    pub fn parse(filters: Option<&Value>) -> Result<Self, String> {
        let Some(filters) = filters.filter(|filters| !filters.is_null()) else {
            return Ok(Self::default());
        };
        let filters = filters.as_object().ok_or("`filters` must be an object")?;
        let text =
            |key: &str| filters.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let date = |key: &str| match text(key) {
            Some(day) if !is_date(day) => Err(format!("`{key}` must be a date like 2026-03-01")),
            day => Ok(day.map(str::to_owned)),
        };
        let kind = match text("type") {
            None => None,
            Some(word) => Some(Kind::parse(word).ok_or("`type` must be `picture` or `video`")?),
        };
        let from = date("from")?;
        let to = date("to")?;
        if let (Some(from), Some(to)) = (&from, &to)
            && to < from
        {
            return Err("`from` must not be after `to`".to_owned());
        }
        let text = text("text")
            .map(|text| freefans_plugin::text::clean(text, 100).to_lowercase())
            .filter(|text| !text.is_empty());
        Ok(Self { kind, from, to, text })
    }

    /// Whether an item is wanted.
    pub fn wants(&self, item: &Item) -> bool {
        self.kind.is_none_or(|kind| item.kind == kind)
            && self.from.as_ref().is_none_or(|from| *from <= item.date)
            && self.to.as_ref().is_none_or(|to| item.date <= *to)
            && self.text.as_ref().is_none_or(|text| item.title.to_lowercase().contains(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn item(kind: Kind, date: &str, title: &str) -> Item {
        let text = str::to_owned;
        Item { id: text("1"), title: text(title), url: text("u"), kind, date: text(date) }
    }

    #[test]
    fn each_filter_leaves_out_its_own() {
        let wants =
            |filters: Value, item: &Item| Filter::parse(Some(&filters)).unwrap().wants(item);
        let video = item(Kind::Video, "2026-03-01", "Harbour Lights");
        assert!(wants(json!({}), &video));
        assert!(!wants(json!({"type": "picture"}), &video));
        assert!(wants(json!({"from": "2026-03-01", "to": "2026-03-01"}), &video));
        assert!(!wants(json!({"from": "2026-03-02"}), &video));
        assert!(!wants(json!({"to": "2026-02-28"}), &video));
        assert!(wants(json!({"text": "LIGHTS"}), &video));
        assert!(!wants(json!({"text": "forest"}), &video));
    }

    #[test]
    fn a_filter_that_makes_no_sense_has_its_sentence() {
        for (filters, part) in [
            (json!([]), "object"),
            (json!({"type": "song"}), "picture"),
            (json!({"from": "yesterday"}), "date"),
            (json!({"from": "2026-02-01", "to": "2026-01-01"}), "after"),
            (json!({"to": "2026-02-30"}), "date"),
        ] {
            let error = Filter::parse(Some(&filters)).unwrap_err();
            assert!(error.contains(part), "{filters}: {error}");
        }
    }

    #[test]
    fn a_text_of_nothing_but_spaces_leaves_nothing_out() {
        assert_eq!(Filter::parse(Some(&json!({"text": " \u{200b} "}))), Ok(Filter::default()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,20}".prop_map(Value::from),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::from),
            Just(json!("video")),
            Just(json!([1])),
        ]
    }

    proptest! {
        #[test]
        fn any_filters_are_read_or_have_a_sentence(
            kind in any_value(), from in any_value(), to in any_value(), words in any_value(),
        ) {
            let filters = json!({"type": kind, "from": from, "to": to, "text": words});
            match Filter::parse(Some(&filters)) {
                Ok(filter) => {
                    prop_assert!(filter.from.as_deref().is_none_or(is_date));
                    prop_assert!(filter.to.as_deref().is_none_or(is_date));
                    prop_assert!(filter.text.is_none_or(|text| !text.chars().any(char::is_control)));
                }
                Err(sentence) => prop_assert!(sentence.contains('`'), "{}", sentence),
            }
        }
    }
}
