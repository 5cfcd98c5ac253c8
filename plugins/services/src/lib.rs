//! For tests only: a server on this machine, and [`Project`], a Supabase project that answers exactly the part of
//! PostgREST's documented query language that the content plugin uses. What it does not know it refuses as PostgREST
//! refuses what it cannot read, so a request that leaves the documented form fails a test.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper reports failure by panicking"
)]

mod filter;
mod project;
mod server;

pub use project::{COLUMNS, Project, Row};
pub use server::{Answer, Asked, Server};
