//! For tests only: an HTTP server, and [`Project`], a Supabase project that knows the part of PostgREST's documented query
//! language that the content plugin uses. It refuses everything else as PostgREST would, so a request outside the
//! documented language fails a test.
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
