//! Fetches components in the background: a registry may take minutes, and the worker goes on to report meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use queue::fleet::{Entry, Fleet, Record, Step};
use tokio::task::JoinSet;

use super::source::{self, Source};
use super::store::Store;
use crate::digest::sha256_hex;

/// Components fetched at the same time: each is held in memory.
const MAX_AT_ONCE: usize = 2;
/// A component that could not be fetched is asked for again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long a component is waited for. Most of those in Redis are there by then, and are put in place at once.
const WAIT: Duration = Duration::from_secs(2);

/// The components that are being fetched, and those that could not be.
#[derive(Debug)]
pub(super) struct Fetcher {
    fleet: Fleet,
    store: Store,
    /// Where a component may be fetched besides Redis.
    sources: Vec<String>,
    running: JoinSet<(String, Result<(), Failure>)>,
    in_flight: BTreeSet<String>,
    failed: BTreeMap<String, (Failure, Instant)>,
}

/// Why a component is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) step: Step,
}

impl Failure {
    fn passing(reason: String) -> Self {
        Self { reason, step: Step::Fetching }
    }

    fn lasting(reason: String) -> Self {
        Self { reason, step: Step::Refused }
    }
}

impl Fetcher {
    pub(super) fn new(fleet: Fleet, store: Store, sources: Vec<String>) -> Self {
        Self {
            fleet,
            store,
            sources,
            running: JoinSet::new(),
            in_flight: BTreeSet::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Fetches what of `wanted` is not on this machine. Returns after a short while; what takes longer goes on.
    pub(super) async fn fetch(&mut self, wanted: &[Entry]) {
        for Entry { name, record, .. } in wanted {
            let digest = &record.digest;
            let waits = self.failed.get(digest).is_some_and(|(_, again)| *again > Instant::now());
            let is_needed = !waits
                && !self.in_flight.contains(digest)
                && self.in_flight.len() < MAX_AT_ONCE
                && !self.store.has_artefact(digest);
            if is_needed {
                self.start(name, record);
            }
        }
        let until = tokio::time::Instant::now() + WAIT;
        // What is dropped by the timeout is only the waiting.
        while let Ok(Some(ended)) = tokio::time::timeout_at(until, self.running.join_next()).await {
            match ended {
                Ok((digest, outcome)) => self.note(digest, outcome),
                Err(error) => {
                    tracing::error!(error = %error, "fetching a component panicked");
                    // It is asked for again.
                    self.in_flight.clear();
                }
            }
        }
    }

    /// Whether components are on their way.
    pub(super) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Why a component could not be fetched.
    pub(super) fn failure(&self, digest: &str) -> Option<&Failure> {
        self.failed.get(digest).map(|(failure, _)| failure)
    }

    /// Lets everything be asked for again: the state has changed.
    pub(super) fn forget_failures(&mut self) {
        self.failed.clear();
    }

    fn start(&mut self, plugin: &str, record: &Record) {
        let digest = record.digest.clone();
        self.in_flight.insert(digest.clone());
        let fleet = self.fleet.clone();
        let store = self.store.clone();
        let record = record.clone();
        let plugin = plugin.to_owned();
        let known = self.failure(&digest).cloned();
        let allowed = match &record.source {
            Some(source) if !source::is_allowed(source, &self.sources) => {
                Err(Failure::lasting(format!(
                    "it is to be fetched from {source}, which this worker does not allow; start it with --fleet-source and the \
                 beginning of that address"
                )))
            }
            _ => Ok(()),
        };
        self.running.spawn(async move {
            let fetching = async {
                allowed?;
                let component = read(&fleet, &record).await?;
                keep(store, record.digest.clone(), component).await
            };
            let outcome = fetching.await;
            if let Err(failure) = &outcome
                && known.as_ref() != Some(failure)
            {
                let reason = &failure.reason;
                let digest = digest.get(..12);
                tracing::warn!(plugin, digest, reason, "component not fetched");
            }
            (digest, outcome)
        });
    }

    fn note(&mut self, digest: String, outcome: Result<(), Failure>) {
        self.in_flight.remove(&digest);
        match outcome {
            Ok(()) => {
                self.failed.remove(&digest);
            }
            Err(failure) => {
                self.failed.insert(digest, (failure, Instant::now() + AGAIN_AFTER));
            }
        }
    }
}

async fn read(fleet: &Fleet, record: &Record) -> Result<Vec<u8>, Failure> {
    let Record { digest, size, source, .. } = record;
    let Some(source) = source else {
        return match fleet.fetch(digest, *size).await {
            Ok(Some(component)) => Ok(component),
            Ok(None) => {
                Err(Failure::passing("the component is not in Redis as a whole".to_owned()))
            }
            Err(error) => Err(Failure::passing(ops::chain::chain(&error).to_string())),
        };
    };
    let place = Source::parse(source).map_err(Failure::lasting)?;
    place.fetch(digest, *size).await.map_err(Failure::passing)
}

/// Keeps a fetched component, if it is the one that was asked for.
async fn keep(store: Store, wanted: String, component: Vec<u8>) -> Result<(), Failure> {
    let keeping = tokio::task::spawn_blocking(move || {
        let found = sha256_hex(&component);
        if found != wanted {
            return Ok(Some(found));
        }
        store.keep_artefact(&wanted, &component)?;
        Ok(None)
    });
    match keeping.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(Failure::lasting(format!(
            "the component that was fetched has another digest, sha256 {found:.12}"
        ))),
        Err(error) => Err(Failure::passing(format!("it cannot be written: {error}"))),
    }
}
