//! The way of a plugin from its files to the tasks it runs, one module for each step: its files are read ([`read`]),
//! checked ([`check`]), compiled ([`compile`]) and prepared ([`prepare`]), then the new version is published
//! ([`publish`]).
//!
//! [`load`] takes the steps up to publishing in order. A refused candidate changes nothing.

pub(crate) mod check;
pub mod compile;
pub mod load;
mod prepare;
pub mod publish;
pub(crate) mod read;
mod trial;
