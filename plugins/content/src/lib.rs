//! The content plugin: a creator's items, page by page, from the operator's table or from a Supabase project.
//!
//! All logic is pure and tested natively; `guest` is the thin layer for the WIT world.

pub mod cache_entry;
pub mod cursor;
pub mod day;
pub mod descriptor;
pub mod filter;
pub mod fingerprint;
pub mod item;
pub mod output;
pub mod page;
pub mod params;
pub mod remote;
pub mod table;

mod guest;
