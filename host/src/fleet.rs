//! Runs the plugins that the fleet's state names ([`queue::fleet`]), beside those in the operator's own folder.
//!
//! [`follow`] reads the state, fetches components, and puts them with their settings into a folder of its own
//! ([`store`]). From there they go the way of every plugin file ([`crate::swap`]): checks, trial, snapshot, guard and
//! rollback are the same. The folder also answers a Redis that is away or has lost its data: what was placed stays.
//!
//! Workers decide together on a version that some of them try first ([`rollout`]).
//!
//! Redis is not trusted with grants: those come from this machine's disk ([`grants`]), or under a trusted signature
//! ([`coverage`]).

mod coverage;
mod fetch;
pub(crate) mod follow;
mod grants;
pub(crate) mod rollout;
pub(crate) mod settings;
pub(crate) mod source;
mod store;
