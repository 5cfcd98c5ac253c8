//! Which node of a Cluster owns which slot, and which slot a command belongs to.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Arg, Cmd, Value};

/// Slots of a Cluster (its specification).
const SLOTS: u16 = 16_384;

/// A node's host and port.
pub(super) type Node = (String, u16);

/// The owners of slots, as one node reports them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    /// Last slot of a range → first slot and master.
    ranges: BTreeMap<u16, (u16, Node)>,
    /// Masters and replicas.
    nodes: BTreeSet<Node>,
    /// Slots that have moved since the report.
    moved: BTreeMap<u16, Node>,
    /// Grows with every failover that the node has seen.
    epoch: u64,
}

impl SlotMap {
    /// Reads the reply of the node `sender` to `CLUSTER SLOTS` (ranges, each with its first and last slot, its master, and its
    /// replicas) and `CLUSTER INFO`. None when no range can be read, or when the node sees too few others.
    pub(super) fn read(slots: &Value, info: &str, sender: &Node) -> Option<Self> {
        let Value::Array(ranges) = slots else { return None };
        let field = |name| info.lines().find_map(|line| line.trim().strip_prefix(name));
        if field("cluster_state:") != Some("ok") {
            return None;
        }
        let epoch = field("cluster_current_epoch:").and_then(|epoch| epoch.parse().ok());
        let mut map = Self { epoch: epoch.unwrap_or_default(), ..Self::default() };
        for range in ranges {
            let Value::Array(range) = range else { continue };
            let [Value::Int(first), Value::Int(last), nodes @ ..] = range.as_slice() else {
                continue;
            };
            let nodes: Vec<Node> =
                nodes.iter().filter_map(|node| read_node(node, sender)).collect();
            let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else {
                continue;
            };
            if let Some(master) = nodes.first() {
                map.ranges.insert(last, (first, master.clone()));
                map.nodes.extend(nodes);
            }
        }
        (!map.ranges.is_empty()).then_some(map)
    }

    /// The master that owns a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        self.moved.get(&slot).or_else(|| {
            let (_, (first, master)) = self.ranges.range(slot..).next()?;
            (*first <= slot).then_some(master)
        })
    }

    /// Records that a slot moved to a node.
    pub(super) fn moved(&mut self, slot: u16, to: Node) {
        self.nodes.insert(to.clone());
        self.moved.insert(slot, to);
    }

    /// The epoch of the report: a higher one is newer.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn masters(&self) -> BTreeSet<&Node> {
        self.ranges.values().map(|(_, master)| master).collect()
    }

    pub(super) fn nodes(&self) -> &BTreeSet<Node> {
        &self.nodes
    }
}

/// A host and a port. An empty host stands for the node that sent the reply.
fn read_node(node: &Value, sender: &Node) -> Option<Node> {
    let Value::Array(node) = node else { return None };
    let [host, Value::Int(port), ..] = node.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) if host.as_slice() == b"?" => return None,
        Value::BulkString(host) if !host.is_empty() => String::from_utf8_lossy(host).into_owned(),
        _ => sender.0.clone(),
    };
    Some((host, u16::try_from(*port).ok()?))
}

/// The slot of a key: that of the hash tag in its first braces, if it has one.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

/// The slot of a command's first key. All keys of a command that this crate sends share a slot.
pub(super) fn slot_of_command(command: &Cmd) -> Option<u16> {
    let mut words = command.args_iter().filter_map(|arg| match arg {
        Arg::Simple(word) => Some(word),
        _ => None,
    });
    let name = words.next()?.to_ascii_uppercase();
    let key = match name.as_slice() {
        // `EVALSHA script count key` and `XGROUP CREATE key`.
        b"EVALSHA" | b"EVAL" => words.nth(2),
        b"XGROUP" => words.nth(1),
        b"XREAD" | b"XREADGROUP" => {
            words.find(|word| word.eq_ignore_ascii_case(b"STREAMS")).and_then(|_| words.next())
        }
        _ => words.next(),
    };
    key.map(slot_of)
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), text("an-id"), Value::Array(Vec::new())])
    }

    fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
    }

    const INFO: &str = "cluster_state:ok\r\ncluster_current_epoch:6\r\n";

    #[test]
    fn every_slot_has_the_owner_in_the_reply() {
        let sender = ("sender".to_owned(), 1);
        let answer = Value::Array(vec![
            range(0, 99, vec![node(text("a"), 7), node(text("replica"), 8)]),
            range(200, 16_383, vec![node(text(""), 9)]),
            range(100, 150, vec![node(Value::Nil, 10)]),
        ]);
        let mut map = SlotMap::read(&answer, INFO, &sender).unwrap();
        assert_eq!(map.epoch(), 6);
        let owner =
            |map: &SlotMap, slot| map.owner(slot).map(|(host, port)| format!("{host}:{port}"));
        assert_eq!(owner(&map, 0).as_deref(), Some("a:7"));
        assert_eq!(owner(&map, 99).as_deref(), Some("a:7"));
        assert_eq!(owner(&map, 100).as_deref(), Some("sender:10"));
        assert_eq!(owner(&map, 151), None);
        assert_eq!(owner(&map, 16_383).as_deref(), Some("sender:9"));
        assert!(map.nodes().contains(&("replica".to_owned(), 8)));
        assert!(!map.masters().contains(&("replica".to_owned(), 8)));
        map.moved(5, ("b".to_owned(), 7));
        assert_eq!(owner(&map, 5).as_deref(), Some("b:7"));
        assert_eq!(owner(&map, 6).as_deref(), Some("a:7"));
    }

    #[test]
    fn an_invalid_map_is_refused() {
        let sender = ("sender".to_owned(), 1);
        for answer in [Value::Nil, Value::Array(Vec::new()), range(0, 1, vec![text("x")])] {
            assert_eq!(SlotMap::read(&answer, INFO, &sender), None);
        }
        let whole = Value::Array(vec![range(0, 16_383, vec![node(text("a"), 7)])]);
        assert_eq!(SlotMap::read(&whole, "cluster_state:fail\r\n", &sender), None);
    }

    /// The figures are those that `CLUSTER KEYSLOT` gives.
    #[test]
    fn a_key_has_the_slot_that_redis_gives_it() {
        for (key, slot) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{foo}bar", 12_182),
            ("a{foo}{bar}", 12_182),
            ("foo{}{bar}", 8_363),
            ("", 0),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }

    #[test]
    fn a_command_has_the_slot_of_its_first_key() {
        let read = |group: bool| {
            let mut command = cmd(if group { "XREADGROUP" } else { "XREAD" });
            if group {
                command.arg("GROUP").arg("g").arg("c");
            }
            command.arg("COUNT").arg(1).arg("STREAMS").arg("foo").arg(">");
            command
        };
        let commands = [
            cmd("GET").arg("foo").clone(),
            cmd("EVALSHA").arg("hash").arg(1).arg("foo").arg("argument").clone(),
            cmd("XGROUP").arg("CREATE").arg("foo").arg("g").clone(),
            read(true),
            read(false),
        ];
        for command in commands {
            assert_eq!(slot_of_command(&command), Some(12_182), "{command:?}");
        }
        assert_eq!(slot_of_command(&cmd("PING")), None);
    }
}
