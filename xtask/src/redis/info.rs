//! What Redis counts of itself.

use std::collections::BTreeMap;

use anyhow::Context;

use super::connection::Connection;

/// The counters at one moment, or between two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Info {
    /// Processor time of the server, in µs.
    pub(crate) cpu_us: f64,
    /// Commands that were run, those inside scripts and scripts themselves included.
    pub(crate) commands: u64,
    /// How often the server read from a connection: commands that arrive together count once, so this is the number of
    /// round trips.
    pub(crate) reads: u64,
    /// Bytes that the data takes.
    pub(crate) memory: u64,
    /// Calls of each command.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Info {
    pub(crate) fn of(connection: &mut Connection) -> anyhow::Result<Self> {
        let text = connection.ask(&["INFO", "everything"])?;
        Self::parse(&text).context("reading what `INFO` says")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut calls = BTreeMap::new();
        let mut fields = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.trim_end().split_once(':')) {
            if let Some(command) = name.strip_prefix("cmdstat_") {
                let number = value.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
                calls.insert(command.to_owned(), number);
            } else {
                fields.insert(name, value);
            }
        }
        let number = |name: &str| fields.get(name)?.parse::<f64>().ok();
        let count = |name: &str| fields.get(name)?.parse::<u64>().ok();
        Some(Self {
            cpu_us: (number("used_cpu_user")? + number("used_cpu_sys")?) * 1e6,
            commands: count("total_commands_processed")?,
            reads: count("total_reads_processed")?,
            memory: count("used_memory")?,
            calls,
        })
    }

    /// What was added since an earlier moment; the memory is today's.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut calls = self.calls.clone();
        for (name, number) in &mut calls {
            *number = number.saturating_sub(earlier.calls.get(name).copied().unwrap_or(0));
        }
        calls.retain(|_, number| *number > 0);
        Self {
            cpu_us: self.cpu_us - earlier.cpu_us,
            commands: self.commands.saturating_sub(earlier.commands),
            reads: self.reads.saturating_sub(earlier.reads),
            memory: self.memory,
            calls,
        }
    }

    /// The sum for several servers.
    pub(crate) fn plus(mut self, other: Self) -> Self {
        for (name, number) in other.calls {
            *self.calls.entry(name).or_default() += number;
        }
        self.cpu_us += other.cpu_us;
        self.commands += other.commands;
        self.reads += other.reads;
        self.memory += other.memory;
        self
    }

    /// Calls of scripts and functions.
    pub(crate) fn scripts(&self) -> u64 {
        let calls = |name: &&str| self.calls.get(*name).copied().unwrap_or(0);
        ["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"].iter().map(calls).sum()
    }

    /// Without so many questions that the measuring asked itself, each in a round trip of its own.
    pub(crate) fn without(mut self, own: u64) -> Self {
        self.commands = self.commands.saturating_sub(own);
        self.reads = self.reads.saturating_sub(own);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLIER: &str = "# Server\r\nredis_version:7.0.15\r\nused_memory:100\r\nused_cpu_sys:0.5\r\nused_cpu_user:1.0\r\n\
        total_commands_processed:10\r\ntotal_reads_processed:4\r\n\
        cmdstat_get:calls=5,usec=20,usec_per_call=4.00\r\ncmdstat_evalsha:calls=2,usec=9\r\n";
    const LATER: &str = "used_memory:300\r\nused_cpu_sys:0.5\r\nused_cpu_user:1.25\r\n\
        total_commands_processed:30\r\ntotal_reads_processed:10\r\n\
        cmdstat_get:calls=5,usec=20\r\ncmdstat_evalsha:calls=8,usec=9\r\n";

    #[test]
    fn counters_are_compared() {
        let earlier = Info::parse(EARLIER).unwrap();
        let between = Info::parse(LATER).unwrap().since(&earlier).without(2);
        assert!((between.cpu_us - 250_000.0).abs() < 1.0);
        assert_eq!((between.commands, between.reads, between.memory), (18, 4, 300));
        assert_eq!(between.scripts(), 6);
        assert!(!between.calls.contains_key("get"));
    }

    #[test]
    fn several_servers_are_added() {
        let one = Info::parse(EARLIER).unwrap();
        let both = one.clone().plus(Info::parse(LATER).unwrap());
        assert_eq!((both.commands, both.memory, both.scripts()), (40, 400, 10));
        assert_eq!(Info::parse("nothing"), None);
    }
}
