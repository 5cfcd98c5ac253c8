//! A task as a file, with every answer that the world outside gave: recorded from a real run, run again without network and
//! Redis, and compared with what is expected of it.
//!
//! [`case`] is the file, [`world`] answers a plugin from it, or writes down what the real world answers, [`recordings`] keeps the cases
//! of tasks that failed in a worker, and [`outside`] says which of these a plugin's tasks reach.

pub mod case;
mod clock;
pub(crate) mod outside;
pub(crate) mod recordings;
pub(crate) mod world;
