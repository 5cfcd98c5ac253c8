//! `coordinator queue limit`: how many tasks of a type may run, start, wait, and belong to one person.

use std::io::Write;

use queue::{Rate, TaskQueue, TaskType, TypeLimit};
use serde_json::json;

use super::outcome::Outcome;
use super::print;
use crate::config::rate_or_off;

/// Sets the limits that are given, and shows all of the type.
#[derive(Debug, clap::Args)]
pub(super) struct Limit {
    /// The task type.
    task_type: TaskType,
    /// Tasks that start in a time, retries included: `30/min`, `2/s`, `100/h` or `off`.
    #[arg(long, value_parser = RateOrOff::read)]
    rate: Option<RateOrOff>,
    /// Tasks that run at the same time on all workers, or `off`.
    #[arg(long, value_parser = NumberOrOff::read)]
    max_active: Option<NumberOrOff>,
    /// Tasks that wait, or `off` for the default. A submit beyond is refused.
    #[arg(long, value_parser = NumberOrOff::read)]
    max_pending: Option<NumberOrOff>,
    /// Unanswered tasks of one person, or `off` for the default. A submit beyond is refused.
    #[arg(long, value_parser = NumberOrOff::read)]
    user_cap: Option<NumberOrOff>,
}

#[derive(Debug, Clone, Copy)]
struct RateOrOff(Option<Rate>);

impl RateOrOff {
    fn read(text: &str) -> Result<Self, String> {
        rate_or_off(text).map(Self)
    }
}

#[derive(Debug, Clone, Copy)]
struct NumberOrOff(Option<u64>);

impl NumberOrOff {
    fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let number = text.parse().ok().filter(|number| *number > 0);
        number.map(|number| Self(Some(number))).ok_or_else(|| "it takes a number or `off`".into())
    }
}

impl Limit {
    pub(super) async fn run(
        self,
        queue: &TaskQueue,
        json: bool,
        out: &mut impl Write,
    ) -> anyhow::Result<Outcome> {
        let numbers = [
            (TypeLimit::MaxActive, self.max_active),
            (TypeLimit::MaxPending, self.max_pending),
            (TypeLimit::UserCap, self.user_cap),
        ];
        for (limit, number) in numbers {
            if let Some(NumberOrOff(most)) = number {
                queue.set_type_limit(&self.task_type, limit, most).await?;
            }
        }
        if let Some(RateOrOff(rate)) = self.rate {
            queue.set_rate_limit(&self.task_type, rate).await?;
        }
        let limits = queue.type_limits(&self.task_type).await?;
        if json {
            print::json(out, &json!({"task_type": self.task_type, "limits": limits}))?;
            return Ok(Outcome::Done);
        }
        let number = |most: Option<u64>, none: &str| {
            most.map_or_else(|| none.to_owned(), |most| most.to_string())
        };
        let rate = limits.rate.map_or_else(|| "off".to_owned(), |rate| rate.to_string());
        writeln!(out, "{}", self.task_type)?;
        writeln!(out, "  rate         {rate}")?;
        writeln!(out, "  max-active   {}", number(limits.max_active, "off"))?;
        writeln!(out, "  max-pending  {}", number(limits.max_pending, "default"))?;
        writeln!(out, "  user-cap     {}", number(limits.user_cap, "default"))?;
        Ok(Outcome::Done)
    }
}
