use std::collections::HashSet;
use std::fs;
use std::process::Command;

use super::*;
use crate::debian;

const ALERT: &str = r#"
      - alert: TooOld
        expr: freefans_age_seconds{task_type="a"} > 1
        labels:
          severity: critical
        annotations:
          summary: s
          description: d
          runbook_url: docs/runbooks.md#tooold
"#;
const FIRES_AND_ENDS: &str = "
      - eval_time: 1m
        alertname: TooOld
        exp_alerts:
          - exp_labels:
      - eval_time: 2m
        alertname: TooOld
";
const TABLE_OF_ONE: &str = "| `freefans_age_seconds` | gauge | `task_type` | both | Age. |\n\
    | `freefans_took_seconds` | histogram |  | both | Time. |\n";

fn pages() -> Pages<'static> {
    Pages {
        alerts: ALERT,
        tests: FIRES_AND_ENDS,
        dashboard: r#"{"panels": [{"targets": [{"expr": "rate(freefans_took_seconds_bucket[1m])"}]}]}"#,
        table: TABLE_OF_ONE,
        runbooks: "# Runbooks\n\n## TooOld\n\nDo.\n",
    }
}

#[track_caller]
fn finds(pages: &Pages<'_>, part: &str) {
    let found = pages.check().unwrap();
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains(part)), "{said:?}");
}

#[test]
fn what_fits_together_has_no_violation() {
    assert_eq!(pages().check().unwrap(), []);
}

#[test]
fn an_alert_without_runbook_test_or_severity_is_found() {
    finds(&Pages { runbooks: "# Runbooks\n", ..pages() }, "`TooOld` has no section");
    finds(&Pages { alerts: &ALERT.replace("#tooold", "#other"), ..pages() }, "name its runbook");
    finds(&Pages { alerts: &ALERT.replace("severity", "level"), ..pages() }, "no `severity:`");
    let fires_only = FIRES_AND_ENDS.rsplit_once("      - eval_time").unwrap().0;
    finds(&Pages { tests: fires_only, ..pages() }, "does not both fire and end");
    finds(&Pages { tests: "", ..pages() }, "does not both fire and end");
    finds(&Pages { alerts: "", ..pages() }, "`TooOld`, which is no alert");
}

#[test]
fn a_metric_or_a_label_that_is_in_no_row_is_found() {
    finds(&Pages { table: "", ..pages() }, "names the metric `freefans_age_seconds`");
    finds(&Pages { table: "", ..pages() }, "names the metric `freefans_took_seconds_bucket`");
    finds(&Pages { alerts: &ALERT.replace("task_type", "kind"), ..pages() }, "the label `kind`");
    // Only a histogram has buckets.
    let alerts = ALERT.replace("freefans_age_seconds", "freefans_age_seconds_bucket");
    finds(&Pages { alerts: &alerts, ..pages() }, "`freefans_age_seconds_bucket`");
}

#[test]
fn a_metric_that_is_named_where_it_is_recorded_is_found() {
    assert_eq!(bare_names("a.rs", "counter!(NAME, \"a\" => b)"), []);
    assert_eq!(bare_names("a.rs", "counter!(\n    \"freefans_x\"\n)").len(), 1);
}

fn promtool(arguments: &[&str]) {
    let program = debian::find("promtool").expect(
        "there is no `promtool`: install Debian's package `prometheus`, as `cargo xtask test` does",
    );
    let folder = crate::paths::root().unwrap().join("docs/monitoring");
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_takes_the_rules_and_each_alert_fires_and_ends() {
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["check", "rules", "alerts.yml"]);
    promtool(&["test", "rules", "alerts_test.yml"]);
}

#[test]
fn prometheus_takes_every_expression_of_the_dashboard() {
    let dashboard = dashboard();
    let asked: Vec<_> = expressions(&dashboard)
        .into_iter()
        .filter(|text| !text.starts_with("label_values"))
        .collect();
    assert!(asked.len() > 30, "{asked:?}");
    // Prometheus has no command that parses an expression; it parses those of rules. JSON is YAML.
    let rule = |(number, expression): (usize, &&str)| {
        let expression = expression.replace("$task_type", ".*").replace("$__rate_interval", "5m");
        serde_json::json!({"record": format!("panel:{number}"), "expr": expression})
    };
    let rules: Vec<_> = asked.iter().enumerate().map(rule).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

fn dashboard() -> Value {
    let file = crate::paths::root().unwrap().join(DASHBOARD);
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// What Grafana needs to import it: its own fields, and in each panel a kind, a place and a source.
#[test]
fn the_dashboard_has_what_grafana_needs() {
    let dashboard = dashboard();
    for field in ["title", "uid", "schemaVersion", "time", "panels"] {
        assert!(!dashboard[field].is_null(), "{field}");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let of_kind = |kind: &str| variables.iter().find(|variable| variable["type"] == kind).unwrap();
    assert_eq!(of_kind("datasource")["query"], "prometheus");
    assert_eq!(of_kind("query")["datasource"]["uid"], "${datasource}");
    let mut ids = HashSet::new();
    let mut taken = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels with one id: {panel}");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        let x = place("x");
        let y = place("y");
        assert!(x + place("w") <= 24, "too wide: {panel}");
        for cell in (x..x + place("w")).flat_map(|x| (y..y + place("h")).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "two panels in one place: {panel}");
        }
        let kind = panel["type"].as_str().unwrap();
        assert!(["row", "stat", "table", "timeseries"].contains(&kind), "{kind}");
        if kind == "row" {
            continue;
        }
        let mut letters = HashSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{panel}");
        }
        assert!(!letters.is_empty(), "asks nothing: {panel}");
    }
}
