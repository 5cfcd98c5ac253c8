//! `cargo xtask structure`: how the files of each crate import each other.
//!
//! The modules are read from the source ([`modules`]), their imports become a graph ([`graph`]).

mod graph;
mod imports;
mod modules;

use std::path::Path;

use anyhow::Context;

use crate::violation::Violation;
use crate::workspace::Workspace;
use graph::Graph;
use modules::Modules;

/// Prints files, arrows, circles and the longest chain of each crate.
///
/// An arrow leads from a file to another of the same crate whose items it names; tests and re-exports do not count.
/// Files in a circle import each other, directly or through others. A room is a module at the top of the crate, with
/// all below it. Arrows back up are the fewest (by a greedy search) that must go before no rooms are in a circle; the
/// longest chain is counted in rooms.
#[derive(Debug, clap::Args)]
pub(crate) struct Structure {
    /// Show each circle, the rooms by floor and the arrows between them, of this crate alone.
    #[arg(value_name = "CRATE")]
    package: Option<String>,
}

impl Structure {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let crates = read(&Workspace::load(root)?)?;
        println!(
            "{:<12} {:>5} {:>6}  {:<16} {:>5} {:>12} {:>13}",
            "crate", "files", "arrows", "circles of files", "rooms", "back up", "longest chain"
        );
        let wanted = |name: &str| self.package.as_ref().is_none_or(|package| package == name);
        for (name, graph) in crates.iter().filter(|(name, _)| wanted(name)) {
            let circles = graph.circles();
            let sizes: Vec<String> =
                circles.iter().map(|circle| circle.len().to_string()).collect();
            let sizes = if sizes.is_empty() { "0".to_owned() } else { sizes.join(", ") };
            let rooms = graph.rooms();
            println!(
                "{name:<12} {:>5} {:>6}  {sizes:<16} {:>5} {:>12} {:>13}",
                graph.files(),
                graph.arrows(),
                rooms.files(),
                rooms.arrows_back_up(),
                rooms.longest_chain()
            );
            if self.package.is_some() {
                print_details(graph, &rooms, &circles);
            }
        }
        Ok(())
    }
}

fn print_details(graph: &Graph, rooms: &Graph, circles: &[Vec<&str>]) {
    for circle in circles {
        println!("\ncircle of {} files", circle.len());
        for (from, to) in graph.arrows_within(circle) {
            println!("  {from} -> {to}");
        }
    }
    println!();
    for (floor, names) in rooms.floors().iter().enumerate().rev() {
        println!("floor {floor:>2}  {}", names.join(", "));
    }
    println!();
    for (from, to) in rooms.all_arrows() {
        println!("{from} -> {to}");
    }
}

/// Finds circles of files, for `cargo xtask tidy`.
pub(crate) fn circles(workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (name, graph) in read(workspace)? {
        for circle in graph.circles() {
            let what = format!("files import each other in a circle: {}", circle.join(", "));
            let to_do = format!(
                "move what they share into a module of its own (`cargo xtask structure {name}`)"
            );
            violations.push(Violation::new(format!("`{name}`"), what, to_do));
        }
    }
    Ok(violations)
}

/// The graph of each member of the workspace that has code of its own.
fn read(workspace: &Workspace) -> anyhow::Result<Vec<(String, Graph)>> {
    let mut crates = Vec::new();
    for member in workspace.members() {
        let sources = member.manifest.with_file_name("src");
        let modules = Modules::read(&sources, &member.name)
            .with_context(|| format!("reading the modules of `{}`", member.name))?;
        let graph = Graph::new(modules.files(), imports::all(&modules));
        crates.push((member.name.clone(), graph));
    }
    Ok(crates)
}
