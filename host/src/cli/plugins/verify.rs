//! `worker plugins verify`.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::output::Format;
use super::signature::read_signature;
use super::{folders, sign};
use crate::cli::flags::{CacheFlag, TrustedKeys};
use crate::trust::{Declared, Policy, Refusal, Signed, Verdict};
use crate::version::name::stem;

/// Checks a plugin's signature as a worker that requires one does, and says what it covers. What a worker has accepted
/// before is not known here.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The component. Its signature and its settings are beside it.
    file: PathBuf,
    #[command(flatten)]
    keys: TrustedKeys,
    #[command(flatten)]
    cache: CacheFlag,
}

impl Verify {
    pub(super) async fn run(self, out: &mut impl Write, format: Format) -> anyhow::Result<bool> {
        let keys = self.keys.read().map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
        anyhow::ensure!(!keys.is_empty(), "no key to compare with; name one with --trust");
        let policy = Policy::new(keys, true);
        let plugin = stem(&self.file);
        let signature = read_signature(&self.file)?;
        let settings = sign::settings(&self.file)?;
        let host = folders::offline_host(&self.cache)?;
        let wasm = host.read(&self.file).await?;
        let signed = Signed {
            plugin: &plugin,
            component: &wasm,
            settings: &settings,
            signature: signature.as_deref(),
            declared: None,
            remembered: None,
            from_archive: false,
        };
        // A component that nobody trusted has signed is not run.
        let verdict = match policy.check(&signed) {
            Ok(verdict) => {
                let (run, descriptor) = host.describe(&self.file).await?;
                anyhow::ensure!(run == wasm, "{} changed meanwhile", self.file.display());
                let declared = Declared { name: &descriptor.name, version: &descriptor.version };
                verdict.check_declared(&plugin, declared).map(|()| verdict)
            }
            Err(refusal) => Err(refusal),
        };
        report(out, format, verdict.as_ref())?;
        Ok(verdict.is_ok())
    }
}

fn report(
    out: &mut impl Write,
    format: Format,
    verdict: Result<&Verdict, &Refusal>,
) -> anyhow::Result<()> {
    let accepted = verdict.ok().and_then(Verdict::accepted);
    match (format, verdict, accepted) {
        (Format::Json, Err(refusal), _) => {
            let refusal = json!({"code": refusal.code(), "sentence": refusal.to_string()});
            writeln!(out, "{:#}", json!({"accepted": false, "refusal": refusal}))?;
        }
        (Format::Json, Ok(_), accepted) => {
            let covered = accepted.map(|accepted| accepted.covered.to_string());
            let key = accepted.map(|accepted| accepted.key_id.as_str());
            writeln!(out, "{:#}", json!({"accepted": true, "key": key, "covered": covered}))?;
        }
        (Format::Text, Err(refusal), _) => {
            writeln!(out, "refused ({}): {refusal}", refusal.code())?;
        }
        (Format::Text, Ok(_), accepted) => {
            if let Some(accepted) = accepted {
                writeln!(
                    out,
                    "signed with the trusted key {}: {}",
                    accepted.key_id, accepted.covered
                )?;
            }
        }
    }
    Ok(())
}
