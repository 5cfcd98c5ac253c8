//! Whether a trusted signature covers the settings that were pushed with a plugin: then their grants count.
//!
//! Only the bytes, the name and the settings are looked at. The plugin's own version and its age are compared when it is
//! loaded, as for every plugin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use queue::fleet::Record;

use crate::metrics;
use crate::trust::{Policy, Signed};

/// Most answers that are remembered; then all are forgotten.
const MAX_KNOWN: usize = 1_024;

/// Answers by component, settings and signature. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Coverage {
    policy: Policy,
    known: Arc<Mutex<BTreeMap<Question, Result<bool, String>>>>,
}

type Question = (String, String, String, Option<String>);

impl Coverage {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, known: Arc::default() }
    }

    /// Whether a trusted signature covers the settings of `record`, or why the record is refused. None when the component
    /// is needed to tell and `component` does not have it.
    pub(super) fn of(
        &self,
        plugin: &str,
        record: &Record,
        component: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Result<bool, String>> {
        if !self.policy.is_active() {
            return Some(Ok(false));
        }
        let Record { digest, settings, signature, .. } = record;
        let question = (plugin.to_owned(), digest.clone(), settings.clone(), signature.clone());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(&question) {
            return Some(answer.clone());
        }
        let component = component()?;
        let signed = Signed {
            plugin,
            component: &component,
            settings,
            signature: signature.as_deref(),
            declared: None,
            remembered: None,
            from_archive: true,
        };
        let answer = match self.policy.check(&signed) {
            Ok(verdict) => Ok(verdict.covers_settings()),
            Err(refusal) => {
                metrics::plugin_looked_at(refusal.code());
                Err(refusal.to_string())
            }
        };
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(question, answer.clone());
        Some(answer)
    }
}
