//! The queue's promises, against a real Redis.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper reports failure by panicking"
)]

mod crash;
mod deployments;
mod failover;
mod fleet;
mod history;
mod ingress;
mod lanes;
mod lease;
mod outbox;
mod partitions;
mod silent;
mod store_trouble;
mod submit;
mod support;
mod waiting;
mod worker;
