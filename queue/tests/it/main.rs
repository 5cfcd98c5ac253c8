//! The queue's promises, against a real Redis.
#![expect(clippy::unwrap_used, reason = "a test helper reports failure by panicking")]

mod crash;
mod ingress;
mod lease;
mod outbox;
mod submit;
mod support;
mod worker;
