//! What Telegram sends, read update by update. Pure.

pub mod batch;
pub mod incoming;
#[cfg(test)]
mod properties;
mod service;
#[cfg(test)]
mod table;
pub mod update;
