//! Checks a component before it runs.

pub(crate) mod structure;
