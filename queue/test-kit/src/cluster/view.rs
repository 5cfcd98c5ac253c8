//! The view of one node of a cluster: itself and the others.

use std::ops::RangeInclusive;

/// The view of one node at one moment.
#[derive(Debug)]
pub(super) struct View {
    /// Whether the node thinks that the cluster works.
    pub(super) ok: bool,
    /// Whether the node, if it is a replica, follows its master.
    pub(super) linked: bool,
    /// By port.
    pub(super) members: Vec<Member>,
}

/// A node, as another one sees it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) port: u16,
    /// The master of a replica.
    pub(super) master: Option<String>,
    /// The claim with the highest epoch owns a slot.
    epoch: u64,
    /// Known, connected and not suspected.
    pub(super) well: bool,
    slots: Vec<RangeInclusive<u16>>,
}

impl View {
    /// The commands whose replies make a view.
    pub(super) const QUESTIONS: &[&str] = &["CLUSTER INFO", "CLUSTER NODES", "INFO replication"];

    /// Reads the answers to [`View::QUESTIONS`].
    pub(super) fn parse(answers: &str) -> Self {
        let mut members: Vec<Member> = answers.lines().filter_map(Member::parse).collect();
        members.sort_unstable_by_key(|member| member.port);
        Self {
            ok: answers.contains("cluster_state:ok"),
            linked: !answers.contains("master_link_status:down"),
            members,
        }
    }

    /// The epoch and the port of a slot's master. A node that has just restarted may know a master without its address, which
    /// it writes as port 0.
    pub(super) fn claim(&self, slot: u16) -> Option<(u64, u16)> {
        let owner = self.members.iter().find(|member| member.has(slot) && member.port != 0)?;
        Some((owner.epoch, owner.port))
    }

    /// How many slots have a master.
    pub(super) fn covered(&self) -> usize {
        self.members.iter().flat_map(|member| &member.slots).map(ExactSizeIterator::len).sum()
    }

    pub(super) fn member(&self, port: u16) -> Option<&Member> {
        self.members.iter().find(|member| member.port == port)
    }

    /// The replicas of the node on a port.
    pub(super) fn replicas(&self, port: u16) -> impl Iterator<Item = &Member> {
        let id = self.member(port).map(|member| &member.id);
        self.members.iter().filter(move |member| id.is_some() && member.master.as_ref() == id)
    }

    /// Whether another node's view has the same masters, replicas and slots.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(mine, its)| {
                (mine.port, &mine.master, &mine.slots) == (its.port, &its.master, &its.slots)
            })
    }
}

impl Member {
    /// A line of CLUSTER NODES: id, ip:port@bus, flags, master, ping, pong, epoch, link, slots.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [id, address, flags, master, _ping, _pong, epoch, link, slots @ ..] = &*fields else {
            return None;
        };
        let (_, port) = address.split_once('@')?.0.rsplit_once(':')?;
        let unwell = ["fail", "fail?", "handshake", "noaddr"];
        Some(Self {
            id: (*id).to_owned(),
            port: port.parse().ok()?,
            master: (*master != "-").then(|| (*master).to_owned()),
            epoch: epoch.parse().ok()?,
            well: *link == "connected" && !flags.split(',').any(|flag| unwell.contains(&flag)),
            slots: slots.iter().filter_map(|slots| range(slots)).collect(),
        })
    }

    fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|slots| slots.contains(&slot))
    }

    /// Whether it is master for any slot.
    pub(super) fn serves(&self) -> bool {
        !self.slots.is_empty()
    }
}

/// `1-5` or `7`; not `[93->-…]`, a moving slot, which its owner also lists among its ranges.
fn range(slots: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &str = "$20\r\ncluster_state:ok\r\ncluster_known_nodes:3\r\n\r\n$300\r\n\
        aa 127.0.0.1:11001@21001 myself,master - 0 0 1 connected 0-5 7 [7->-bb]\n\
        bb 127.0.0.1:11002@21002,name master,fail? - 0 0 2 connected 6 8-16383\n\
        cc 127.0.0.1:11003@21003 slave aa 0 0 1 disconnected\n\r\n\
        $50\r\n# Replication\r\nrole:master\r\n\r\n";

    #[test]
    fn a_view_tells_who_has_what() {
        let view = View::parse(ANSWERS);
        assert!(view.ok && view.linked);
        assert_eq!(view.covered(), 16384);
        assert_eq!(view.claim(7), Some((1, 11001)));
        assert_eq!(view.claim(8), Some((2, 11002)));
        let replicas: Vec<u16> = view.replicas(11001).map(|replica| replica.port).collect();
        assert_eq!(replicas, [11003]);
        assert_eq!(view.replicas(11009).count(), 0);
        let well: Vec<bool> = view.members.iter().map(|member| member.well).collect();
        assert_eq!(well, [true, false, false]);
    }
}
