//! Lanes: what has a queue of its own, and in a Cluster a slot of its own.
//!
//! A task type is one lane, unless the operator divides it because one Redis cannot carry it: then its people are spread
//! over several. A person's tasks stay in one lane, where their order, share and limit hold.

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
    /// A type that is not divided, or what is left of a divided one: tasks of producers that know of no partitions.
    pub fn whole(task_type: &TaskType) -> Self {
        Self { task_type: task_type.clone(), partition: None }
    }

    /// The lane of one person's tasks when the type has so many partitions.
    pub fn of_person(task_type: &TaskType, partitions: u16, user_id: i64) -> Self {
        if partitions < 2 {
            return Self::whole(task_type);
        }
        // Ids of people are given out in order and end alike in places: mixed before they are divided.
        let mixed = Uuid::new_v5(&Uuid::NAMESPACE_OID, &user_id.to_be_bytes()).as_u128();
        let partition = u16::try_from(mixed % u128::from(partitions)).unwrap_or(0);
        Self { task_type: task_type.clone(), partition: Some(partition) }
    }

    /// All lanes of a type that has so many partitions, but for [`Lane::whole`].
    pub fn all_of(task_type: &TaskType, partitions: u16) -> impl Iterator<Item = Self> {
        let some = if partitions < 2 { 0 } else { partitions };
        (0..some).map(|number| Self { task_type: task_type.clone(), partition: Some(number) })
    }

    /// The type.
    pub fn task_type(&self) -> &TaskType {
        &self.task_type
    }

    /// Which partition; none for a type that is not divided.
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
        // Only as it is written: `a.01` would be another key for the same partition.
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

/// The indexes of each lane's items in a list. Computed once, since parsing a lane from an id has a cost.
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
