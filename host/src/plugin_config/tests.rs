use std::time::Duration;

use super::*;

fn parse(text: &str) -> Result<PluginConfig, String> {
    let environment = |name: &str| (name == "FORUM_KEY").then(|| "k3y".to_owned());
    PluginConfig::parse(text, Path::new("/plugins"), &Ceilings::default(), &environment)
}

#[test]
fn an_empty_file_grants_nothing() {
    let config = parse("").unwrap();
    assert!(config.net.is_none());
    assert!(config.data.is_empty());
    assert!(!config.cache);
    assert_eq!(config.limits.wall, Duration::from_secs(30));
}

#[test]
fn data_paths_are_relative_to_the_file() {
    let config = parse("[grants]\ndata = { creators = \"data/creators.csv\" }").unwrap();
    assert_eq!(config.data["creators"], Path::new("/plugins/data/creators.csv"));
}

#[test]
fn a_misspelt_key_is_refused_with_its_place() {
    let error = parse("[grants]\nnett = []").unwrap_err();
    assert!(error.contains("nett"), "{error}");
    assert!(error.contains('2'), "{error}");
}

#[test]
fn a_limit_above_the_servers_ceiling_is_refused() {
    let error = parse("[limits]\nmax_memory_mb = 100000").unwrap_err();
    assert!(error.contains("max_memory_mb = 100000"), "{error}");
    assert!(error.contains("ceiling of 512"), "{error}");
    let error = parse("[limits]\nmax_handles = 20000").unwrap_err();
    assert!(error.contains("max_handles = 20000 is above this server's ceiling"), "{error}");
    let error = parse("[limits]\nmax_input_kb = 0").unwrap_err();
    assert!(error.contains("max_input_kb must be above 0"), "{error}");
}

#[test]
fn a_setting_from_a_variable_that_is_not_set_is_no_setting() {
    let config =
        parse("[config]\nurl = \"${MISSING}\"\nkey = \"${FORUM_KEY}\"\npage_size = 10").unwrap();
    assert_eq!(config.settings.get("url"), None);
    assert_eq!(config.settings["key"], "k3y");
    assert_eq!(config.settings["page_size"], "10");
}

#[test]
fn a_missing_secret_is_named_and_a_present_one_does_not_print() {
    let secret = |env: &str| {
        format!(
            "[[secrets]]\nhost = \"https://forum.example\"\nheader = \"Api-Key\"\nenv = \"{env}\""
        )
    };
    let error = parse(&secret("MISSING")).unwrap_err();
    assert!(error.contains("`MISSING` is not set"), "{error}");
    let config = parse(&secret("FORUM_KEY")).unwrap();
    assert!(!format!("{config:?}").contains("k3y"));
    assert_eq!(config.secrets[0].value.expose(), "k3y");
}
