//! What each plugin may reach and use, as the workers tell it, and where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use queue::{PluginFacts, WorkerFacts, WorkerRecord};

use crate::dashboard::words::{count, number, short};

/// Plugins that are shown in full. The page stays small.
const SHOWN: usize = 20;
/// Entries of one list, folders, and names of workers that are shown.
const LISTED: usize = 20;

/// The workers that run a plugin, by what they tell of it.
type Told<'a> = BTreeMap<Option<&'a PluginFacts>, Vec<&'a WorkerRecord>>;

/// One card with a part for each plugin; `only` one of them if it is named.
pub(super) fn card(workers: &[WorkerRecord], only: &str) -> Markup {
    let mut plugins: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for worker in workers {
        for plugin in worker.plugins.iter().filter(|plugin| only.is_empty() || plugin.name == only)
        {
            let facts = worker.facts.as_ref().and_then(|facts| facts.plugins.get(&plugin.name));
            plugins.entry(&plugin.name).or_default().entry(facts).or_default().push(worker);
        }
    }
    let left_out = plugins.len().saturating_sub(SHOWN);
    html! {
        @if !plugins.is_empty() {
            section .card {
                h2 { "What each plugin may reach" }
                p .soft { "As its settings are in force on the workers. Secrets are named only. Nothing else can be reached." }
                @for (name, told) in plugins.iter().take(SHOWN) {
                    h3 #{ "reach-" (name) } { (short(name, 64)) }
                    @for (facts, workers) in told { (part(name, *facts, workers, told.len() > 1)) }
                }
                @if left_out > 0 { p .soft { (count(left_out as u64, "more plugin is", "more plugins are")) " not shown; its name in the table above leads there." } }
            }
        }
    }
}

fn part(
    name: &str,
    facts: Option<&PluginFacts>,
    workers: &[&WorkerRecord],
    differ: bool,
) -> Markup {
    let Some(facts) = facts else {
        return html! {
            p { "Not told by " (names(workers)) ": the release is older, or there are too many plugins." }
        };
    };
    let lists = [
        ("Requests to", &facts.net),
        ("Told the trace", &facts.trace),
        ("Secrets, sent as headers", &facts.secrets),
        ("Data files", &facts.data),
        ("Variables", &facts.variables),
    ];
    html! {
        @if differ { p { "On " (names(workers)) ":" } }
        dl .facts {
            @for (label, list) in lists { @if !list.is_empty() { dt { (label) } dd { (entries(list)) } } }
            @if facts.net.is_empty() { dt { "Requests to" } dd { "nobody" } }
            dt { "Cache" } dd { @if facts.cache { "yes" } @else { "no" } }
            @if facts.left_out > 0 { dt { "Not told" } dd { (count(facts.left_out as u64, "more entry", "more entries")) } }
            dt { "Comes from" } dd { @if facts.is_fleets { "the fleet" } @else { (own(name, workers)) } }
        }
        details {
            summary { "Limits of one task of " (short(name, 64)) }
            ul .columns { @for (limit, most) in facts.limits.iter().take(LISTED) { li { code { (short(limit, 40)) } " " (number(*most)) } } }
        }
    }
}

fn entries(list: &[String]) -> Markup {
    html! {
        @for (index, entry) in list.iter().take(LISTED).enumerate() {
            @if index > 0 { br; }
            (short(entry, 200))
        }
        @if list.len() > LISTED { br; "and " (list.len() - LISTED) " more" }
    }
}

fn names(workers: &[&WorkerRecord]) -> Markup {
    let count = count(workers.len() as u64, "worker", "workers");
    let some: Vec<String> =
        workers.iter().take(3).map(|worker| short(&worker.worker, 60)).collect();
    html! { (count) " (" (some.join(", ")) @if workers.len() > some.len() { ", …" } ")" }
}

/// The folders that it lies in, each with the command that goes back there.
fn own(name: &str, workers: &[&WorkerRecord]) -> Markup {
    let folders: BTreeSet<_> =
        workers.iter().filter_map(|worker| worker.facts.as_ref()).map(Folder::of).collect();
    html! {
        @for folder in folders.iter().take(LISTED) {
            div { "the folder " code { (short(folder.plugins, 200)) } " on " (short(folder.host, 80)) }
            @if let Some(command) = folder.rollback(name) {
                div .soft { "To go back to the last good version before, run there:" }
                code .copy { (command) }
            } @else { div .soft { "That worker keeps no earlier versions: it has no plugin cache." } }
        }
        @if folders.len() > LISTED { div { "and " (folders.len() - LISTED) " more" } }
    }
}

/// A plugin folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Folder<'a> {
    host: &'a str,
    plugins: &'a str,
    cache: Option<&'a str>,
}

impl<'a> Folder<'a> {
    fn of(facts: &'a WorkerFacts) -> Self {
        let plugins = facts.plugin_folder.as_deref().unwrap_or("plugins");
        Self { host: &facts.host, plugins, cache: facts.plugin_cache.as_deref() }
    }

    /// The command for a shell on its server.
    fn rollback(&self, name: &str) -> Option<String> {
        let [name, plugins, cache] = [name, self.plugins, self.cache?].map(quoted);
        Some(format!("worker plugins rollback {name} --plugins {plugins} --plugin-cache {cache}"))
    }
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    // A worker's record could hold a line break, which would begin another command.
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_for_a_shell_whatever_the_folders_are_called() {
        let folder = |plugins, cache| Folder { host: "a", plugins, cache };
        assert_eq!(
            folder("/srv/plugins", Some("/var/cache/x")).rollback("search").unwrap(),
            "worker plugins rollback search --plugins /srv/plugins --plugin-cache /var/cache/x"
        );
        assert_eq!(
            folder("/a b;\nid", Some("it's")).rollback("$(id)").unwrap(),
            r"worker plugins rollback '$(id)' --plugins '/a b;id' --plugin-cache 'it'\''s'"
        );
        assert_eq!(folder("/srv/plugins", None).rollback("search"), None);
    }
}
