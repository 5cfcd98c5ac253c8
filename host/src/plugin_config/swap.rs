//! `[swap]`: the conditions under which a new version comes into force.

use queue::TaskType;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How a new version of a plugin comes into force.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapConfig {
    /// The only accepted component: its SHA-256 in hex.
    pub digest: Option<String>,
    /// A task that a candidate must complete.
    pub trial: Option<Trial>,
    /// The share of tasks, in percent, that a new version gets while it is watched; the previous version gets the rest.
    /// Without it a new version gets all.
    pub canary_percent: Option<u8>,
    /// The smallest share of the data in force that a new version must have, 0 to 1. 0 accepts any.
    pub keep_data_at_least: f64,
}

impl Default for SwapConfig {
    /// Half of the data: an edit by hand removes less, and a truncated or misread file usually lacks more.
    fn default() -> Self {
        Self { digest: None, trial: None, canary_percent: None, keep_data_at_least: 0.5 }
    }
}

/// A task that a candidate must complete before it comes into force.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The task type.
    pub task_type: TaskType,
    /// The task's params.
    pub params: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSwap {
    digest: Option<String>,
    trial: Option<RawTrial>,
    canary_percent: Option<u8>,
    keep_data_at_least: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrial {
    task_type: String,
    #[serde(default)]
    params: Map<String, Value>,
}

impl SwapConfig {
    pub(super) fn from_raw(raw: RawSwap) -> Result<Self, String> {
        let digest = raw.digest.map(|digest| {
            let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex.then(|| digest.to_ascii_lowercase()).ok_or_else(|| {
                format!("swap: `{digest}` is not a SHA-256 in hex; `sha256sum NAME.wasm` prints it")
            })
        });
        let trial = raw.trial.map(|trial| {
            let task_type = trial.task_type.parse();
            let task_type = task_type.map_err(|error| format!("swap: the trial's {error}"))?;
            Ok::<_, String>(Trial { task_type, params: trial.params })
        });
        if let Some(percent) = raw.canary_percent
            && !(1..=100).contains(&percent)
        {
            return Err(format!("swap: canary_percent = {percent} must be 1 to 100"));
        }
        let share = raw.keep_data_at_least.unwrap_or(Self::default().keep_data_at_least);
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("swap: keep_data_at_least = {share} must be 0 to 1"));
        }
        Ok(Self {
            keep_data_at_least: share,
            digest: digest.transpose()?,
            trial: trial.transpose()?,
            canary_percent: raw.canary_percent,
        })
    }

    /// Whether a component with this SHA-256 may come into force.
    pub(crate) fn accepts(&self, digest: &str) -> bool {
        self.digest.as_deref().is_none_or(|pinned| pinned == digest)
    }
}
