//! The worker's promises: the real binary, real components, a real Redis.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test helper reports failure by panicking"
)]

mod admission;
mod by_hand;
mod compile;
mod contract;
mod dev;
mod diagnosis;
mod examples;
mod fleet;
mod fleet_sources;
mod fleet_trust;
mod forums;
mod guard;
mod hostile;
mod http;
mod isolation;
mod languages;
mod mistakes;
mod new;
mod noticed;
mod oci;
mod offline;
mod owners;
mod plugins;
mod properties;
mod replay;
mod rollback;
mod rollout;
mod sandbox;
mod signatures;
mod snapshot;
mod supabase;
mod support;
mod swap;
mod unread;
