//! `[swap]`: what a candidate must be and do before it is in force, and how carefully it is let in.

use queue::TaskType;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How a new version of a plugin comes into force.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapConfig {
    /// The only component that is taken: its SHA-256 in hex.
    pub digest: Option<String>,
    /// A task that a candidate must answer well.
    pub trial: Option<Trial>,
    /// While a new version is watched it gets this share of the tasks, in percent, and the one before the rest; all
    /// without it.
    pub canary_percent: Option<u8>,
    /// The least share of the data in force that a new version must have, 0 to 1; 0 takes any.
    pub keep_data_at_least: f64,
}

impl Default for SwapConfig {
    /// Half of the data: a catalogue that is edited by hand loses less than that at once, and one that was cut off or
    /// misread usually more.
    fn default() -> Self {
        Self { digest: None, trial: None, canary_percent: None, keep_data_at_least: 0.5 }
    }
}

/// A task that a candidate must answer well before it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its type.
    pub task_type: TaskType,
    /// Its params.
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

    /// Whether a component with this SHA-256 may be in force.
    pub(crate) fn takes(&self, digest: &str) -> bool {
        self.digest.as_deref().is_none_or(|pinned| pinned == digest)
    }
}
