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
fn a_trace_is_told_to_no_server_that_no_request_may_reach() {
    let net = "[grants]\nnet = [\"https://a.example\", \"https://b.example\"]\n";
    let granted = |config: PluginConfig| config.granted().into_iter().collect::<Vec<_>>();
    let both = ["net https://a.example:443", "net https://b.example:443"];
    assert_eq!(granted(parse(net).unwrap()), both);
    let told = parse(&format!("{net}trace = [\"https://B.example:443\"]")).unwrap();
    assert_eq!(granted(told)[2], "trace https://b.example:443");
    let error = parse(&format!("{net}trace = [\"https://c.example\"]")).unwrap_err();
    assert!(error.contains("https://c.example:443 is not in `net`"), "{error}");
    assert!(parse("[grants]\ntrace = [\"https://a.example\"]").is_err());
    // A variable that is not set grants nothing, here as there.
    let unset = parse("[grants]\nnet = [\"${NOT}\"]\ntrace = [\"${NOT}\"]").unwrap();
    assert!(granted(unset).is_empty());
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
fn how_much_of_the_data_a_swap_keeps_is_a_share_of_it() {
    let share = |text: &str| parse(text).map(|config| config.swap.keep_data_at_least);
    let set = |value: &str| share(&format!("[swap]\nkeep_data_at_least = {value}"));
    assert_eq!(share(""), Ok(0.5));
    assert_eq!(set("0.0"), Ok(0.0));
    assert_eq!(set("0.9"), Ok(0.9));
    for value in ["-0.1", "1.1", "50.0", "nan"] {
        let error = set(value).unwrap_err();
        assert!(error.contains("must be 0 to 1"), "{value}: {error}");
    }
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

/// The settings of a plugin with a service that it may do without, whose variables hold these values.
#[test]
fn a_secret_may_be_in_a_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let with = |optional: bool, name: &str, variables: &[(&str, &str)]| {
        let text = format!(
            "[[secrets]]\nhost = \"https://forum.example\"\nheader = \"Api-Key\"\nenv = \"{name}\"\noptional = {optional}"
        );
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        PluginConfig::parse(&text, Path::new("/plugins"), &Ceilings::default(), &environment)
    };
    let path = file.display().to_string();
    let named = [("FORUM_KEY_FILE", path.as_str())];
    assert!(
        with(false, "FORUM_KEY", &named).unwrap_err().contains("`FORUM_KEY_FILE`: cannot read")
    );
    let optional = with(true, "FORUM_KEY", &named).unwrap();
    assert!(optional.secrets.is_empty() && optional.remarks[0].contains("cannot read"));
    std::fs::write(&file, "k3y\n").unwrap();
    let config = with(false, "FORUM_KEY", &named).unwrap();
    assert_eq!(config.secrets[0].value.expose(), "k3y");
    let both = [named[0], ("FORUM_KEY", "k3y")];
    assert!(with(false, "FORUM_KEY", &both).unwrap_err().contains("both set"));
    // Files of our own that happen to have such a name.
    for (name, variable) in [("PRIVACY", "PRIVACY_FILE"), ("REGISTRY_AUTH", "REGISTRY_AUTH_FILE")] {
        let problem = with(false, name, &[(variable, path.as_str())]).unwrap_err();
        assert!(problem.contains("is not set"), "{problem}");
    }
}

fn with_service(url: Option<&str>, key: Option<&str>) -> Result<PluginConfig, String> {
    let text = "[grants]\nnet = [\"${URL}\"]\n[config]\nurl = \"${URL}\"\n[[secrets]]\nhost = \"${URL}\"\nheader = \"Api-Key\"\nenv = \"KEY\"\noptional = true";
    let environment = |name: &str| match name {
        "URL" => url.map(str::to_owned),
        "KEY" => key.map(str::to_owned),
        _ => None,
    };
    PluginConfig::parse(text, Path::new("/plugins"), &Ceilings::default(), &environment)
}

#[test]
fn a_variable_that_cannot_be_used_costs_what_asks_for_it_and_is_told_without_its_value() {
    for url in [
        "forum.example",
        "ftp://a.example",
        "https://u:pa55@a.example/x",
        "https://a.example?pa55",
        "no address",
    ] {
        let config = with_service(Some(url), Some("k3y")).unwrap();
        assert_eq!(config.net.as_ref().unwrap().origins().count(), 0, "{url}");
        assert!(config.secrets.is_empty());
        assert_eq!(config.settings["url"], url, "the plugin says what is wrong with it");
        let [remark] = config.remarks.as_slice() else { panic!("{:?}", config.remarks) };
        assert!(remark.starts_with("`URL` is no address") && !remark.contains("pa55"), "{remark}");
    }
    let config = with_service(Some("https://a.example"), Some("k3\u{1}y")).unwrap();
    assert!(config.secrets.is_empty() && config.net.unwrap().origins().count() == 1);
    assert_eq!(
        config.remarks,
        ["the value of `KEY` cannot be sent as a header, so requests go without it"]
    );
    let config = with_service(None, Some("k3y")).unwrap();
    assert_eq!(config.remarks, ["`KEY` is set and goes nowhere, for `URL` is not set"]);
}

#[test]
fn a_service_in_a_folder_of_its_host_is_granted_with_its_key() {
    for url in ["https://a.example/community/", "https://a.example", " https://a.example/ "] {
        let config = with_service(Some(url), Some(" k3y\n")).unwrap();
        let origins: Vec<_> =
            config.net.as_ref().unwrap().origins().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.example:443"]);
        assert_eq!(config.secrets[0].value.expose(), "k3y");
        assert!(config.remarks.is_empty(), "{:?}", config.remarks);
    }
    assert!(with_service(None, None).unwrap().remarks.is_empty());
}

#[test]
fn an_address_in_the_file_itself_is_refused_when_it_is_wrong() {
    let error = parse("[grants]\nnet = [\"https://a.example/x\"]").unwrap_err();
    assert!(error.contains("write only `https://host`"), "{error}");
}
