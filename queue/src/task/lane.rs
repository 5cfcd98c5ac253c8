//! Lanes: each has its own queue, and in a Cluster its own slot.
//!
//! A task type is one lane, unless the operator partitions it because it is too much for one Redis. Then its users are spread
//! over several lanes. A user's tasks stay in one lane, where their order, fair share and limit are enforced.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::task::task_type::{InvalidTaskType, TaskType};

/// A task type, or one partition of it. Written `TYPE` or `TYPE.PARTITION`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    task_type: TaskType,
    partition: Option<u16>,
}

impl Lane {
    /// The lane of a type without partitions. In a partitioned type, it has the tasks of producers that do not partition.
    pub fn whole(task_type: &TaskType) -> Self {
        Self { task_type: task_type.clone(), partition: None }
    }

    /// The lane of one user's tasks, for a type with `partitions` partitions.
    pub fn of_person(task_type: &TaskType, partitions: u16, user_id: i64) -> Self {
        if partitions < 2 {
            return Self::whole(task_type);
        }
        // Hashed first, because user ids are not evenly distributed.
        let mixed = Uuid::new_v5(&Uuid::NAMESPACE_OID, &user_id.to_be_bytes()).as_u128();
        let partition = u16::try_from(mixed % u128::from(partitions)).unwrap_or(0);
        Self { task_type: task_type.clone(), partition: Some(partition) }
    }

    /// All lanes of a type with `partitions` partitions, except [`Lane::whole`].
    pub fn all_of(task_type: &TaskType, partitions: u16) -> impl Iterator<Item = Self> {
        let some = if partitions < 2 { 0 } else { partitions };
        (0..some).map(|number| Self { task_type: task_type.clone(), partition: Some(number) })
    }

    /// The task type.
    pub fn task_type(&self) -> &TaskType {
        &self.task_type
    }

    /// The partition; none for [`Lane::whole`].
    pub fn partition(&self) -> Option<u16> {
        self.partition
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            None => write!(out, "{}", self.task_type),
            Some(partition) => write!(out, "{}.{partition}", self.task_type),
        }
    }
}

impl FromStr for Lane {
    type Err = InvalidTaskType;

    fn from_str(name: &str) -> Result<Self, InvalidTaskType> {
        // Only the canonical form: `a.01` would be another key for the same partition.
        let split = name.split_once('.').and_then(|(task_type, written)| {
            let number = written.parse::<u16>().ok()?;
            (number.to_string() == written).then_some((task_type, number))
        });
        match split {
            Some((task_type, partition)) => {
                Ok(Self { task_type: task_type.parse()?, partition: Some(partition) })
            }
            None => Ok(Self { task_type: name.parse()?, partition: None }),
        }
    }
}

/// For each lane, the indexes of its items in a list. Computed once, because parsing a lane from an id has a cost.
pub(crate) fn indexes_by_lane(lanes: impl Iterator<Item = Lane>) -> BTreeMap<Lane, Vec<usize>> {
    let mut indexes: BTreeMap<Lane, Vec<usize>> = BTreeMap::new();
    for (index, lane) in lanes.enumerate() {
        indexes.entry(lane).or_default().push(index);
    }
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_spread_evenly_and_each_stays() {
        let search: TaskType = "search".parse().unwrap();
        let mut counts = [0_u32; 4];
        for user in 0..4_000 {
            let lane = Lane::of_person(&search, 4, user);
            assert_eq!(lane, Lane::of_person(&search, 4, user));
            counts[usize::from(lane.partition().unwrap())] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(Lane::of_person(&search, 1, 7), Lane::whole(&search));
    }

    #[test]
    fn a_lane_is_written_and_read() {
        for name in ["search", "search.0", "search.12"] {
            assert_eq!(name.parse::<Lane>().unwrap().to_string(), name);
        }
        for junk in ["", "search.", "search.01", "search.-1", "search.70000", "Search.1", "a.1.2"] {
            assert!(junk.parse::<Lane>().is_err(), "{junk}");
        }
    }
}
