//! Whether a trusted signature covers the settings that were pushed with a plugin: then their grants count.
//!
//! Only the bytes, the name and the settings are looked at. The plugin's own version and its age are compared when it is
//! loaded, as for every plugin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use queue::fleet::{Record, Signatures};

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

    /// What this worker makes of signatures.
    pub(super) fn signatures(&self) -> Signatures {
        match (self.policy.is_active(), self.policy.is_required()) {
            (false, _) => Signatures::Ignored,
            (true, false) => Signatures::Checked,
            (true, true) => Signatures::Required,
        }
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

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;
    use crate::digest::sha256_hex;
    use crate::trust::comment::CoveredSettings;
    use crate::trust::key::TrustedKey;

    const COMPONENT: &[u8] = b"\0asm something";
    const SETTINGS: &str = "[grants]\ncache = true\n";

    struct Signer(KeyPair);

    impl Signer {
        fn new() -> Self {
            Self(KeyPair::generate_unencrypted_keypair().unwrap())
        }

        fn coverage(&self, required: bool) -> Coverage {
            let key = TrustedKey::parse(&self.0.pk.to_base64()).unwrap();
            Coverage::new(Policy::new(vec![key], required))
        }

        /// A record of the plugin `a`, signed as covering `settings`.
        fn record(&self, settings: &str) -> Record {
            let comment = format!("freefans-plugin name=a version=1.0.0 settings={settings}");
            let Self(pair) = self;
            let signed = minisign::sign(Some(&pair.pk), &pair.sk, COMPONENT, Some(&comment), None);
            record(Some(signed.unwrap().into_string()))
        }
    }

    fn record(signature: Option<String>) -> Record {
        let digest = sha256_hex(COMPONENT);
        Record { digest, settings: SETTINGS.to_owned(), signature, ..Record::default() }
    }

    fn answer(coverage: &Coverage, plugin: &str, record: &Record) -> Result<bool, String> {
        let component = if record.digest == sha256_hex(COMPONENT) { COMPONENT } else { b"other" };
        coverage.of(plugin, record, || Some(component.to_vec())).unwrap()
    }

    #[test]
    fn settings_count_only_under_a_trusted_signature_that_names_them() {
        let key = Signer::new();
        let digest = CoveredSettings::of(SETTINGS).to_string();
        let signed = key.record(&digest);
        for required in [false, true] {
            assert_eq!(answer(&key.coverage(required), "a", &signed), Ok(true));
            assert_eq!(answer(&key.coverage(required), "a", &key.record("any")), Ok(false));
        }
        assert_eq!(answer(&key.coverage(false), "a", &record(None)), Ok(false));
        assert_eq!(answer(&Coverage::new(Policy::default()), "a", &signed), Ok(false));
        let unsigned = answer(&key.coverage(true), "a", &record(None)).unwrap_err();
        assert!(unsigned.contains("is not signed"), "{unsigned}");
        let foreign = answer(&Signer::new().coverage(false), "a", &signed).unwrap_err();
        assert!(foreign.contains("is not trusted here"), "{foreign}");
        // Without the component nothing is known, and nothing is remembered.
        let coverage = key.coverage(true);
        assert_eq!(coverage.of("a", &signed, || None), None);
        assert_eq!(answer(&coverage, "a", &signed), Ok(true));
    }

    #[test]
    fn a_remembered_answer_is_for_this_name_component_settings_and_signature_alone() {
        let key = Signer::new();
        let coverage = key.coverage(false);
        let signed = key.record(&CoveredSettings::of(SETTINGS).to_string());
        assert_eq!(answer(&coverage, "a", &signed), Ok(true));
        assert_eq!(answer(&coverage, "a", &signed), Ok(true));
        for (plugin, other, words) in [
            ("b", signed.clone(), "its file is b.wasm"),
            ("a", Record { digest: sha256_hex(b"other"), ..signed.clone() }, "does not match"),
            ("a", Record { settings: String::new(), ..signed.clone() }, "missing or empty"),
            (
                "a",
                Record { signature: Some("x".to_owned()), ..signed.clone() },
                "minisign's format",
            ),
        ] {
            let problem = answer(&coverage, plugin, &other).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        assert_eq!(answer(&coverage, "a", &record(None)), Ok(false));
    }
}
