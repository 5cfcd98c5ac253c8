//! Rolls dice: the plugin to copy for one of your own.
//!
//! It brings the command `/roll` along ([`descriptor`]), reads what a person wrote ([`dice`]), and answers with a view
//! ([`view`], in the person's language: [`words`]): text, a list and buttons that a chat shows as they are. All of that is plain Rust, tested without a worker;
//! `guest` is the thin layer that the contract in `wit/` asks for.

pub mod descriptor;
pub mod dice;
pub mod view;
pub mod words;

#[cfg(target_family = "wasm")]
mod guest;
