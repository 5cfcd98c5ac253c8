//! What is varied: one thing at a time, from the same middle.

/// How the queue is used in one measurement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// What is varied.
    pub(super) varied: &'static str,
    /// The value, for the table.
    pub(super) value: String,
    pub(super) workers: usize,
    /// Of each task type.
    pub(super) partitions: u16,
    /// Three masters instead of one server.
    pub(super) cluster: bool,
    /// Types that each worker offers.
    pub(super) types: usize,
    /// Types of the tasks, among those offered.
    pub(super) types_used: usize,
    pub(super) waiting: u64,
    /// Whether Redis keeps a log of all writes.
    pub(super) log: bool,
    pub(super) valkey: bool,
}

/// The middle: one worker, one type, one Redis without a log.
fn middle(varied: &'static str, value: &impl ToString) -> Setting {
    Setting {
        varied,
        value: value.to_string(),
        workers: 1,
        partitions: 1,
        cluster: false,
        types: 1,
        types_used: 1,
        waiting: 50_000,
        log: false,
        valkey: false,
    }
}

/// All settings, in the order of the table. `most_waiting` leaves out larger backlogs.
pub(super) fn all(most_waiting: u64) -> Vec<Setting> {
    let mut settings = Vec::new();
    for workers in [1, 2, 4, 8] {
        settings.push(Setting { workers, ..middle("workers", &workers) });
    }
    for partitions in [1, 2, 4] {
        settings.push(Setting {
            partitions,
            workers: 2,
            ..middle("partitions, two workers", &partitions)
        });
    }
    for partitions in [1, 4] {
        let varied = "partitions on a Cluster of three, two workers";
        settings.push(Setting {
            partitions,
            cluster: true,
            workers: 2,
            ..middle(varied, &partitions)
        });
    }
    for types in [1, 20, 100] {
        settings.push(Setting { types, ..middle("types offered, tasks of one", &types) });
    }
    for types in [20, 100] {
        settings.push(Setting {
            types,
            types_used: types,
            ..middle("types offered, tasks of all", &types)
        });
    }
    for waiting in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        if waiting <= most_waiting {
            settings.push(Setting { waiting, ..middle("tasks waiting", &waiting) });
        }
    }
    for log in [false, true] {
        let value = if log { "flushed every second" } else { "none" };
        settings.push(Setting { log, ..middle("log of writes", &value) });
    }
    for valkey in [false, true] {
        let value = if valkey { "Valkey" } else { "Redis" };
        settings.push(Setting { valkey, ..middle("server", &value) });
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_differs_from_the_middle_in_what_it_says() {
        let settings = all(1_000_000);
        let mut names: Vec<String> =
            settings.iter().map(|it| format!("{} {}", it.varied, it.value)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), settings.len());
        assert!(settings.iter().all(|setting| setting.types_used <= setting.types));
        assert!(all(1_000).iter().all(|setting| setting.waiting <= 50_000));
    }
}
