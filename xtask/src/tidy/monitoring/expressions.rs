//! Finds the metrics in expressions of Prometheus, and the labels by which they are selected.

/// One use of a metric.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<&'a str>,
}

/// All uses of our metrics in a text.
pub(super) fn uses(text: &str) -> Vec<Use<'_>> {
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let mut uses = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (_, from) = rest.split_at(start);
        let end = from.find(|sign| !is_part(sign)).unwrap_or(from.len());
        let (name, after) = from.split_at(end);
        rest = after;
        let is_ours = name.starts_with("freefans_") || name.starts_with("process_");
        if is_ours {
            let labels = after.strip_prefix('{').map(labels).unwrap_or_default();
            uses.push(Use { name, labels });
        }
    }
    uses
}

/// The labels of a selector, which begins after its brace.
fn labels(selector: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    let mut rest = selector;
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let Some((label, value)) = rest.split_once(['=', '!']) else { return labels };
        if label.contains('}') {
            return labels;
        }
        labels.push(label.trim());
        let Some((_, value)) = value.split_once('"') else { return labels };
        let Some((_, after)) = value.split_once('"') else { return labels };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_with_the_labels_that_select_them() {
        let text = r#"max by (a) (freefans_x{b="}", c=~"d|e", f!="g"}) > 0 and rate(freefans_y_bucket[5m]) / up{h="i"}"#;
        let expected = vec![
            Use { name: "freefans_x", labels: vec!["b", "c", "f"] },
            Use { name: "freefans_y_bucket", labels: vec![] },
        ];
        assert_eq!(uses(text), expected);
        assert_eq!(uses("freefans_z{} + my_freefans_z")[0].labels, Vec::<&str>::new());
        assert_eq!(uses("freefans_z{} + my_freefans_z").len(), 1);
    }
}
