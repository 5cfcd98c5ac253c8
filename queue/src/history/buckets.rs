//! Counts of finished tasks by minute and by hour: how many, how they ended, and how long they took.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::task::{FailureCode, TaskStatus, TaskType};

/// Upper bounds of a histogram's first buckets are 1, 2, 4, … ms; the last bucket has no bound. 2^17 ms is 131 s, more than a task's
/// whole time.
pub const HISTOGRAM_BUCKETS: usize = 19;
/// Types that are counted one by one. Those of the shipped plugins and some of others; the rest are counted together.
const MAX_TYPES: usize = 64;
/// In place of the type, for the rest.
const REST: &str = "-";
/// In place of a code that this version does not know.
const OTHER_CODE: &str = "other";

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Kept for a day.
    Minute,
    /// Kept for 31 days.
    Hour,
}

impl Span {
    /// In ms.
    pub fn ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }

    /// How long its buckets are kept, in ms.
    pub fn kept_ms(self) -> u64 {
        match self {
            Self::Minute => 24 * 3_600_000,
            Self::Hour => 31 * 24 * 3_600_000,
        }
    }

    /// The letter in the key.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Minute => 'm',
            Self::Hour => 'h',
        }
    }
}

/// How many tasks took how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Histogram(pub [u64; HISTOGRAM_BUCKETS]);

impl Histogram {
    /// The number of the bucket that a time belongs to.
    fn bucket(ms: u64) -> usize {
        let bits = u64::BITS - ms.saturating_sub(1).leading_zeros();
        usize::try_from(bits).unwrap_or(usize::MAX).min(HISTOGRAM_BUCKETS - 1)
    }

    /// How many times it holds.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The upper bound, in ms, of the bucket that holds the quantile, for instance 0.99. None when it holds nothing. The last bucket
    /// has no bound; twice that of the one before it stands for it.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = (quantile.clamp(0.0, 1.0) * total as f64).ceil().max(1.0);
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            seen as f64 >= rank
        });
        Some(1 << at.unwrap_or(HISTOGRAM_BUCKETS - 1))
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

/// Finished tasks of one type in one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TypeCounts {
    /// With an answer.
    pub completed: u64,
    /// Failed for good.
    pub failed: u64,
    /// Their deadline passed.
    pub timeout: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Attempts that failed and were followed by another.
    pub retried: u64,
    /// Failed tasks by code.
    pub codes: BTreeMap<String, u64>,
    /// From the submit to the beginning of the last attempt.
    pub wait: Histogram,
    /// The last attempt.
    pub run: Histogram,
    /// From the submit to the end.
    pub total: Histogram,
}

impl TypeCounts {
    /// All that ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed + self.timeout + self.cancelled
    }

    /// Adds those of another bucket or type.
    pub fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.timeout += other.timeout;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        for (code, count) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        self.wait.add(&other.wait);
        self.run.add(&other.run);
        self.total.add(&other.total);
    }
}

/// Finished tasks of one minute or hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// When it begins, in ms since 1970.
    pub at: u64,
    /// By task type. Types beyond the first 64 are counted together as `-`.
    pub types: BTreeMap<String, TypeCounts>,
}

impl Bucket {
    /// Reads the fields of a stored bucket. Those that this version cannot read are left out.
    pub(super) fn read(at: u64, fields: &HashMap<Vec<u8>, Vec<u8>>) -> Self {
        let mut bucket = Self { at, types: BTreeMap::new() };
        for (field, count) in fields {
            let Ok(field) = str::from_utf8(field) else { continue };
            let count = str::from_utf8(count).ok().and_then(|count| count.parse::<u64>().ok());
            let Some(count) = count else { continue };
            let mut words = field.split('|');
            let (Some(task_type), Some(kind), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let counts = bucket.types.entry(task_type.to_owned()).or_default();
            let histogram = match kind {
                "w" => &mut counts.wait,
                "r" => &mut counts.run,
                "t" => &mut counts.total,
                "c" => {
                    counts.codes.insert(name.to_owned(), count);
                    continue;
                }
                "s" => {
                    match name {
                        "completed" => counts.completed = count,
                        "failed" => counts.failed = count,
                        "timeout" => counts.timeout = count,
                        "cancelled" => counts.cancelled = count,
                        "retrying" => counts.retried = count,
                        _ => {}
                    }
                    continue;
                }
                _ => continue,
            };
            if let Some(slot) = name.parse().ok().and_then(|at: usize| histogram.0.get_mut(at)) {
                *slot = count;
            }
        }
        bucket
    }
}

/// Counts that are not in Redis yet.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_type: HashMap<TaskType, TypeCounts>,
    rest: TypeCounts,
}

impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.by_type.is_empty()
    }

    fn of(&mut self, task_type: &TaskType) -> &mut TypeCounts {
        if !self.by_type.contains_key(task_type) {
            if self.by_type.len() >= MAX_TYPES {
                return &mut self.rest;
            }
            self.by_type.insert(task_type.clone(), TypeCounts::default());
        }
        self.by_type.entry(task_type.clone()).or_default()
    }

    pub(super) fn retried(&mut self, task_type: &TaskType) {
        self.of(task_type).retried += 1;
    }

    /// `times` are, in ms: from the submit to the last attempt, that attempt, and all together.
    pub(super) fn ended(
        &mut self,
        task_type: &TaskType,
        status: TaskStatus,
        code: Option<&str>,
        times: (Option<u64>, Option<u64>, u64),
    ) {
        let counts = self.of(task_type);
        match status {
            TaskStatus::Completed => counts.completed += 1,
            TaskStatus::Failed => counts.failed += 1,
            TaskStatus::Timeout => counts.timeout += 1,
            TaskStatus::Cancelled => counts.cancelled += 1,
            TaskStatus::Pending | TaskStatus::Processing | TaskStatus::Retrying => {}
        }
        if let Some(code) = code {
            let known = code.parse::<FailureCode>().map_or(OTHER_CODE, FailureCode::as_str);
            *counts.codes.entry(known.to_owned()).or_default() += 1;
        }
        let (wait, run, total) = times;
        for (histogram, ms) in
            [(&mut counts.wait, wait), (&mut counts.run, run), (&mut counts.total, Some(total))]
        {
            let slot = ms.and_then(|ms| histogram.0.get_mut(Histogram::bucket(ms)));
            if let Some(slot) = slot {
                *slot += 1;
            }
        }
    }

    /// The fields to add to a bucket, as [`Bucket::read`] reads them.
    pub(super) fn fields(&self) -> Vec<(String, u64)> {
        let types = self.by_type.iter().map(|(task_type, counts)| (task_type.as_str(), counts));
        let mut fields = Vec::new();
        for (task_type, counts) in types.chain([(REST, &self.rest)]) {
            let statuses = [
                ("completed", counts.completed),
                ("failed", counts.failed),
                ("timeout", counts.timeout),
                ("cancelled", counts.cancelled),
                ("retrying", counts.retried),
            ];
            fields
                .extend(statuses.map(|(status, count)| (format!("{task_type}|s|{status}"), count)));
            let codes = counts.codes.iter();
            fields.extend(codes.map(|(code, count)| (format!("{task_type}|c|{code}"), *count)));
            for (kind, histogram) in [("w", &counts.wait), ("r", &counts.run), ("t", &counts.total)]
            {
                let buckets = histogram.0.iter().enumerate();
                fields.extend(
                    buckets.map(|(at, count)| (format!("{task_type}|{kind}|{at}"), *count)),
                );
            }
        }
        fields.retain(|(_, count)| *count > 0);
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        for (ms, bucket) in
            [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (131_072, 17), (131_073, 18)]
        {
            assert_eq!(Histogram::bucket(ms), bucket, "{ms}");
        }
        assert_eq!(Histogram::bucket(u64::MAX), 18);
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.0[2] = 98;
        histogram.0[7] = 2;
        assert_eq!(histogram.quantile(0.5), Some(4));
        assert_eq!(histogram.quantile(0.98), Some(4));
        assert_eq!(histogram.quantile(0.99), Some(128));
        assert_eq!(histogram.quantile(0.0), Some(4));
    }

    #[test]
    fn counts_read_back_and_the_number_of_types_is_bounded() {
        let mut counts = Counts::default();
        let a: TaskType = "a".parse().unwrap();
        counts.ended(&a, TaskStatus::Failed, Some("trap"), (Some(3), Some(9), 12));
        counts.ended(&a, TaskStatus::Failed, Some("a code of later"), (None, None, 12));
        counts.retried(&a);
        for number in 0..100 {
            let task_type = format!("t{number}").parse().unwrap();
            counts.ended(&task_type, TaskStatus::Completed, None, (Some(1), Some(1), 2));
        }
        let stored = |(field, count): (String, u64)| (field.into_bytes(), count.to_string().into());
        let mut stored: HashMap<Vec<u8>, Vec<u8>> =
            counts.fields().into_iter().map(stored).collect();
        // What somebody else wrote costs only itself.
        stored.insert(b"a|s|failed|more".to_vec(), b"x".to_vec());
        stored.insert(vec![0xff], b"1".to_vec());
        stored.insert(b"a|s|completed".to_vec(), b"many".to_vec());
        let bucket = Bucket::read(60_000, &stored);
        let a = &bucket.types["a"];
        assert_eq!((a.failed, a.retried, a.ended()), (2, 1, 2));
        assert_eq!((a.codes["trap"], a.codes["other"]), (1, 1));
        assert_eq!((a.wait.0[2], a.run.0[4], a.total.0[4]), (1, 1, 2));
        assert_eq!(bucket.types.len(), 65);
        assert_eq!(bucket.types["-"].completed, 37);
    }
}
