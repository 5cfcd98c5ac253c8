//! Where an operator sets a limit.

use super::Limit;
use crate::plugin_config::Limits;

/// A limit that was reached, with its number and its key in the settings of `plugin`, for its author and the operator.
pub(crate) fn describe(limit: Limit, limits: &Limits, plugin: &str) -> String {
    let code = limit.code();
    let code = code.as_str();
    let keys: Vec<String> =
        keys(limit, limits).iter().map(|(key, value)| format!("{key} = {value}")).collect();
    if keys.is_empty() {
        return format!("limit reached ({code}): it is the same for all plugins and not a setting");
    }
    let keys = keys.join(", ");
    let or = match limit {
        Limit::Input => ", or less, because the schema of its params is heavy",
        Limit::Wall => ", or the task's own deadline",
        _ => "",
    };
    format!(
        "limit reached ({code}): `{keys}` under [limits] in {plugin}.toml{or}; need less, or raise it there"
    )
}

/// The keys that set a limit, and their values in force.
fn keys(limit: Limit, limits: &Limits) -> Vec<(&'static str, u128)> {
    let count = u128::from;
    let kib = |bytes: usize| (bytes >> 10) as u128;
    match limit {
        Limit::Wall => vec![("wall_ms", limits.wall.as_millis())],
        Limit::Cpu => vec![("cpu_ms", limits.cpu.as_millis())],
        Limit::Memory => vec![("max_memory_mb", (limits.memory_bytes >> 20) as u128)],
        Limit::Table => vec![("max_table_elements", limits.table_elements as u128)],
        Limit::Stack => Vec::new(),
        Limit::Handles => vec![("max_handles", limits.handles as u128)],
        Limit::HostCall => vec![("max_hostcall_kb", kib(limits.hostcall_bytes))],
        Limit::Input => vec![("max_input_kb", kib(limits.input_bytes))],
        Limit::Output => vec![("max_output_kb", kib(limits.output_bytes))],
        Limit::Log => {
            vec![("max_log_lines", count(limits.log_lines)), ("max_log_kb", kib(limits.log_bytes))]
        }
        Limit::Requests => vec![("max_http_requests", count(limits.http_requests))],
        Limit::RequestBody => vec![("max_http_request_kb", kib(limits.http_request_bytes))],
        Limit::ResponseBody => vec![("max_http_response_kb", kib(limits.http_response_bytes))],
        Limit::Cache => vec![
            ("max_cache_calls", count(limits.cache_calls)),
            ("max_cache_entry_kb", kib(limits.cache_entry_bytes)),
            ("max_cache_kb", kib(limits.cache_bytes)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plugin_config::PluginConfig;
    use crate::plugin_config::limits::default_limits;

    #[test]
    fn each_limit_is_told_with_the_key_that_sets_it_and_its_number() {
        let limits = PluginConfig::nothing_granted().limits;
        let mut settings: BTreeMap<&str, i64> = default_limits().collect();
        for limit in Limit::ALL {
            let told = describe(limit, &limits, "tide");
            assert!(told.starts_with(&format!("limit reached ({}): ", limit.code().as_str())));
            for (key, value) in keys(limit, &limits) {
                assert_eq!(settings.remove(key).map(i128::from), i128::try_from(value).ok());
                assert!(told.contains(&format!("{key} = {value}")) && told.contains("tide.toml"));
            }
        }
        assert_eq!(settings, BTreeMap::new(), "settings of no limit");
    }
}
