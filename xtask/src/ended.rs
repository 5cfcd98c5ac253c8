//! How many tasks of some types have ended, as the queue counts them.

use anyhow::bail;

use crate::redis::Connection;

/// The lanes of some types, and where their counters are.
pub(crate) struct Ended {
    lanes: Vec<Lane>,
}

struct Lane {
    /// The hash with its counters.
    key: String,
    /// The server that has it, once one has answered.
    server: Option<usize>,
}

impl Ended {
    /// `partitions` is the number of each type; 1 for none.
    pub(crate) fn of(types: &[String], partitions: u16) -> Self {
        let lanes = types.iter().flat_map(|name| {
            let parts = (0..partitions).map(move |part| format!("{name}.{part}"));
            let whole = (partitions == 1).then(|| name.clone());
            parts.filter(move |_| partitions > 1).chain(whole)
        });
        let key = |lane| format!("freefans:tasks:meta:{{{lane}}}");
        Self { lanes: lanes.map(|lane| Lane { key: key(lane), server: None }).collect() }
    }

    /// Asks the servers; one of several for each lane.
    pub(crate) fn count(&mut self, servers: &mut [Connection]) -> anyhow::Result<u64> {
        let mut ended = 0;
        for lane in &mut self.lanes {
            ended += lane.count(servers)?;
        }
        Ok(ended)
    }
}

impl Lane {
    fn count(&mut self, servers: &mut [Connection]) -> anyhow::Result<u64> {
        let question = ["HGET", &*self.key, "completed"];
        for (place, server) in servers.iter_mut().enumerate() {
            if self.server.is_some_and(|known| known != place) {
                continue;
            }
            match server.ask_number(&question) {
                Ok(number) => {
                    self.server = Some(place);
                    return Ok(number);
                }
                // Another node of the Cluster has it.
                Err(error) if format!("{error:#}").contains("MOVED") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no server has `{}`", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_one_lane_or_its_partitions() {
        let types = ["a".to_owned(), "b".to_owned()];
        let keys = |partitions| -> Vec<String> {
            Ended::of(&types, partitions).lanes.into_iter().map(|lane| lane.key).collect()
        };
        assert_eq!(keys(1), ["freefans:tasks:meta:{a}", "freefans:tasks:meta:{b}"]);
        let parts =
            ["a.0", "a.1", "b.0", "b.1"].map(|lane| format!("freefans:tasks:meta:{{{lane}}}"));
        assert_eq!(keys(2), parts);
    }
}
