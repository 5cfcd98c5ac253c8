//! The search plugin: finds creators in the operator's catalogue, picks one at random, and asks a forum when one is
//! configured.
//!
//! All logic is pure and tested natively; `guest` is the thin layer for the WIT world.

pub mod catalogue;
pub mod descriptor;
pub mod extended;
pub mod fold;
pub mod fuzzy;
mod grams;
pub mod index;
pub mod output;
pub mod params;
pub mod random;
pub mod roster;

mod guest;
