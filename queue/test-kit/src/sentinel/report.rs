//! The report of one sentinel: the master, replicas and other sentinels.

use std::collections::HashMap;

use crate::server::Server;

/// Flags of a healthy instance. Valkey keeps for a while that another sentinel thought the last master was down.
const WELL: &[&str] = &["slave", "sentinel", "sentinel,master_down"];

/// Flags of a healthy master without a failover in progress.
pub(super) const CALM: &str = "master";

/// The report of one sentinel.
#[derive(Debug)]
pub(super) struct Report {
    /// The port of the master that it names to clients.
    pub(super) master: u16,
    /// The epoch of the failover by which it became the master.
    pub(super) epoch: u64,
    /// The flags of the master, separated by commas.
    pub(super) flags: String,
    /// Ports and flags of replicas and other sentinels.
    others: Vec<(u16, String)>,
}

impl Report {
    /// Asks a sentinel.
    pub(super) fn of(sentinel: &Server) -> Result<Self, String> {
        let address = sentinel.talk(&["SENTINEL GET-MASTER-ADDR-BY-NAME main"])?;
        let master = words(&address).nth(1).and_then(|port| port.parse().ok());
        let about = records(&sentinel.talk(&["SENTINEL MASTER main"])?);
        let (Some(master), [about]) = (master, &*about) else {
            return Err(format!("the sentinel on port {} knows no master", sentinel.port()));
        };
        let others = sentinel.talk(&["SENTINEL REPLICAS main", "SENTINEL SENTINELS main"])?;
        let others = records(&others);
        let known = |other: &HashMap<String, String>| {
            (other["port"].parse().unwrap(), other["flags"].clone())
        };
        Ok(Self {
            master,
            epoch: about["config-epoch"].parse().unwrap(),
            flags: about["flags"].clone(),
            others: others.iter().map(known).collect(),
        })
    }

    /// Whether the replica or sentinel on a port is healthy.
    pub(super) fn sees(&self, port: u16) -> Result<(), String> {
        match self.others.iter().find(|(other, _)| *other == port) {
            Some((_, flags)) if WELL.contains(&&**flags) => Ok(()),
            Some((_, flags)) => Err(format!("the one on port {port} is {flags}")),
            None => Err(format!("the one on port {port} is not known")),
        }
    }
}

/// The strings in raw replies.
fn words(replies: &str) -> impl Iterator<Item = &str> {
    replies.lines().filter(|line| !line.starts_with(['*', '$']))
}

/// Lists of names and values; each begins with the name `name`.
fn records(replies: &str) -> Vec<HashMap<String, String>> {
    let mut records: Vec<HashMap<_, _>> = Vec::new();
    let words: Vec<&str> = words(replies).collect();
    for pair in words.chunks_exact(2) {
        if pair[0] == "name" {
            records.push(HashMap::new());
        }
        if let Some(record) = records.last_mut() {
            record.insert(pair[0].to_owned(), pair[1].to_owned());
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart() {
        let found = records(
            "*2\r\n*4\r\n$4\r\nname\r\n$1\r\na\r\n$5\r\nrunid\r\n$0\r\n\r\n\
             *2\r\n$4\r\nname\r\n$1\r\nb\r\n",
        );
        let names: Vec<_> = found.iter().map(|record| &*record["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(found[0]["runid"], "");
    }
}
