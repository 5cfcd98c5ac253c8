//! The parts that are themselves worth a test.

mod cluster;
mod sentinel;
