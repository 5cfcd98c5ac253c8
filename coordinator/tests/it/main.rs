//! The coordinator's promises: the real binary, a simulated Telegram over a real socket, a real Redis.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test helper reports failure by panicking"
)]

mod alerts;
mod alive;
mod browser;
mod command_line;
mod conversation;
mod crash;
mod dashboard;
mod doctor;
mod health;
mod history;
mod limits;
mod links;
mod menu;
mod metrics;
mod order;
mod prometheus;
mod round_trips;
mod secured;
mod session;
mod settings;
mod store_trouble;
mod support;
mod swap;
mod trace;
mod transcripts;
mod trouble;
mod unreadable;
mod views;
mod webhook;
