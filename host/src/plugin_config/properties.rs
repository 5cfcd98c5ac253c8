//! Any text in the place of a settings file: read or refused, never beyond the server's limits, never with a secret in
//! what it says.

use proptest::prelude::*;
use test_kit::mutate;

use super::*;

const SEED: &str = include_str!("../../tests/corpus/settings.toml");
const KEY: &str = "s3cret-k3y";

fn environment(name: &str) -> Option<String> {
    match name {
        "FORUM_KEY" => Some(KEY.to_owned()),
        "FORUM_URL" => Some("https://forum.example".to_owned()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn settings_are_within_the_servers_limits_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6),
    ) {
        let text = String::from_utf8_lossy(&mutate(SEED.as_bytes(), &changes)).into_owned();
        let ceilings = Ceilings::default();
        match PluginConfig::parse(&text, Path::new("/plugins"), &ceilings, &environment) {
            Ok(config) => {
                prop_assert!(config.limits.memory_bytes <= ceilings.memory_bytes);
                let printed = format!("{config:?}");
                prop_assert!(!printed.contains(KEY), "a secret is printed");
            }
            Err(problem) => {
                prop_assert!(!problem.is_empty());
                prop_assert!(!problem.contains(KEY), "{}", problem);
            }
        }
    }
}
