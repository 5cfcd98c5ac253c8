//! Files and the arrows between them.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::{greedy_feedback_arc_set, kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// Names and the arrows between them, without arrows from a name to itself.
#[derive(Debug)]
pub(super) struct Graph {
    graph: DiGraph<String, ()>,
}

impl Graph {
    pub(super) fn new(
        names: impl IntoIterator<Item = String>,
        arrows: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut graph = DiGraph::new();
        let names: BTreeSet<String> = names.into_iter().collect();
        let nodes: BTreeMap<String, NodeIndex> =
            names.into_iter().map(|name| (name.clone(), graph.add_node(name))).collect();
        for (from, to) in arrows {
            if let (Some(from), Some(to)) = (nodes.get(&from), nodes.get(&to))
                && from != to
            {
                graph.update_edge(*from, *to, ());
            }
        }
        Self { graph }
    }

    pub(super) fn files(&self) -> usize {
        self.graph.node_count()
    }

    pub(super) fn arrows(&self) -> usize {
        self.graph.edge_count()
    }

    pub(super) fn all_arrows(&self) -> Vec<(&str, &str)> {
        let edges = self.graph.edge_references();
        let mut arrows: Vec<_> =
            edges.map(|edge| (self.name(edge.source()), self.name(edge.target()))).collect();
        arrows.sort_unstable();
        arrows
    }

    pub(super) fn arrows_within(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let mut arrows = self.all_arrows();
        arrows.retain(|(from, to)| names.contains(from) && names.contains(to));
        arrows
    }

    /// The names that reach each other, largest group first.
    pub(super) fn circles(&self) -> Vec<Vec<&str>> {
        let groups = kosaraju_scc(&self.graph).into_iter().filter(|group| group.len() > 1);
        let named = groups.map(|group| {
            let mut names: Vec<&str> = group.into_iter().map(|node| self.name(node)).collect();
            names.sort_unstable();
            names
        });
        let mut circles: Vec<_> = named.collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    /// The graph of rooms: a top-level file and the folder of the same name are one room.
    pub(super) fn rooms(&self) -> Self {
        let names = self.graph.node_weights().map(|name| room(name));
        let arrows = self.all_arrows();
        let arrows = arrows.into_iter().map(|(from, to)| (room(from), room(to)));
        Self::new(names.collect::<Vec<_>>(), arrows)
    }

    pub(super) fn arrows_back_up(&self) -> usize {
        greedy_feedback_arc_set(&self.graph).count()
    }

    pub(super) fn longest_chain(&self) -> usize {
        self.floors().len()
    }

    /// The names by the length of the longest chain below them. Arrows back up are left out.
    pub(super) fn floors(&self) -> Vec<Vec<&str>> {
        let mut downwards = self.graph.clone();
        let back_up: BTreeSet<_> =
            greedy_feedback_arc_set(&self.graph).map(|edge| edge.id()).collect();
        downwards.retain_edges(|_, edge| !back_up.contains(&edge));
        // Without circles there is an order.
        let order = toposort(&downwards, None).unwrap_or_default();
        let mut floor_of: BTreeMap<NodeIndex, usize> = BTreeMap::new();
        let mut floors: Vec<Vec<&str>> = Vec::new();
        for node in order.into_iter().rev() {
            let below = downwards.neighbors(node).filter_map(|next| floor_of.get(&next));
            let floor = below.max().map_or(0, |below| below + 1);
            floor_of.insert(node, floor);
            if floors.len() <= floor {
                floors.resize_with(floor + 1, Vec::new);
            }
            floors.get_mut(floor).into_iter().for_each(|row| row.push(self.name(node)));
        }
        floors.iter_mut().for_each(|row| row.sort_unstable());
        floors
    }

    fn name(&self, node: NodeIndex) -> &str {
        self.graph.node_weight(node).map_or("", String::as_str)
    }
}

/// `send/limits.rs` and `send.rs` belong to `send`.
fn room(file: &str) -> String {
    let first = file.split('/').next().unwrap_or(file);
    first.trim_end_matches(".rs").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &str)]) -> Graph {
        let names = arrows.iter().flat_map(|(from, to)| [*from, *to]).map(str::to_owned);
        let arrows = arrows.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        Graph::new(names.collect::<Vec<_>>(), arrows)
    }

    #[test]
    fn circles_are_found_and_the_rest_left_out() {
        let graph = graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]);
        assert_eq!(graph.circles(), [["b", "c"]]);
        assert_eq!(graph.arrows_back_up(), 1);
        assert_eq!(graph.longest_chain(), 4);
    }

    #[test]
    fn a_folder_and_its_file_are_one_room() {
        let graph = graph(&[("send/limits.rs", "send.rs"), ("lib.rs", "send/limits.rs")]);
        let rooms = graph.rooms();
        assert_eq!(rooms.all_arrows(), [("lib", "send")]);
        assert_eq!(rooms.longest_chain(), 2);
    }
}
