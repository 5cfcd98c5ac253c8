//! The settings of the messages to administrators.

use std::time::Duration;

use crate::alerts::quiet_hours::QuietHours;
use crate::alerts::settings::AlertSettings;

/// What administrators are told, and when.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AlertFlags {
    /// Tell the administrators (`ADMIN_IDS`) in the chat when something is wrong, and when it is over.
    #[arg(long, env = "ALERTS", default_value = "on", value_parser = ["on", "off"])]
    alerts: String,
    /// How often is looked, in seconds. What is wrong at two looks in a row is told.
    #[arg(long, env = "ALERT_LOOK_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    alert_look_seconds: u64,
    /// An unanswered task that is older is told, in seconds.
    #[arg(long, env = "ALERT_OLDEST_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    alert_oldest_seconds: u64,
    /// So many waiting tasks of a type are told.
    #[arg(long, env = "ALERT_WAITING", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    alert_waiting: u64,
    /// Hours in which only what is urgent is told: `22:00-07:00` (UTC), or with a zone `22:00-07:00+02:00`. The rest is told
    /// afterwards, if it is still so.
    #[arg(long, env = "ALERT_QUIET_HOURS")]
    alert_quiet_hours: Option<QuietHours>,
}

impl AlertFlags {
    pub(super) fn settings(&self, admins: &[i64]) -> AlertSettings {
        let on = self.alerts == "on";
        AlertSettings {
            admins: if on { admins.to_vec() } else { Vec::new() },
            look_every: Duration::from_secs(self.alert_look_seconds),
            oldest: Duration::from_secs(self.alert_oldest_seconds),
            waiting: self.alert_waiting,
            quiet: self.alert_quiet_hours,
        }
    }
}
